package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// onListener is protectText with more lines in its listener.
func onListener(dir, upstream, lines string) string {
	return strings.Replace(protectText(dir, upstream, "", ""), "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\n"+lines, 1)
}

// ended waits for the other side to close, without an answer.
func (c *connection) ended(t *testing.T) {
	t.Helper()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if b, err := c.r.ReadByte(); err == nil {
		t.Errorf("said %q", b)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Error("is open")
	}
}

func (r *running) scraped(t *testing.T, line string) {
	t.Helper()
	eventually(t, line, func() bool { return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), "\n"+line+"\n") })
}

// resting waits until so many connections wait for a request. No metric tells: an answer is with its client, and the request no longer counted, before its connection is idle.
func resting(t *testing.T, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " connections rest"), func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		found := 0
		for one := range strings.SplitSeq(string(stacks), "\n\n") {
			if state, rest, _ := strings.Cut(one, "\n"); strings.Contains(state, "[IO wait") && strings.Contains(rest, "proxy.(*client).await(") {
				found++
			}
		}
		return found == n
	})
}

// TestMaxConnections: where a listener is full the connection that is idle for longest makes room; where nobody is idle the new one is closed; a reload raises the
// cap for whoever comes next and closes nobody.
func TestMaxConnections(t *testing.T) {
	release := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-release
		}
	}))
	defer up.Close()
	defer letGo()
	backend := up.Listener.Addr().String()
	r, _, dir := started(t, func(dir, _ string) string { return onListener(dir, backend, "max_connections = 3\n") })
	list := []*connection{r.client, connect(t, r.address), connect(t, r.address)}
	for _, c := range append(list, list[0]) { // the second is idle for longest then
		if status, _ := c.get(t); status != http.StatusOK {
			t.Fatal(status)
		}
		resting(t, 3)
	}
	fourth := connect(t, r.address)
	if status, _ := fourth.get(t); status != http.StatusOK {
		t.Errorf("the fourth: %d", status)
	}
	list[1].ended(t)
	r.scraped(t, `weir_connections_evicted_total{listener="http"} 1`)
	busy := []*connection{list[0], list[2], fourth}
	for _, c := range busy {
		_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := io.WriteString(c.conn, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	r.scraped(t, `weir_connections{listener="http",state="active"} 3`)
	connect(t, r.address).ended(t)
	r.scraped(t, `weir_connections_refused_total{listener="http",reason="max_connections"} 1`)
	r.write(onListener(dir, backend, "max_connections = 4\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	fifth := connect(t, r.address)
	if status, _ := fifth.get(t); status != http.StatusOK {
		t.Errorf("after the reload: %d", status)
	}
	letGo()
	for i, c := range busy {
		if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("busy one %d: %v", i, err)
		}
	}
}

// TestMaxConnectionsPerIP: an address has so many at a time; a place is free again when one ends; the address is the one of the PROXY header where there is one, IPv6 by
// its /64.
func TestMaxConnectionsPerIP(t *testing.T) {
	r, blue, dir := started(t, func(dir, upstream string) string { return onListener(dir, upstream, "max_connections_per_ip = 2\n") })
	second := connect(t, r.address)
	for _, c := range []*connection{r.client, second} { // connections are counted by goroutines of their own: one that was answered is counted
		if status, _ := c.get(t); status != http.StatusOK {
			t.Fatal(status)
		}
	}
	connect(t, r.address).ended(t)
	r.scraped(t, `weir_connections_refused_total{listener="http",reason="max_connections_per_ip"} 1`)
	_ = second.conn.Close()
	eventually(t, "a free place", func() bool {
		c := connect(t, r.address)
		status, _, err := c.try()
		if err != nil {
			_ = c.conn.Close()
		}
		return err == nil && status == http.StatusOK
	})
	r.write(onListener(dir, blue.address, "max_connections_per_ip = 1\nproxy_protocol = [\"127.0.0.1\"]\n"))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	introduced := func(source string) *connection {
		c := connect(t, r.address)
		if _, err := fmt.Fprintf(c.conn, "PROXY TCP6 %s ::1 1 2\r\n", source); err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, other := introduced("2001:db8::1"), introduced("2001:db8:0:1::1")
	for i, c := range []*connection{one, other} {
		if status, _ := c.get(t); status != http.StatusOK {
			t.Errorf("network %d: %d", i, status)
		}
	}
	introduced("2001:db8::ffff").ended(t)
}

// TestListenerBounds: every bound is a key, and a reload puts it in force for new connections on the same socket while those that are open keep theirs.
func TestListenerBounds(t *testing.T) {
	r, blue, dir := started(t, func(dir, upstream string) string { return onListener(dir, upstream, "") })
	socket := r.address
	before := connect(t, r.address)
	_, _ = before.get(t)
	for _, c := range []struct{ bounds, raw, want string }{ // a bound on time stands alone: a machine that halts for as long must not meet another first
		{"max_header = \"2KiB\"\nmax_uri = \"512B\"\n", "GET /" + strings.Repeat("x", 600) + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 "},
		{"max_header = \"2KiB\"\nmax_uri = \"512B\"\n", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2100) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"header_timeout = \"200ms\"\n", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 1000) + "\r\n", "HTTP/1.1 408 "},
		{"body_timeout = \"200ms\"\n", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx", "HTTP/1.1 408 "},
		{"idle_timeout = \"300ms\"\n", "", ""},
		{"body_timeout = \"2s\"\nmin_body_rate = 100000\n", "", "-"}, // below
	} {
		r.write(onListener(dir, blue.address, c.bounds))
		r.call(http.StatusOK, "POST", "/v1/reload", "")
		if c.want == "-" {
			continue
		}
		if got := say(t, socket, c.raw); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q, %.60q: %q, want %s", c.bounds, c.raw, got, c.want)
		}
	}
	c := connect(t, socket)
	defer c.conn.Close()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		_, _ = io.WriteString(c.conn, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_, _ = io.WriteString(c.conn, "x")
			}
		}
	}()
	if resp, err := http.ReadResponse(c.r, nil); err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("min_body_rate: %v %v", resp, err)
	}
	r.scraped(t, `weir_http_errors_total{listener="http",reason="client_body_slow"} 1`)
	r.scraped(t, `weir_http_errors_total{listener="http",reason="client_header_timeout"} 1`)
	r.scraped(t, `weir_http_errors_total{listener="http",reason="client_timeout"} 1`)
	if status, _ := before.get(t); status != http.StatusOK { // it has rested for longer than the new idle_timeout by now
		t.Errorf("a connection from before the reload: %d", status)
	}
}
