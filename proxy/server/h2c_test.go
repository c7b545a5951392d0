package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// h2cClient speaks HTTP/2 with prior knowledge and nothing else.
func h2cClient(t *testing.T) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: protocols}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestH2C: one plain listener speaks HTTP/2 to who begins with its preface and HTTP/1 to all others.
func TestH2C(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "protocols = [\"http/1.1\", \"h2\"]\n", ca.server("a.test")+anyHost, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto")+" "+string(body))
	})
	client := h2cClient(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, err := client.Post("http://"+e.plain+"/x", "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "http hello" || resp.ProtoMajor != 2 {
				t.Errorf("%s %q %v", resp.Proto, body, err)
			}
		})
	}
	all.Wait()
	for _, c := range []struct {
		name   string
		pieces []string
		answer string // its beginning
	}{
		{"HTTP/1", []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, "HTTP/1.1 200"},
		{"HTTP/1 in pieces", []string{"P", "UT / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"}, "HTTP/1.1 200"},
		{"a method that begins like the preface", []string{"PRI", "X * HTTP/1.1\r\nHost: x\r\n\r\n"}, "HTTP/1.1 400"},
		{"PRI of HTTP/1", []string{"PRI /x HTTP/1.1\r\nHost: x\r\n\r\n"}, "HTTP/1.1 200"},
		{"the preface's first lines alone", []string{"PRI * HTTP/2.0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"}, "HTTP/1.1 505"},
		{"a client that leaves inside the preface", []string{"PRI * HTTP/2.0\r\n"}, ""},
		{"Upgrade: h2c", []string{"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"}, "HTTP/1.1 200"},
		{"HTTP/2 byte by byte", append(strings.Split(xhttp2.ClientPreface, ""), "\x00\x00\x00\x04\x00\x00\x00\x00\x00"), "\x00\x00"},
	} {
		conn, err := net.Dial("tcp", e.plain)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		for _, p := range c.pieces {
			if _, err := io.WriteString(conn, p); err != nil {
				t.Fatal(err)
			}
		}
		if c.answer == "" {
			_ = conn.(*net.TCPConn).CloseWrite()
			if b, _ := io.ReadAll(conn); len(b) != 0 {
				t.Errorf("%s: answered %q", c.name, b)
			}
		} else {
			b := make([]byte, len(c.answer))
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != c.answer {
				t.Errorf("%s: %q %v, want %q", c.name, b, err, c.answer)
			}
		}
		_ = conn.Close()
	}
	e.expectMetrics("weir_http2_connections_total 2", "weir_http2_streams_total 20")
}

// TestH2CRedirect: what a plain listener answers itself goes over HTTP/2 too, and a listener with h2 alone speaks nothing else.
func TestH2CRedirect(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	e := newSecureEdge(t, dir, "protocols = [\"h2\"]\nredirect = \"https\"\n", ca.server("a.test")+anyHost, hello)
	resp, err := h2cClient(t).Get("http://" + e.plain + "/x?y")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	_, port, _ := net.SplitHostPort(e.secure)
	if want := "https://127.0.0.1:" + port + "/x?y"; resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != want || resp.ProtoMajor != 2 {
		t.Errorf("%s %d to %q, want %q", resp.Proto, resp.StatusCode, resp.Header.Get("Location"), want)
	}
	if answer := exchangeRaw(t, e.plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); strings.HasPrefix(answer, "HTTP/") {
		t.Errorf("HTTP/1 was answered by a listener that speaks h2 alone: %q", answer)
	}
	if n := e.hits.Load(); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
	e.expectMetrics(`weir_http2_errors_total{kind="goaway"} 1`, `weir_http2_floods_total{kind="reset"} 0`)
}

// TestH2CDrain: a reload that changes the protocols cuts nothing, and a stop ends idle connections of both kinds, those that have said nothing too.
func TestH2CDrain(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	arrived, release := make(chan struct{}), make(chan struct{})
	text := ca.server("a.test") + anyHost
	e := newSecureEdge(t, dir, "protocols = [\"http/1.1\", \"h2\"]\n", text, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
	})
	silent, err := net.Dial("tcp", e.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	client := h2cClient(t)
	ended := make(chan error, 1)
	go func() {
		resp, err := client.Get("http://" + e.plain + "/slow")
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	<-arrived
	e.write(e.text(dir, "", text))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.plain+"/", nil)
	resp, err := client.Do(req) // on the connection that is open
	if err != nil || resp.ProtoMajor != 2 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	if answer := exchangeRaw(t, e.plain, xhttp2.ClientPreface); !strings.HasPrefix(answer, "HTTP/1.1 ") {
		t.Errorf("a new connection is still spoken HTTP/2 with: %q", answer)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("the stream across the reload: %v", err)
	}
}
