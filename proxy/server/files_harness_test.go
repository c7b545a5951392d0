package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// webEdge serves the folder web of root on its path /web, plain and by all protocols over TLS.
type webEdge struct {
	*quicEdge
	plain, root string
}

// webText is what differs between configurations of a webEdge.
type webText struct {
	files string // further keys of files, with a comma before each
	route string // further keys of the route
	top   string // further tables
}

func (w webText) quic(root string) quicText {
	return quicText{
		listener: "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n",
		top:      "[[route]]\nname = \"web\"\npath = \"/web\"\nhost = [\"localhost\", \"a\"]\nfiles = { root = \"" + root + "\"" + w.files + " }\n" + w.route + w.top,
	}
}

func newWebEdge(t *testing.T, w webText, contents map[string]string) *webEdge {
	t.Helper()
	root := t.TempDir()
	for name, text := range contents {
		putFile(t, filepath.Join(root, name), text)
	}
	e := &webEdge{root: root}
	e.quicEdge = newQUICEdge(t, w.quic(root), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the service") })
	e.plain = e.status().Listeners[1].Address
	return e
}

// reload puts another configuration in force.
func (e *webEdge) reload(w webText) {
	e.t.Helper()
	e.write(e.text(w.quic(e.root)))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
}

// long ago: what has just been written has a weak tag.
func longAgo() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func putFile(t testing.TB, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err == nil {
		err = os.Chtimes(path, longAgo(), longAgo())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clients are one for each way to the edge, by name. They follow no redirects and undo no codings.
func (e *webEdge) clients() map[string]*http.Client {
	plain := &http.Transport{DisableCompression: true}
	e.t.Cleanup(plain.CloseIdleConnections)
	list := map[string]*http.Client{
		"plain": {Transport: toward{plain, "http", e.plain}}, "tls": e.tcp(true), "h2": e.tcp(false), "h3": e.client3(),
	}
	for name, c := range list {
		if t, ok := c.Transport.(*http.Transport); ok {
			t.DisableCompression = true
			c.Transport = toward{t, "https", e.address}
		} else if name == "h3" {
			c.Transport = toward{c.Transport, "https", e.address}
		}
		c.Timeout = 60 * time.Second
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return list
}

// toward sends every request to one address, by the name that the certificate has.
type toward struct {
	http.RoundTripper
	scheme, address string
}

func (w toward) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	_, port, _ := net.SplitHostPort(w.address)
	r.URL.Scheme, r.URL.Host, r.Host = w.scheme, "localhost:"+port, "localhost"
	return w.RoundTripper.RoundTrip(r)
}

// got is an answer, read to its end or to where it broke.
type got struct {
	*http.Response
	body string
	err  error
}

func askWeb(t *testing.T, c *http.Client, method, path string, fields ...string) got {
	t.Helper()
	r, err := http.NewRequest(method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return got{resp, string(b), err}
}

// dialWeb is a raw connection to the edge, plain or by TLS.
func (e *webEdge) dialWeb(t *testing.T, secure bool) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", e.plain)
	if secure {
		conn, err = tls.Dial("tcp", e.address, &tls.Config{RootCAs: e.roots, ServerName: "localhost"})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	return conn
}

// lengthy is text of a length that no socket's buffers hold.
func lengthy(n int) string { return strings.Repeat("0123456789abcdef", n/16) }
