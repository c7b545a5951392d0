package shadow_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy/shadow"
	"github.com/valor-ivx/weir/upstream"
)

// overHTTP2 is a target that speaks HTTP/2 without TLS.
func overHTTP2(t *testing.T, h http.HandlerFunc) (address string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.Listener.Addr().String()
}

// answers is a handler of a JSON body that counts requests by their protocol.
func answers(body string, of *atomic.Int64, proto int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == proto && r.Header.Get("X-Weir-Shadow") != "" {
			of.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// TestShadowOverHTTP2: streams of shared connections carry it as well; one that is not answered is broken off by Close.
func TestShadowOverHTTP2(t *testing.T) {
	var asked atomic.Int64
	held := make(chan struct{}, 1)
	green := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			held <- struct{}{}
			<-r.Context().Done()
			return
		}
		answers(`{"a":2}`, &asked, 2)(w, r)
	}
	s := newStageBy(t, upstream.Transport{HTTP2: true}, overHTTP2(t, answers(`{"a":1}`, &asked, 2)), overHTTP2(t, green), nil)
	s.Take(request("/"))
	s.until(shadow.ResultDiffers, 1)
	if d := s.only(); d.Where != "$.a" || asked.Load() != 3 {
		t.Errorf("%+v, %d asked", d, asked.Load())
	}
	s.Take(request("/hang"))
	<-held
	s.Close()
	s.Wait()
}

// TestShadowOverTLS: with the pool's trust.
func TestShadowOverTLS(t *testing.T) {
	var asked atomic.Int64
	target := func(body string) *httptest.Server {
		s := httptest.NewTLSServer(answers(body, &asked, 1))
		t.Cleanup(func() {
			s.CloseClientConnections()
			s.Close()
		})
		return s
	}
	blue, green := target(`{"a":1}`), target(`{"a":2}`)
	var ca bytes.Buffer
	if err := pem.Encode(&ca, &pem.Block{Type: "CERTIFICATE", Bytes: blue.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	by := upstream.Transport{TLS: true, ALPN: "http/1.1", CA: ca.String(), ServerName: "example.com"}
	s := newStageBy(t, by, blue.Listener.Addr().String(), green.Listener.Addr().String(), nil)
	s.Take(request("/"))
	s.until(shadow.ResultDiffers, 1)
	if n := asked.Load(); n != 3 {
		t.Errorf("%d asked", n)
	}
}

// TestShadowNamesNobodyInPROXY: a connection that is asked on says that it is for no client, and none that is for one is taken.
func TestShadowNamesNobodyInPROXY(t *testing.T) {
	const unknown = "PROXY UNKNOWN\r\n"
	begins := make(chan string, 8)
	target := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() { // ends with the listener
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				first := make([]byte, len(unknown))
				if _, err := io.ReadFull(conn, first); err == nil {
					begins <- string(first)
				}
				go serve(conn, says(page(`{}`)))
			}
		}()
		return l.Addr().String()
	}
	s := newStageBy(t, upstream.Transport{ProxyProtocol: 1}, target(), target(), nil)
	s.Take(request("/"))
	s.until(shadow.ResultSame, 1)
	for range 2 { // blue's second is on its first connection
		if got := <-begins; got != unknown {
			t.Errorf("%q", got)
		}
	}
}
