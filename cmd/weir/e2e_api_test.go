package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// logged is the line of a program's log that says message and has a field with that value.
func logged(p *process, message, field, value string) map[string]any {
	for line := range strings.Lines(p.out.String()) {
		entry := map[string]any{}
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message && entry[field] == value {
			return entry
		}
	}
	return nil
}

// TestE2EOneRequestInBothLogs: the id that the edge gives and the trace that the client began lead from the edge's answer to the API's log, and a forged id does not.
func TestE2EOneRequestInBothLogs(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	blue, api := newAPI(t, dir, "blue")
	e := run(t, dir, newConf(dir, blue, blue))
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+e.address("http")+"/api/dcf", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Request-ID", "forged")
	req.Header.Set("Traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	id := res.Header.Get("X-Request-ID")
	if res.StatusCode != http.StatusOK || id == "" || id == "forged" || len(res.Header["X-Request-Id"]) != 1 {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	var line map[string]any
	eventually(t, 60*time.Second, "the API has logged the request", func() bool { line = logged(api, "request", "request_id", id); return line != nil })
	if line["trace_id"] != trace || line["path"] != "/api/dcf" || line["status"] != 200.0 {
		t.Errorf("%v", line)
	}
	e.stop()
}

// TestE2EAPIStopsUnderLoad: a colour of the bundled API that is told to stop, with VALOR_DRAIN_DELAY, fails no request of those that come all the time, though
// none of them may be sent twice.
func TestE2EAPIStopsUnderLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	blue, stops := newAPI(t, dir, "blue", "VALOR_DRAIN_DELAY=12s")
	green, _ := newAPI(t, dir, "green")
	c := newConf(dir, blue, green).weights(50)
	c.service = "health = { path = \"/api/readiness\", interval = \"500ms\", timeout = \"500ms\", rise = 1, fall = 1 }\n"
	e := run(t, dir, c)
	address := e.address("http")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	var served [2]atomic.Int64 // blue, green
	for range 4 {
		k := dialKept(t, address)
		all.Go(func() {
			for ctx.Err() == nil {
				res, body, err := k.do("POST", "/api/dcf", "{}")
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%v %v %s", res, err, body)
					return
				}
				served[map[string]int{"blue": 0, "green": 1}[res.Header.Get("X-Valor-Color")]].Add(1)
			}
		})
	}
	enough := func(what string, n *atomic.Int64) {
		t.Helper()
		want := n.Load() + 20
		eventually(t, 60*time.Second, what, func() bool { return n.Load() >= want || t.Failed() })
	}
	enough("blue serves", &served[0])
	enough("green serves", &served[1])
	stops.signal(syscall.SIGTERM)
	if code := stops.wait(90 * time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
	last := served[0].Load()
	enough("green goes on", &served[1])
	cancel()
	all.Wait()
	if served[0].Load() != last {
		t.Errorf("blue answered %d after its end", served[0].Load()-last)
	}
	e.stop()
	measured(t, "a colour of valor-api stops under load of requests that may not be repeated", "%d by blue, %d by green, none failed", served[0].Load(), served[1].Load())
}

// TestE2ECollaborationEncrypted: the same over TLS to the API, whose certificate is verified.
func TestE2ECollaborationEncrypted(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ca := openCA(t)
	save(t, filepath.Join(dir, "api.pem"), leafPEM(t, ca))
	address := newSecureAPI(t, dir, "blue")
	c := newConf(dir, address, address)
	c.service = fmt.Sprintf("protocol = \"https\"\ntls = { ca = %q }\n", ca.RootFile())
	e := run(t, dir, c)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var conn *websocket.Conn
	eventually(t, 60*time.Second, "the API answers", func() bool {
		var err error
		conn, _, err = websocket.Dial(ctx, "ws://"+e.address("http")+"/ws/collaboration", nil)
		return err == nil
	})
	defer func() { _ = conn.CloseNow() }()
	p := &collaborator{conn, &collaborators{t: t, ctx: ctx}}
	p.say(`{"type": "join", "doc_id": "model"}`)
	p.hear("joined", `"version":0`)
	p.set(1)
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	e.stop()
}
