package proxy_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
)

// local is a proxy without any upstream: one host is routed, to a service that no request may reach.
func local(t *testing.T, l *proxy.Listener, session *edgetls.Session, edits ...func(*proxy.Snapshot)) string {
	t.Helper()
	p := localProxy(t, l, edits...)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			go p.Serve(conn, l, session)
		}
	}()
	t.Cleanup(func() {
		_ = socket.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.Shutdown(ctx)
	})
	return socket.Addr().String()
}

// localProxy is a proxy for local, and for tests that bring their own connections.
func localProxy(t *testing.T, l *proxy.Listener, edits ...func(*proxy.Snapshot)) *proxy.Proxy {
	t.Helper()
	metrics := observe.NewMetrics(observe.Build{})
	table, err := route.New([]route.Rule{{Name: "a", Hosts: []string{"a.test", "::1"}, Path: "/app"}})
	if err != nil {
		t.Fatal(err)
	}
	m := []*observe.Route{metrics.Route("l", "a")}
	snap := &proxy.Snapshot{Table: table, Routes: []proxy.Route{{Name: "a", MaxBody: 1 << 20, Metrics: m}}, Unrouted: proxy.Route{Name: "-", MaxBody: -1, Metrics: m}}
	for _, edit := range edits {
		edit(snap)
	}
	begin := time.Now()
	p := proxy.New(proxy.Options{
		Logger: zap.NewNop(), HTTP1: defaults().http1, Now: func() int64 { return int64(time.Since(begin)) + 1 },
		Challenge: func(host, path []byte) ([]byte, bool) {
			token, _ := strings.CutPrefix(string(path), "/.well-known/acme-challenge/")
			return []byte(token + ".print"), string(host) == "ours.test" && token == "tok"
		},
	}, snap)
	l.Metrics = metrics.Listener("l")
	return p
}

func TestRedirectListener(t *testing.T) {
	for _, c := range []struct{ port, raw, status, location string }{
		{"443", "GET /app/x?y=1&z HTTP/1.1\r\nHost: a.test\r\n\r\n", "308", "https://a.test/app/x?y=1&z"},
		{"8443", "POST /app HTTP/1.1\r\nHost: A.test:8080\r\nContent-Length: 5\r\n\r\nhello", "308", "https://A.test:8443/app"},
		{"8443", "GET /app HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "308", "https://[::1]:8443/app"},
		{"443", "GET /app? HTTP/1.1\r\nHost: [::1]\r\n\r\n", "308", "https://[::1]/app?"},
		{"443", "GET http://a.test/app?q HTTP/1.1\r\nHost: a.test\r\n\r\n", "308", "https://a.test/app?q"},
		{"443", "GET /app/%41%20x HTTP/1.1\r\nHost: a.test\r\n\r\n", "308", "https://a.test/app/%41%20x"},
		{"443", "GET /other HTTP/1.1\r\nHost: a.test\r\n\r\n", "404", ""},
		{"443", "GET /app HTTP/1.1\r\nHost: evil.test\r\n\r\n", "404", ""},
		{"443", "GET /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: a.test\r\n\r\n", "404", ""},
		{"443", "GET /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: ours.test\r\n\r\n", "200", ""},
		{"443", "POST /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: ours.test\r\nContent-Length: 0\r\n\r\n", "404", ""},
		{"443", "GET /.well-known/acme-challenge/other HTTP/1.1\r\nHost: ours.test\r\n\r\n", "404", ""},
	} {
		addr := local(t, &proxy.Listener{Name: "l", Scheme: "http", Port: "80", Redirect: c.port}, nil)
		// A second request on the same connection: the first one's body was taken off it.
		_, r := say(t, addr, c.raw+"GET /app HTTP/1.1\r\nHost: a.test\r\n\r\n")
		resp, body := answer(t, r, "GET")
		if !strings.HasPrefix(resp.Status, c.status) || resp.Header.Get("Location") != c.location {
			t.Errorf("%q: %s %q, want %s %q", c.raw, resp.Status, resp.Header.Get("Location"), c.status, c.location)
		}
		if c.status == "308" && resp.Status != "308 Permanent Redirect" {
			t.Errorf("%q: %q", c.raw, resp.Status)
		}
		if c.status == "200" && (body != "tok.print" || resp.Header.Get("Content-Type") != "application/octet-stream") {
			t.Errorf("%q: %q %v", c.raw, body, resp.Header)
		}
		if len(resp.Header.Get("X-Request-Id")) != 32 {
			t.Errorf("%q: no request id", c.raw)
		}
		if again, _ := answer(t, r, "GET"); again.StatusCode != http.StatusPermanentRedirect {
			t.Errorf("%q: the next request got %s", c.raw, again.Status)
		}
	}
}

// TestChallengeOnlyInPlain: a TLS listener routes such a path as any other (RFC 8555 §8.3 validates over http).
func TestChallengeOnlyInPlain(t *testing.T) {
	addr := local(t, &proxy.Listener{Name: "l", Scheme: "https", Port: "443"}, &edgetls.Session{Version: 0x0304})
	_, r := say(t, addr, "GET /.well-known/acme-challenge/tok HTTP/1.1\r\nHost: ours.test\r\n\r\n")
	if resp, _ := answer(t, r, "GET"); resp.StatusCode != 404 {
		t.Errorf("got %s", resp.Status)
	}
}
