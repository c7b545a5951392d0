package main

//lint:file-ignore SA1019 x/net's Transport is the only client at hand that says :protocol

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	xhttp2 "golang.org/x/net/http2"

	edgetls "github.com/valor-ivx/weir/tls"
)

// collaborators are two colours of the bundled API on one database behind an edge with TLS, and a user.
type collaborators struct {
	*edge
	t           *testing.T
	ctx         context.Context
	conf        conf
	blue, green *process
	roots       *x509.CertPool
	token       string
}

// newAPI is the bundled API in production, on the database of the folder; it listens.
func newAPI(t *testing.T, dir, colour string, env ...string) (string, *process) {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command(filepath.Join(programs(t), "valor-api"))
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "VALOR_ADDRESS="+address, "VALOR_COLOR="+colour, "VALOR_DATABASE=file:"+filepath.Join(dir, "shared.db"),
		"VALOR_JWT_SECRET="+strings.Repeat("s", 64)), env...)
	p := start(t, cmd)
	eventually(t, 60*time.Second, colour+" listens", func() bool { return strings.Contains(p.out.String(), `"listening"`) })
	return address, p
}

func newCollaborators(t *testing.T) *collaborators {
	dir, ca := folder(t), openCA(t)
	save(t, filepath.Join(dir, "pair.pem"), leafPEM(t, ca))
	blue, bp := newAPI(t, dir, "blue")
	green, gp := newAPI(t, dir, "green")
	conf := newConf(dir, blue, green)
	conf.listeners += "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\n"
	conf.tls = "[[tls.certificate]]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n"
	c := registered(t, run(t, dir, conf), ca)
	c.conf, c.blue, c.green = conf, bp, gp
	return c
}

// registered is a new user of the API behind the TLS listener of an edge.
func registered(t *testing.T, e *edge, ca *edgetls.LocalCA) *collaborators {
	t.Helper()
	c := &collaborators{edge: e, t: t, roots: x509.NewCertPool()}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	t.Cleanup(cancel)
	c.ctx = ctx
	root, err := os.ReadFile(ca.RootFile())
	if err != nil || !c.roots.AppendCertsFromPEM(root) {
		t.Fatal("no root", err)
	}
	res, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: c.tls(), DisableKeepAlives: true}}).Post("https://"+c.address("tls")+"/api/auth/register", "application/json",
		strings.NewReader(`{"username": "ann", "email": "ann@example.com", "password": "Correct-horse-9"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var account struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&account); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	c.token = account.AccessToken
	return c
}

func (c *collaborators) tls() *tls.Config {
	return &tls.Config{RootCAs: c.roots, ServerName: "localhost"}
}

// dial is a client that speaks as a browser does: the token as a subprotocol, the page's origin.
func (c *collaborators) dial(protocol, origin, token string) (*websocket.Conn, *http.Response, error) {
	var transport http.RoundTripper = &http.Transport{TLSClientConfig: c.tls()}
	if protocol == "h2" {
		t := &xhttp2.Transport{TLSClientConfig: c.tls()}
		c.t.Cleanup(t.CloseIdleConnections)
		transport = connecting{t}
	}
	address := c.address("tls")
	if origin == "" {
		origin = "https://" + address
	}
	return websocket.Dial(c.ctx, "wss://"+address+"/ws/collaboration", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Origin": {origin}}, Subprotocols: []string{"valor.v1", "bearer." + token},
	})
}

// joined is a client in the document "model" on the colour that it is expected to come to.
func (c *collaborators) joined(protocol, colour string) *collaborator {
	c.t.Helper()
	conn, res, err := c.dial(protocol, "", c.token)
	if err != nil {
		c.t.Fatalf("%s: %v", protocol, err)
	}
	c.t.Cleanup(func() { _ = conn.CloseNow() })
	if got := res.Header.Get("X-Valor-Color"); got != colour || conn.Subprotocol() != "valor.v1" {
		c.t.Errorf("%s came to %q, want %q; speaks %q", protocol, got, colour, conn.Subprotocol())
	}
	p := &collaborator{conn, c}
	p.say(`{"type": "join", "doc_id": "model"}`)
	return p
}

type collaborator struct {
	*websocket.Conn
	*collaborators
}

func (p *collaborator) say(text string) {
	p.t.Helper()
	if err := p.Write(p.ctx, websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// hear waits for a message of that type with that text in it.
func (p *collaborator) hear(kind, text string) {
	p.t.Helper()
	for {
		_, b, err := p.Read(p.ctx)
		if err != nil {
			p.t.Fatalf("waiting for %s %s: %v", kind, text, err)
		}
		if bytes.Contains(b, []byte(`"type":"error"`)) {
			p.t.Fatalf("%s", b)
		}
		if bytes.Contains(b, []byte(`"type":"`+kind+`"`)) && bytes.Contains(b, []byte(text)) {
			return
		}
	}
}

// set writes n and waits for the acknowledgement.
func (p *collaborator) set(n int) {
	p.t.Helper()
	p.say(fmt.Sprintf(`{"type": "ops", "doc_id": "model", "request_id": "r%d", "payload": {"ops": [{"op": "set", "path": "wacc", "value": %d, "ts": %d}]}}`, n, n, n))
	p.hear("ack", fmt.Sprintf(`"value":%d,`, n))
}

// connecting carries the opening GET of a WebSocket client as an extended CONNECT (RFC 8441).
type connecting struct{ *xhttp2.Transport }

type connected struct {
	io.ReadCloser
	up *io.PipeWriter
}

func (b connected) Write(p []byte) (int, error) { return b.up.Write(p) }
func (b connected) Close() error                { return errors.Join(b.up.Close(), b.ReadCloser.Close()) }

func (t connecting) RoundTrip(req *http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	connect := req.Clone(req.Context())
	connect.Method, connect.Body = http.MethodConnect, r
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Key"} {
		connect.Header.Del(name)
	}
	connect.Header.Set(":protocol", "websocket")
	res, err := t.Transport.RoundTrip(connect)
	if err != nil || res.StatusCode != http.StatusOK {
		return res, errors.Join(err, w.Close())
	}
	sum := sha1.Sum([]byte(req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	res.StatusCode = http.StatusSwitchingProtocols
	res.Header.Set("Connection", "Upgrade")
	res.Header.Set("Upgrade", "websocket")
	res.Header.Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	res.Body = connected{res.Body, w}
	return res, nil
}

// TestE2ECollaboration: two clients through the edge over HTTPS, one by HTTP/1.1 and one by HTTP/2, write one document on two colours of the bundled API.
// Reloads and a change of weights between them touch neither; a colour that stops tells its client to come back, which finds everything at the other.
func TestE2ECollaboration(t *testing.T) {
	t.Parallel()
	c := newCollaborators(t)
	for name, bad := range map[string]struct {
		origin, token string
		status        int
	}{
		"a page of another origin": {"https://evil.example", c.token, http.StatusForbidden}, "a forged token": {"", c.token + "x", http.StatusUnauthorized},
	} {
		for _, protocol := range []string{"http/1.1", "h2"} {
			if conn, res, err := c.dial(protocol, bad.origin, bad.token); err == nil {
				_ = conn.CloseNow()
				t.Errorf("%s by %s came in", name, protocol)
			} else if res == nil || res.StatusCode != bad.status {
				t.Errorf("%s by %s: %v %v", name, protocol, res, err)
			}
		}
	}
	first := c.joined("http/1.1", "blue")
	first.hear("joined", `"version":0`)
	n := 0
	reload := func(blue string) {
		n++
		replace(t, c.config, strings.Replace(c.conf.String(), "[[route]]\n", fmt.Sprintf("[[route]]\nmax_body = \"%dKiB\"\n", n), 1))
		c.call(http.StatusOK, "POST", "/v1/reload", "")
		c.must("weights", "api", "blue="+blue, "green="+map[string]string{"100": "0", "0": "100"}[blue])
	}
	reload("0")
	second := c.joined("h2", "green")
	second.hear("joined", `"version":0`)
	for i, blue := range []string{"100", "0", "100", "0"} {
		first.set(2*i + 1)
		second.hear("ops", fmt.Sprintf(`"value":%d,`, 2*i+1))
		reload(blue)
		second.set(2*i + 2)
		first.hear("ops", fmt.Sprintf(`"value":%d,`, 2*i+2))
	}
	// Blue ends; its client hears why, comes to green, and has lost nothing.
	c.blue.signal(syscall.SIGTERM)
	if _, _, err := first.Read(first.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("blue ended with %v", err)
	}
	if code := c.blue.wait(60 * time.Second); code != 0 {
		t.Errorf("blue's exit code %d", code)
	}
	again := c.joined("h2", "green")
	again.hear("joined", `"wacc":{"value":8,`)
	second.set(9)
	again.hear("ops", `"value":9,`)
	for _, p := range []*collaborator{second, again} {
		if err := p.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	c.stop()
	measured(t, "two clients of one document on two colours, HTTP/1.1 and HTTP/2, reloads and weights between", "8 writes, 5 reloads, 5 changes of weights: no connection lost")
}
