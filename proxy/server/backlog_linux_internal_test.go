package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/admin"
	edgetls "github.com/valor-ivx/weir/tls"
)

// queued is a server on whose listeners connections can be let wait.
type queued struct {
	*Server
	t     *testing.T
	path  string
	roots *x509.CertPool
}

const queuedListeners = "[[listener]]\nname = \"plain\"\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\nprotocols = [\"http/1.1\", \"h3\"]\n"

func newQueued(t *testing.T) *queued {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	t.Cleanup(up.Close)
	dir, err := os.MkdirTemp("", "wq") // a unix socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"localhost"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	q := &queued{t: t, path: filepath.Join(dir, "weir.toml"), roots: x509.NewCertPool()}
	pem, err := os.ReadFile(ca.RootFile())
	if err != nil || !q.roots.AppendCertsFromPEM(pem) {
		t.Fatalf("root: %v", err)
	}
	q.write(fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\nname = \"other\"\naddress = \"127.0.0.1:0\"\n%s"+
		"[[tls.certificate]]\ncert = %q\nkey = %q\n[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [%q]\n",
		dir, queuedListeners, pair.Cert, pair.Key, strings.TrimPrefix(up.URL, "http://")))
	if q.Server, err = start(Options{ConfigPath: q.path, Version: "test", DrainTimeout: time.Minute, Stdout: io.Discard, Stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
	return q
}

func (q *queued) write(text string) {
	q.t.Helper()
	if err := os.WriteFile(q.path, []byte(text), 0o600); err != nil {
		q.t.Fatal(err)
	}
}

// end is the end of the process as Run's.
func (q *queued) end(mode admin.StopMode) {
	q.stopping.Store(true)
	q.Server.end()
	q.forgetUnconfirmed()
	q.watcher.close()
	q.drain(context.Background(), nil, mode)
}

func (q *queued) listener(name string) *listener {
	for _, l := range q.listeners {
		if l.config.Name == name {
			return l
		}
	}
	q.t.Fatalf("no listener %s", name)
	return nil
}

// visit connects n clients that are not accepted, and gives what each of them is answered. Those over TLS have said nothing yet.
func (q *queued) visit(name string, n int) (answers <-chan error) {
	q.t.Helper()
	l := q.listener(name)
	l.handOver() // nobody accepts
	list := make(chan error, n)
	for range n {
		conn, err := net.Dial("tcp", l.socket.Addr().String())
		if err != nil {
			q.t.Fatal(err)
		}
		if l.tls != nil {
			conn = tls.Client(conn, &tls.Config{RootCAs: q.roots, ServerName: "localhost"})
		} else if _, err := io.WriteString(conn, hail); err != nil {
			q.t.Fatal(err)
		}
		go func() { list <- answered(conn) }()
	}
	raw, err := l.socket.(*net.TCPListener).SyscallConn()
	if err != nil {
		q.t.Fatal(err)
	}
	for waiting := 0; waiting < n; { // the last step of a connection is not the client's
		_ = raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				waiting = int(info.Unacked)
			}
		})
	}
	return list
}

const hail = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

func answered(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	if _, secure := conn.(*tls.Conn); secure {
		if _, err := io.WriteString(conn, hail); err != nil {
			return err
		}
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(res.Body)
	if err == nil && string(b) != "here" {
		err = fmt.Errorf("%s %q", res.Status, b)
	}
	return err
}

// TestBacklogIsServed: connections that the kernel has let in are answered, not reset, when their listener leaves the file and when the process ends.
func TestBacklogIsServed(t *testing.T) {
	for _, c := range []struct {
		name, listener string
		stop           bool
	}{{"reload", "plain", false}, {"reload, TLS", "tls", false}, {"stop", "plain", true}} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueued(t)
			const n = 40
			answers := q.visit(c.listener, n)
			if c.stop {
				q.end(admin.StopGracefully)
			} else {
				defer q.end(admin.StopNow)
				text, err := os.ReadFile(q.path)
				if err != nil {
					t.Fatal(err)
				}
				q.write(strings.Replace(string(text), queuedListeners, "", 1))
				if _, err := q.reload(t.Context(), order{trigger: "admin"}); err != nil {
					t.Fatal(err)
				}
			}
			for range n {
				if err := <-answers; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestHandshakesOutliveTheirListener: a client in the middle of its handshake when the listeners close ends it and is answered.
func TestHandshakesOutliveTheirListener(t *testing.T) {
	q := newQueued(t)
	l := q.listener("tls")
	conn, err := net.Dial("tcp", l.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for begun := 0; begun == 0; {
		l.mu.Lock()
		begun = len(l.handshakes)
		l.mu.Unlock()
	}
	q.leave()
	if err := answered(tls.Client(conn, &tls.Config{RootCAs: q.roots, ServerName: "localhost"})); err != nil {
		t.Error(err)
	}
	q.end(admin.StopNow)
}

// TestHandshakesOutliveTheirEndpoint is the same for HTTP/3.
func TestHandshakesOutliveTheirEndpoint(t *testing.T) {
	q := newQueued(t)
	l := q.listener("tls")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hears := &late{PacketConn: socket}
	transport := &quic.Transport{Conn: hears}
	dialled := make(chan error, 1)
	go func() {
		_, err := transport.Dial(t.Context(), l.quic.socket.LocalAddr(), &tls.Config{RootCAs: q.roots, ServerName: "localhost", NextProtos: []string{"h3"}}, &quic.Config{HandshakeIdleTimeout: time.Minute})
		dialled <- err
	}()
	for l.open.Load() == 0 { // the server waits for the end of the handshake, whose client has not heard of it
		runtime.Gosched()
	}
	q.leave()
	hears.now.Store(true)
	err = <-dialled
	served := func() bool {
		rec := httptest.NewRecorder()
		q.metrics.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(rec.Body.String(), "weir_connections_accepted_total{listener=\"tls\"} 1\n")
	}
	for l.open.Load() > 0 && !served() {
		runtime.Gosched()
	}
	if !served() {
		t.Errorf("the handshake came to nothing, the client says: %v", err)
	}
	_ = transport.Close()
	_ = socket.Close()
	q.end(admin.StopNow)
}

// late is a socket that hears nothing until it is told to.
type late struct {
	net.PacketConn
	now atomic.Bool
}

func (l *late) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := l.PacketConn.ReadFrom(p)
		if err != nil || l.now.Load() {
			return n, from, err
		}
	}
}
