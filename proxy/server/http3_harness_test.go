package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/proxy/porttest"
	edgetls "github.com/valor-ivx/weir/tls"
)

// quicEdge is an edge whose first listener serves HTTP/3 beside TLS, in front of one upstream.
type quicEdge struct {
	*running
	t       *testing.T
	ca      *edgetls.LocalCA
	pair    edgetls.Pair
	roots   *x509.CertPool
	text    func(quicText) string
	backend string
}

// quicText is what differs between configurations of a quicEdge.
type quicText struct {
	protocols string // of the listener; default: all three
	listener  string // further keys of it
	route     string // further keys of the route
	top       string // further tables
}

func newQUICEdge(t *testing.T, o quicText, upstream http.HandlerFunc) *quicEdge {
	t.Helper()
	s := httptest.NewServer(upstream)
	t.Cleanup(s.Close)
	return newQUICEdgeTo(t, o, s.Listener.Addr().String())
}

func newQUICEdgeTo(t *testing.T, o quicText, backend string) *quicEdge {
	t.Helper()
	dir := shortDir(t)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e := &quicEdge{t: t, ca: ca, roots: x509.NewCertPool(), backend: backend}
	if e.pair, err = ca.Leaf([]string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	e.roots.AppendCertsFromPEM(root)
	address := porttest.Reserve(t) // ":0" is a port that is free for TCP; UDP wants the same
	e.text = func(o quicText) string {
		if o.protocols == "" {
			o.protocols = `["http/1.1", "h2", "h3"]`
		}
		return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"access.log\"\n[[tls.certificate]]\ncert = %q\nkey = %q\n"+
			"[[listener]]\nname = \"https\"\naddress = %q\ntls = true\nprotocols = %s\n%s\n"+
			"[[route]]\nname = \"all\"\nhost = [\"localhost\"]\nservice = \"api\"\n%s\n[service.api.group.blue]\ntargets = [%q]\n%s\n",
			dir, e.pair.Cert, e.pair.Key, address, o.protocols, o.listener, o.route, backend, o.top)
	}
	e.running = run(t, dir, e.text(o))
	t.Cleanup(func() {
		if e.running != nil {
			e.stop()
		}
	})
	return e
}

// url is one of this edge's.
func (e *quicEdge) url(path string) string {
	_, port, _ := strings.Cut(e.address, ":")
	return "https://localhost:" + port + path
}

// transport is a client of its own connections.
func (e *quicEdge) transport() *http3.Transport {
	tr := &http3.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: e.roots, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(4)},
		QUICConfig:         &quic.Config{TokenStore: quic.NewLRUTokenStore(4, 4)},
		DisableCompression: true,
		Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, e.address, t, q)
		},
	}
	e.t.Cleanup(func() { _ = tr.Close() })
	return tr
}

func (e *quicEdge) client3() *http.Client {
	return &http.Client{Transport: e.transport(), Timeout: 60 * time.Second}
}

// tcp is a client that speaks HTTP/2, or HTTP/1.1 if told so.
func (e *quicEdge) tcp(h1 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: e.roots, ServerName: "localhost"}, ForceAttemptHTTP2: !h1}
	if h1 {
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	e.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}
}

// lines are the access log's so far, those of requests.
func (e *quicEdge) lines() (list []map[string]any) {
	e.t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, "access.log"))
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var v map[string]any
		if json.Unmarshal(line, &v) == nil && v["url.path"] != nil {
			list = append(list, v)
		}
	}
	return list
}

// logged waits for the line of a path.
func (e *quicEdge) logged(path string) (found map[string]any) {
	e.t.Helper()
	eventually(e.t, "a log line of "+path, func() bool {
		for _, l := range e.lines() {
			if l["url.path"] == path {
				found = l
			}
		}
		return found != nil
	})
	return found
}

// metric is the value of a series, as /metrics writes it; "" if it is not there.
func (e *quicEdge) metric(series string) string {
	e.t.Helper()
	for line := range strings.Lines(e.call(http.StatusOK, "GET", "/metrics", "")) {
		if v, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fetch is one request, its body read to the end.
func fetch(c *http.Client, method, url string, body io.Reader) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
