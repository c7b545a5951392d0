package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// TestE2ETargetLeaves takes a target, then the whole service and its route, out of the file while requests and streams are on it: they go on to their end,
// and only new requests see the new file.
func TestE2ETargetLeaves(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	old, next := newBackend(t, "old"), newBackend(t, "next")
	c := newConf(dir, old.address, "127.0.0.1:1")
	e := run(t, dir, c)
	address := e.address("http")
	events, socket := eventStream(t, address), webSocket(t, address)
	slow := slowRequest(t, e, old, 1500)
	kept := dialKept(t, address)
	if _, body, err := kept.do("GET", "/", ""); err != nil || !strings.HasPrefix(body, "old") {
		t.Fatalf("%q %v", body, err)
	}
	c.blues = []string{next.address}
	replace(t, e.config, c.String())
	e.must("reload")
	if _, body, err := kept.do("GET", "/", ""); err != nil || !strings.HasPrefix(body, "next") {
		t.Errorf("after the reload: %q %v", body, err)
	}
	if out := e.must("status"); !strings.Contains(out, next.address) {
		t.Errorf("status does not show the new target:\n%s", out)
	}
	if _, body := e.call(200, "GET", "/metrics", ""); !strings.Contains(body, `service="api"`) {
		t.Error("the service has no series")
	}
	renamed := strings.ReplaceAll(strings.ReplaceAll(c.String(), "service.api", "service.shop"), `service = "api"`, `service = "shop"`)
	replace(t, e.config, strings.Replace(renamed, `name = "all"`, `name = "other"`, 1))
	e.must("reload")
	if a := <-slow; a.err != nil || a.status != 200 || a.closed {
		t.Errorf("the request on the target that left: %+v", a)
	}
	if _, body, err := kept.do("GET", "/", ""); err != nil || !strings.HasPrefix(body, "next") {
		t.Errorf("after the second reload: %q %v", body, err)
	}
	seen, echoes := events.finish("the event stream on the target that left"), socket.finish("the WebSocket on the target that left")
	eventually(t, 5*time.Second, "the series of the service that left are gone", func() bool {
		_, body := e.call(200, "GET", "/metrics", "")
		return !strings.Contains(body, `service="api"`)
	})
	e.stop()
	measured(t, "target, then service and route leave the file under a slow request and two streams", "request 200, %d events, %d echoes, unbroken", seen, echoes)
}

// TestE2ESilentTarget starts with a target that takes connections and never answers, under a check that would wait a minute for it: the start does not.
func TestE2ESilentTarget(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.blues = append(c.blues, silent.Addr().String())
	c.service = "health = { path = \"/ready\", interval = \"60s\", timeout = \"60s\" }\n"
	from := time.Now()
	e := run(t, dir, c)
	took := time.Since(from)
	if took > 40*time.Second {
		t.Errorf("ready after %s", took)
	}
	if out := e.must("status"); !strings.Contains(out, "unknown") {
		t.Errorf("status does not show it:\n%s", out)
	}
	eventually(t, 5*time.Second, "the log warns", func() bool { return strings.Contains(e.out.String(), "no probe has ended yet") })
	traffic := newLoad(t, e.address("http"), 1, "GET")
	traffic.after(50)
	traffic.stop()
	e.stop()
	measured(t, "start with a target that never answers its check of 60 s", "ready after %s, with a warning; requests go to the other", took.Round(100*time.Millisecond))
}
