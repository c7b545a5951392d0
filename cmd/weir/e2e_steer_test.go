package main

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2EOrdersKill kills weir right after the answer to an order: it is in force after the restart, and everybody is told.
func TestE2EOrdersKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.service = "sticky = \"cookie\"\n"
	e := run(t, dir, c)
	e.must("weights", "api", "blue=50", "green=50")
	n := count(1, 10)
	for range n {
		for _, o := range []struct{ verb, body, said, undo string }{
			{"drain", `{"group":"green"}`, "group green draining since", `{"group":"green"}`},
			{"evict", `{"group":"green"}`, "group green evicted since", `{"group":"green"}`},
			{"pause", `{"timeout":"10ms"}`, "paused since", `{}`},
		} {
			e.call(http.StatusOK, "POST", "/v1/services/api/"+o.verb, o.body, "Weir-Operator", "ann")
			e.signal(syscall.SIGKILL)
			e.wait(40 * time.Second)
			e = launch(t, e.dir, e.config)
			e.ready()
			e.overlaySaid(t, "service api: "+o.said)
			if o.verb == "pause" {
				res, body, err := dialKept(t, e.address("http")).do("GET", "/", "")
				if err != nil || res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "pause_timeout") {
					t.Errorf("%v %s %v", res, body, err)
				}
			} else if got := e.shares(t, 20, nil); got["blue"] != 20 {
				t.Errorf("after %s of green: %v", o.verb, got)
			}
			e.call(http.StatusOK, "POST", "/v1/services/api/resume", o.undo)
		}
	}
	e.stop()
	measured(t, "kill -9 right after the 200 to drain, evict, pause", "%d kills, each order in force after the restart; status, weights, check and reload say so", 3*n)
}

// TestE2EWebSocketsThroughChanges: WebSockets stay open and answer through changes of weights, orders and reloads.
func TestE2EWebSocketsThroughChanges(t *testing.T) {
	t.Parallel()
	e, c := weighted(t)
	sockets, changes := count(5, 50), count(5, 100)
	e.must("weights", "api", "blue=50", "green=50")
	var list []*stream
	for range sockets {
		list = append(list, webSocket(t, e.address("http")))
	}
	for i := range changes {
		blue := 1 + i%98
		e.call(http.StatusOK, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, blue, 100-blue))
		verb := [3]string{"drain", "evict", "resume"}[i%3]
		e.call(http.StatusOK, "POST", "/v1/services/api/"+verb, `{"group":"green"}`)
		replace(t, e.config, strings.Replace(c.String(), "[[route]]\n", fmt.Sprintf("[[route]]\nmax_body = \"%dKiB\"\n", i+1), 1))
		e.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	var echoes int64
	for i, s := range list {
		echoes += s.finish(fmt.Sprintf("WebSocket %d", i))
	}
	e.stop()
	measured(t, "WebSockets through changes of weights, orders and reloads", "%d sockets, %d of each: all stayed open, %d echoes", sockets, changes, echoes)
}
