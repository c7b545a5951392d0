package proxy_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/limit"
)

// call makes one gRPC request without a message and returns what its client makes of the answer.
func call(t testing.TB, client *http.Client, url string, fields ...string) (status, message string) {
	t.Helper()
	req, err := http.NewRequest("POST", url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc+proto")
	req.Header.Set("Te", "trailers")
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || len(body) > 0 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		t.Errorf("%v: status %d, %q, body %q", err, resp.StatusCode, resp.Header, body)
	}
	if s := resp.Trailer.Get("Grpc-Status"); s != "" {
		return s, resp.Trailer.Get("Grpc-Message")
	}
	return resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
}

// TestGRPCErrors: every error of the edge's own arrives as a status of gRPC, and stands in the books as what it is.
func TestGRPCErrors(t *testing.T) {
	silent, _ := h2cBackend(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	dead := newPeer(t, func(w *wire) {})
	for _, c := range []struct {
		name    string
		prepare func(*edgeOptions)
		edge    func(*edge)
		repeat  bool // what is looked at is the second answer
		path    string
		fields  []string
		grpc    string
		status  int
		reason  string
		blamed  uint64
	}{
		{name: "path that is none", path: "/a%00b", grpc: "13", status: http.StatusBadRequest, reason: "http_request_error"},
		{name: "body beyond the limit", fields: []string{"Content-Length", "20"}, prepare: func(o *edgeOptions) { o.maxBody = 10 }, grpc: "8", status: http.StatusRequestEntityTooLarge, reason: "body_too_large"},
		{name: "rate", repeat: true, fields: []string{"Grpc-Timeout", "1m"}, edge: func(e *edge) {
			r := limit.NewRegistry(10)
			e.limiting(r, proxy.RouteLimit{Limit: r.Acquire(limit.Options{Name: "one", Rate: 1e-3, Burst: 1}), Key: byClient()})
		}, grpc: "14", status: http.StatusTooManyRequests, reason: "rate_limited"},
		{name: "nobody listens", prepare: func(o *edgeOptions) { o.groups["blue"] = []string{deadAddress(t)} }, grpc: "14", status: http.StatusBadGateway, reason: "connection_refused", blamed: 1},
		{name: "no answer", prepare: func(o *edgeOptions) { o.groups["blue"] = []string{dead.address} }, grpc: "14", status: http.StatusBadGateway, reason: "http_protocol_error", blamed: 1},
		{name: "late", prepare: func(o *edgeOptions) { o.response = 2 * time.Second }, grpc: "14", status: http.StatusGatewayTimeout, reason: "http_response_timeout", blamed: 1},
		{name: "the route's time is over", prepare: func(o *edgeOptions) { o.timeout = 2 * time.Second }, grpc: "4", status: http.StatusGatewayTimeout, reason: "total_timeout", blamed: 1},
		{name: "the client's deadline", fields: []string{"Grpc-Timeout", "2S"}, grpc: "4", status: http.StatusGatewayTimeout, reason: "client_deadline"},
		{name: "the earlier of the two, the client's", fields: []string{"Grpc-Timeout", "2000000u"}, prepare: func(o *edgeOptions) { o.timeout = time.Hour }, grpc: "4", status: http.StatusGatewayTimeout, reason: "client_deadline"},
		{name: "the earlier of the two, the route's", fields: []string{"Grpc-Timeout", "99999999H"}, prepare: func(o *edgeOptions) { o.timeout = 2 * time.Second }, grpc: "4", status: http.StatusGatewayTimeout, reason: "total_timeout", blamed: 1},
		{name: "a deadline that is none", fields: []string{"Grpc-Timeout", "1x"}, prepare: func(o *edgeOptions) { o.timeout = 2 * time.Second }, grpc: "4", status: http.StatusGatewayTimeout, reason: "total_timeout", blamed: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := sharing(silent)
			o.tries = 1
			if c.prepare != nil {
				c.prepare(&o)
			}
			e := newEdge(t, o)
			if c.edge != nil {
				c.edge(e)
			}
			client, base := http2Client(t, e)
			status, message := "", ""
			if len(c.fields) > 0 && c.fields[0] == "Content-Length" {
				req, _ := http.NewRequest("POST", base, strings.NewReader(strings.Repeat("x", 20)))
				req.Header.Set("Content-Type", "application/grpc")
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				status, message = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
			} else {
				path := c.path
				if path == "" {
					path = "/a.Service/Method"
				}
				if c.repeat {
					call(t, client, base+path, c.fields...)
					e.line()
				}
				status, message = call(t, client, base+path, c.fields...)
			}
			if status != c.grpc || !strings.Contains(message, c.reason) {
				t.Errorf("grpc-status %q %q, want %s", status, message, c.grpc)
			}
			l := e.line()
			if l.Status != c.status || l.Reason != c.reason || l.GRPC == "" || l.GRPC == "OK" {
				t.Errorf("log line %+v", l)
			}
			if n := e.failures(); n != c.blamed {
				t.Errorf("the peer is blamed for %d failures, want %d", n, c.blamed)
			}
		})
	}
}

// TestCallOutOfTime: an upstream that gives a call up because its deadline has passed, as gRPC's servers do by a reset, may be heard of before our own timer: the client
// is told that its deadline has passed all the same, and the peer is not blamed.
func TestCallOutOfTime(t *testing.T) {
	for _, begun := range []bool{false, true} {
		ahead := new(atomic.Int64)
		answered := make(chan struct{})
		addr, _ := h2cBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			if begun {
				w.Header().Set("Content-Type", "application/grpc")
				_ = http.NewResponseController(w).Flush()
				<-answered
			}
			ahead.Store(int64(2 * time.Hour))
			panic(http.ErrAbortHandler)
		})
		o := sharing(addr)
		o.tries, o.ahead, o.response = 1, ahead, 10*time.Hour
		e := newEdge(t, o)
		client, base := http2Client(t, e)
		want := http.StatusGatewayTimeout
		if !begun {
			if status, message := call(t, client, base+"/a.Service/Method", "Grpc-Timeout", "1H"); status != "4" {
				t.Errorf("grpc-status %q %q, want 4", status, message)
			}
		} else {
			req, _ := http.NewRequest("POST", base+"/a.Service/Method", http.NoBody)
			req.Header.Set("Content-Type", "application/grpc")
			req.Header.Set("Grpc-Timeout", "1H")
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			close(answered)
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("an answer that was broken off looks whole")
			}
			_ = resp.Body.Close()
			want = http.StatusOK
		}
		e.logged(want, "client_deadline", 1)
		if n := e.failures(); n != 0 {
			t.Errorf("the peer is blamed for %d failures", n)
		}
	}
}

// TestGRPCRests: a call is cut neither by idle timeouts, in either direction, nor by the wait for an answer while its request streams; its trailers are in the log.
func TestGRPCRests(t *testing.T) {
	const brief = 400 * time.Millisecond
	turn := make(chan struct{})
	addr, _ := h2cBackend(t, func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 4)
		if _, err := io.ReadFull(r.Body, b); err != nil {
			t.Error(err)
		}
		<-turn // no head until then
		w.Header().Set("Content-Type", "application/grpc")
		_, _ = w.Write(bytes.ToUpper(b))
		_ = http.NewResponseController(w).Flush()
		<-turn
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "5")
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", "not%20here")
	})
	o := sharing(addr)
	o.response, o.idle = brief, brief
	e := newEdge(t, o)
	client, base := http2Client(t, e)
	body, words := io.Pipe()
	req, _ := http.NewRequest("POST", base+"/a.Service/Method", body)
	req.Header.Set("Content-Type", "application/grpc")
	go func() {
		_, _ = io.WriteString(words, "abcd")
		pass(2 * brief)
		turn <- struct{}{}
	}()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != "ABCD" {
		t.Fatalf("%q %v", b, err)
	}
	pass(2 * brief)
	turn <- struct{}{}
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 || resp.Trailer.Get("Grpc-Status") != "5" || resp.Trailer.Get("Grpc-Message") != "not%20here" {
		t.Errorf("%q %v %v", rest, err, resp.Trailer)
	}
	_ = words.Close()
	if l := e.logged(http.StatusOK, "", 1); l.GRPC != "NOT_FOUND" {
		t.Errorf("log line %+v", l)
	}
}

// pass lets time go by that has to go by: a limit is to be overrun.
func pass(d time.Duration) { <-time.After(d) }

// TestNotGRPC: what only looks like it is answered as everything else.
func TestNotGRPC(t *testing.T) {
	o := sharing(deadAddress(t))
	e := newEdge(t, o)
	client, base := http2Client(t, e)
	for _, kind := range []string{"", "application/grpc-web", "application/grpcx", "text/application/grpc"} {
		req, _ := http.NewRequest("POST", base, http.NoBody)
		req.Header.Set("Content-Type", kind)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("Grpc-Status") != "" {
			t.Errorf("%q: %s %q", kind, resp.Status, resp.Header)
		}
	}
}
