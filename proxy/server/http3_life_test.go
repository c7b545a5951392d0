package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// TestHTTP3Refusals: what the edge refuses is answered with the status, the reason and the fields that other protocols get, and no upstream hears of it.
func TestHTTP3Refusals(t *testing.T) {
	heard := make(chan string, 10)
	e := newQUICEdge(t, quicText{
		route: "max_body = \"1KiB\"\n[[route]]\nhost = [\"localhost\"]\npath = \"/limited\"\nservice = \"api\"\nlimits = [\"one\"]",
		top:   "[limit.one]\nrate = \"1/h\"\nkey = \"client_ip\"",
	}, func(_ http.ResponseWriter, r *http.Request) { heard <- r.URL.Path })
	c := e.client3()
	for _, c2 := range []struct {
		name, method, path, host, body, reason string
		status                                 int
	}{
		{"unknown host", "GET", "/1", "other.example", "", "unknown_host", 404},
		{"too large", "POST", "/2", "", strings.Repeat("x", 2000), "body_too_large", 413},
		{"trace", "TRACE", "/3", "", "", "http_request_denied", 405},
		{"dots", "GET", "/%zz", "", "", "http_request_error", 400},
	} {
		req, _ := http.NewRequest(c2.method, e.url("/"), strings.NewReader(c2.body))
		req.URL.Opaque = c2.path
		if c2.host != "" {
			req.Host = c2.host
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Errorf("%s: %v", c2.name, err)
			continue
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c2.status || !strings.Contains(string(b), `"reason":"`+c2.reason+`"`) || resp.Header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %d %s %v", c2.name, resp.StatusCode, b, resp.Header)
		}
	}
	if n := e.metric(`weir_http3_errors_total{kind="head_refused"}`); n == "" {
		t.Error("no weir_http3_errors_total")
	}
	if n := e.metric("weir_http3_streams_total"); n != "4" {
		t.Errorf("%q streams", n)
	}
	if len(heard) != 0 {
		t.Errorf("the upstream heard %s", <-heard)
	}
	for _, want := range []int{200, 429} {
		resp, _, err := fetch(c, "GET", e.url("/limited"), nil)
		if err != nil || resp.StatusCode != want || want == 429 && resp.Header.Get("Retry-After") == "" {
			t.Errorf("limit: %v %v, want %d", resp, err, want)
		}
	}
}

// TestHTTP3Streams: interim answers and events come when they are said, and an answer that breaks off looks broken; a client that leaves is 499.
func TestHTTP3Streams(t *testing.T) {
	next, left := make(chan struct{}), make(chan struct{})
	e := newQUICEdge(t, quicText{}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Link", "</early>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Content-Type", "text/event-stream")
			for i := range 3 {
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				_ = http.NewResponseController(w).Flush()
				<-next
			}
		case "/broken":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/leave":
			left <- struct{}{}
			<-r.Context().Done()
		}
	})
	c := e.client3()
	early := ""
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error { early = fmt.Sprint(code, h.Get("Link")); return nil }}
	req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", e.url("/events"), nil)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		b := make([]byte, len("data: 0\n\n"))
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != fmt.Sprintf("data: %d\n\n", i) {
			t.Fatalf("%q %v", b, err)
		}
		next <- struct{}{}
	}
	if b, err := io.ReadAll(resp.Body); len(b) > 0 || err != nil || early != "103</early>" {
		t.Errorf("%q %v, early %q", b, err, early)
	}
	_ = resp.Body.Close()

	var reset *http3.Error
	if _, b, err := fetch(c, "GET", e.url("/broken"), nil); !errors.As(err, &reset) || !reset.Remote || reset.ErrorCode != http3.ErrCodeInternalError {
		t.Errorf("half an answer: %q %v", b, err)
	}
	if l := e.logged("/broken"); l["weir.reason"] != "http_response_incomplete" {
		t.Errorf("logged %v", l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-left; cancel() }()
	req, _ = http.NewRequestWithContext(ctx, "GET", e.url("/leave"), nil)
	if _, err := c.Do(req); err == nil {
		t.Error("an answer after all")
	}
	if l := e.logged("/leave"); l["weir.reason"] != "client_gone" || l["http.response.status_code"] != 499.0 {
		t.Errorf("logged %v", l)
	}
}

// TestHTTP3Reload: connections and the streams on them go on through reloads, new ones get the new certificate; h3 can be taken out and put in.
func TestHTTP3Reload(t *testing.T) {
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	var once sync.Once
	e := newQUICEdge(t, quicText{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
		_, _ = io.WriteString(w, "done")
	})
	defer once.Do(func() { close(release) })
	c := e.client3()
	slow := make(chan error, 1)
	go func() {
		_, b, err := fetch(c, "GET", e.url("/slow"), nil)
		if err == nil && string(b) != "done" {
			err = errors.New(string(b))
		}
		slow <- err
	}()
	<-arrived
	serial := func() string {
		resp, _, err := fetch(e.client3(), "GET", e.url("/"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	reload := func(o quicText) {
		t.Helper()
		e.write(e.text(o))
		e.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	reload(quicText{top: "[headers.h]\nset = { \"X-A\" = \"b\" }", route: "headers = \"h\""}) // the listener stays
	reload(quicText{protocols: `["h2", "h3"]`})                                               // it does not, its sockets do
	if resp, _, err := fetch(c, "GET", e.url("/"), nil); err != nil || resp.ProtoMajor != 3 {
		t.Errorf("the connection of before: %v", err)
	}
	leaf, err := e.ca.Leaf([]string{"localhost", "second.test"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e.pair = leaf
	reload(quicText{})
	if after := serial(); after == before {
		t.Error("the old certificate")
	}
	reload(quicText{protocols: `["http/1.1"]`})
	if _, _, err := fetch(&http.Client{Transport: e.impatient()}, "GET", e.url("/"), nil); err == nil {
		t.Error("HTTP/3 goes on")
	}
	once.Do(func() { close(release) })
	if err := <-slow; err != nil {
		t.Errorf("the stream that ran: %v", err)
	}
	var taken net.PacketConn
	eventually(t, "the UDP port is free", func() bool {
		taken, err = net.ListenPacket("udp", e.address)
		return err == nil
	})
	e.write(e.text(quicText{}))
	if answer := e.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", ""); !strings.Contains(answer, "address already in use") {
		t.Errorf("%s", answer)
	}
	if resp, _, err := fetch(e.tcp(true), "GET", e.url("/"), nil); err != nil || resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("after a failed reload: %v %v", resp, err)
	}
	_ = taken.Close()
	reload(quicText{})
	if resp, _, err := fetch(e.client3(), "GET", e.url("/"), nil); err != nil || resp.ProtoMajor != 3 {
		t.Errorf("put in again: %v %v", resp, err)
	}
}

// impatient is a client that gives a handshake half a second.
func (e *quicEdge) impatient() *http3.Transport {
	tr := e.transport()
	tr.QUICConfig.HandshakeIdleTimeout = 250 * time.Millisecond
	return tr
}

// TestHTTP3Drain: TERM lets requests end, says GOAWAY, and advertises nothing more; then the process is gone within its deadline.
func TestHTTP3Drain(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	e := newQUICEdge(t, quicText{}, func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	})
	type result struct {
		resp *http.Response
		body string
		err  error
	}
	ask := func(c *http.Client) chan result {
		got := make(chan result, 1)
		go func() {
			resp, b, err := fetch(c, "GET", e.url("/"), nil)
			got <- result{resp, string(b), err}
		}()
		<-arrived
		return got
	}
	quic, h2 := ask(e.client3()), ask(e.tcp(false))
	e.signals <- syscall.SIGTERM
	eventually(t, "stopping", func() bool {
		conn, err := net.Dial("tcp", e.address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(release)
	for name, got := range map[string]chan result{"h3": quic, "h2": h2} {
		if r := <-got; r.err != nil || r.body != "done" || r.resp.Header.Get("Alt-Svc") != "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if code := <-e.exited; code != 0 {
		t.Errorf("exit %d", code)
	}
	_ = e.client.conn.Close()
	e.running = nil
}

// deaf is a socket that sends and, once told so, hears nothing: what it says is what somebody could replay, because no handshake ends.
type deaf struct {
	net.PacketConn
	mu  sync.Mutex
	now bool
}

func (d *deaf) stop() {
	d.mu.Lock()
	d.now = true
	d.mu.Unlock()
}

func (d *deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.PacketConn.ReadFrom(p)
		d.mu.Lock()
		drop := d.now
		d.mu.Unlock()
		if err != nil || !drop {
			return n, from, err
		}
	}
}

// keepsake is what a client keeps of a connection for the next, and tells when it has come.
type keepsake struct {
	tls.ClientSessionCache
	quic.TokenStore
	session, token         chan struct{}
	sessionOnce, tokenOnce sync.Once
}

// Put is ClientSessionCache's.
func (k *keepsake) Put(key string, s *tls.ClientSessionState) {
	k.ClientSessionCache.Put(key, s)
	if s != nil {
		k.sessionOnce.Do(func() { close(k.session) })
	}
}

// tokens is k as a TokenStore, whose methods have a name in common with the cache's.
func (k *keepsake) tokens() quic.TokenStore { return tokenKeeper{k} }

type tokenKeeper struct{ k *keepsake }

func (s tokenKeeper) Pop(key string) *quic.ClientToken { return s.k.TokenStore.Pop(key) }

func (s tokenKeeper) Put(key string, token *quic.ClientToken) {
	s.k.TokenStore.Put(key, token)
	s.k.tokenOnce.Do(func() { close(s.k.token) })
}

// TestEarlyData: off, nothing is early; on, a request in a first packet is served only where a replay does no harm, and the upstream is told; nobody else can
// say it.
func TestEarlyData(t *testing.T) {
	for _, on := range []bool{false, true} {
		heard := make(chan string, 10)
		e := newQUICEdge(t, quicText{listener: fmt.Sprintf("early_data = %t", on)}, func(_ http.ResponseWriter, r *http.Request) {
			heard <- r.Method + " " + r.URL.Path + " " + strings.Join(r.Header["Early-Data"], ",")
		})
		tr := e.transport()
		kept := &keepsake{ClientSessionCache: tr.TLSClientConfig.ClientSessionCache, TokenStore: tr.QUICConfig.TokenStore, session: make(chan struct{}), token: make(chan struct{})}
		tr.TLSClientConfig.ClientSessionCache, tr.QUICConfig.TokenStore = kept, kept.tokens()
		req, _ := http.NewRequest("GET", e.url("/forged"), nil)
		req.Header.Set("Early-Data", "1")
		c := &http.Client{Transport: tr, Timeout: 60 * time.Second}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if got := <-heard; got != "GET /forged " {
			t.Errorf("forged: %q", got)
		}
		await(t, kept.session, "the session ticket")
		await(t, kept.token, "the token")
		_ = tr.Close()
		to, err := net.ResolveUDPAddr("udp", e.address)
		if err != nil {
			t.Fatal(err)
		}
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := &deaf{PacketConn: socket}
		d.stop()
		transport := &quic.Transport{Conn: d}
		patience := 60 * time.Second // there is nothing to wait for where data may be early
		if !on {
			patience = 500 * time.Millisecond // nobody ever answers
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		conn, err := transport.DialEarly(ctx, to, &tls.Config{RootCAs: e.roots, ServerName: "localhost", NextProtos: []string{"h3"}, ClientSessionCache: kept}, &quic.Config{TokenStore: kept.tokens()})
		cancel()
		if !on {
			if err == nil {
				t.Error("off, and the session takes early data")
			}
		} else if err != nil {
			t.Fatalf("no early data: %v", err)
		} else {
			send := func(method, path string) {
				q, err := conn.OpenStream()
				if err != nil {
					t.Fatal(err)
				}
				_, err = q.Write(requestFrame(method, path))
				if err != nil {
					t.Fatal(err)
				}
				_ = q.Close()
			}
			send("POST", "/early-post")
			send("GET", "/early-get")
			select {
			case got := <-heard:
				if got != "GET /early-get 1" {
					t.Errorf("heard %q", got)
				}
			case <-time.After(60 * time.Second):
				t.Error("the early GET was not served")
			}
			if l := e.logged("/early-post"); l["http.response.status_code"] != 425.0 || l["weir.reason"] != "too_early" {
				t.Errorf("logged %v", l)
			}
		}
		if len(heard) > 0 {
			t.Errorf("heard %q too", <-heard)
		}
		_ = transport.Close()
		_ = socket.Close()
	}
}

// requestFrame is a HEADERS frame without compression.
func requestFrame(method, path string) []byte {
	b := []byte{0, 0}
	for _, f := range [][2]string{{":method", method}, {":scheme", "https"}, {":path", path}, {":authority", "localhost"}} {
		if n := len(f[0]); n < 7 {
			b = append(b, 0x20|byte(n))
		} else {
			b = append(b, 0x20|7, byte(n-7))
		}
		b = append(b, f[0]...)
		b = append(b, byte(len(f[1])))
		b = append(b, f[1]...)
	}
	return append([]byte{1, 0x40 | byte(len(b)>>8), byte(len(b))}, b...)
}

// TestUDPBuffers: what the kernel does not grant is a warning, in words that can be acted on; where it does there is none.
func TestUDPBuffers(t *testing.T) {
	e := newQUICEdge(t, quicText{}, func(http.ResponseWriter, *http.Request) {})
	b, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Skip("no /proc")
	}
	warned := strings.Contains(strings.Join(e.status().Warnings, "\n"), "net.core.rmem_max")
	var most int
	if _, err := fmt.Sscan(string(b), &most); err != nil {
		t.Fatal(err)
	}
	if most >= 7<<20 && warned || most < 3<<20 && !warned && os.Geteuid() != 0 {
		t.Errorf("rmem_max %d, warnings %q", most, e.status().Warnings)
	}
}
