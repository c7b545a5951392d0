package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// teller is an upstream that answers whom a request is said to come from.
func teller(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprintf(w, "%s %s", r.Header.Get("X-Real-IP"), strings.Join(r.Header["X-Forwarded-For"], "; "))
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func tellingRoute(t *testing.T) string {
	return "[[route]]\npath = \"/who\"\nservice = \"who\"\n[service.who.group.blue]\ntargets = [\"" + teller(t) + "\"]\n"
}

const v1Header = "PROXY TCP4 192.0.2.1 127.0.0.1 12345 80\r\n"

// v2Header is version 2, TCP over IPv4, from 192.0.2.1, with a TLV.
const v2Header = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x13\xc0\x00\x02\x01\x7f\x00\x00\x01\x30\x39\x00\x50\x02\x00\x04weir"

// say writes raw on a new connection and reads what comes until it ends.
func say(t *testing.T, address, raw string) string {
	t.Helper()
	c := connect(t, address)
	defer c.conn.Close()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c.conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c.r) // a reset is an end too
	return string(answer)
}

// TestProxyProtocol: the address of a PROXY header is the client's for forwarded fields, and X-Forwarded-For applies on top of it where it is a trusted proxy's;
// by HTTP/1 and HTTP/2, plain and under TLS.
func TestProxyProtocol(t *testing.T) {
	e := newEdgeOver(t, "proxy_protocol = [\"127.0.0.0/8\"]\n", "", "[client_ip]\ntrusted_proxies = [\"192.0.2.1\"]\n"+tellingRoute(t))
	const get = "GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	for _, c := range []struct{ header, fields, want string }{
		{v1Header, "", "192.0.2.1 192.0.2.1"},
		{v2Header, "", "192.0.2.1 192.0.2.1"},
		{v2Header, "X-Forwarded-For: 6.6.6.6, 198.51.100.7\r\n", "198.51.100.7 6.6.6.6, 198.51.100.7, 192.0.2.1"},
		{"PROXY UNKNOWN\r\n", "X-Forwarded-For: 6.6.6.6\r\n", "127.0.0.1 127.0.0.1"},
		{"PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n", "X-Forwarded-For: 6.6.6.6\r\n", "203.0.113.9 203.0.113.9"},
	} {
		if answer := say(t, e.plain, c.header+get+c.fields+"\r\n"); !strings.HasSuffix(answer, "\r\n\r\n"+c.want) {
			t.Errorf("%q with %q: %q, want %q", c.header, c.fields, answer, c.want)
		}
	}
	for _, h2 := range []bool{false, true} {
		client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
			ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{RootCAs: e.roots, ServerName: "localhost"},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, network, address)
				if err == nil {
					_, err = io.WriteString(conn, v2Header)
				}
				return conn, err
			},
		}}
		for range 2 { // the second on the same connection
			resp, err := client.Get("https://" + e.secure + "/who")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if got := string(body); got != "192.0.2.1 192.0.2.1" || (resp.ProtoMajor == 2) != h2 {
				t.Errorf("%s over TLS: %q", resp.Proto, got)
			}
		}
		client.CloseIdleConnections()
	}
}

// TestProxyProtocolRefused: a sender that sends none is closed without an answer and counted; from anybody else the header is a bad request; a reload that names the
// sender or forgets it holds for the next connection.
func TestProxyProtocolRefused(t *testing.T) {
	text := func(senders string) func(dir, upstream string) string {
		return func(dir, upstream string) string {
			return strings.Replace(protectText(dir, upstream, "", ""), "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\nproxy_protocol = ["+senders+"]\n", 1)
		}
	}
	r, blue, dir := started(t, text(`"192.0.2.1"`))
	const get = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	if a := say(t, r.address, v1Header+get); !strings.HasPrefix(a, "HTTP/1.1 400 ") {
		t.Errorf("from nobody in the list: %q", a)
	}
	if a := say(t, r.address, v2Header+get); !strings.HasPrefix(a, "HTTP/1.1 400 ") {
		t.Errorf("v2 from nobody in the list: %q", a)
	}
	if a := say(t, r.address, get); !strings.HasPrefix(a, "HTTP/1.1 200 ") {
		t.Errorf("without a header: %q", a)
	}
	r.write(text(`"127.0.0.1"`)(dir, blue.address))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if status, _ := r.client.get(t); status != http.StatusOK {
		t.Errorf("a connection from before the reload: %d", status)
	}
	if a := say(t, r.address, get); a != "" {
		t.Errorf("a sender without a header: %q", a)
	}
	if a := say(t, r.address, v1Header+get); !strings.HasPrefix(a, "HTTP/1.1 200 ") {
		t.Errorf("a sender with one: %q", a)
	}
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(m, `weir_connections_refused_total{listener="http",reason="proxy_protocol"} 1`) {
		t.Error("not counted")
	}
}

// TestProxyProtocolLargeBodies: large bodies both ways on a connection that was introduced, which is spliced as any other.
func TestProxyProtocolLargeBodies(t *testing.T) {
	size := 3 << 20
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = w.Write(make([]byte, n))
	}))
	defer up.Close()
	r, _, _ := started(t, func(dir, _ string) string {
		return strings.Replace(protectText(dir, up.Listener.Addr().String(), "", ""), "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\nproxy_protocol = [\"127.0.0.1\"]\n", 1)
	})
	c := connect(t, r.address)
	defer c.conn.Close()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	go func() {
		_, _ = fmt.Fprintf(c.conn, "%sPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", v2Header, size)
		_, _ = c.conn.Write(make([]byte, size))
	}()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || int(n) != size {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestProxyProtocolPeers: HAProxy's send-proxy-v2 and send-proxy and nginx's proxy_protocol, in front of a plain and a TLS listener; the client is who spoke to them.
func TestProxyProtocolPeers(t *testing.T) {
	e := newEdgeOver(t, "proxy_protocol = [\"127.0.0.1\"]\n", "", tellingRoute(t))
	for name, start := range map[string]func(t *testing.T, front, back string){
		"haproxy v2":     haproxyFront("send-proxy-v2"),
		"haproxy v2-ssl": haproxyFront("send-proxy-v2-ssl-cn"),
		"haproxy v1":     haproxyFront("send-proxy"),
		"nginx":          nginxFront,
	} {
		t.Run(name, func(t *testing.T) {
			for back, scheme := range map[string]string{e.plain: "http", e.secure: "https"} {
				front := porttest.Reserve(t)
				start(t, front, back)
				client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
					TLSClientConfig: &tls.Config{RootCAs: e.roots, ServerName: "localhost"},
					DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}}
						return d.DialContext(ctx, network, address)
					},
				}}
				defer client.CloseIdleConnections()
				var got string
				eventually(t, "the front to listen", func() bool {
					resp, err := client.Get(scheme + "://" + front + "/who")
					if err != nil {
						return false
					}
					defer resp.Body.Close()
					body, err := io.ReadAll(resp.Body)
					got = string(body)
					return err == nil && resp.StatusCode == http.StatusOK
				})
				if got != "127.0.0.77 127.0.0.77" {
					t.Errorf("%s: the client is %q", scheme, got)
				}
			}
		})
	}
}

func haproxyFront(send string) func(t *testing.T, front, back string) {
	return func(t *testing.T, front, back string) {
		text := fmt.Sprintf("defaults\n mode tcp\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nlisten l\n bind %s\n server s %s %s\n", front, back, send)
		startFront(t, "haproxy", text, "-db", "-f")
	}
}

func nginxFront(t *testing.T, front, back string) {
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		missing(t, "nginx's stream module")
	}
	text := fmt.Sprintf("load_module %s;\ndaemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nstream {\n server { listen %s; proxy_pass %s; proxy_protocol on; }\n}\n",
		module, front, back)
	startFront(t, "nginx", text, "-e", "stderr", "-p", ".", "-c")
}

// startFront runs a program on a configuration of its own until the test ends.
func startFront(t *testing.T, program, text string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		missing(t, program)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, program+".conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, file)...)
	cmd.Dir = dir
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		for s := bufio.NewScanner(out); s.Scan(); {
			t.Logf("%s: %s", program, s.Text())
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-said
		_ = cmd.Wait()
	})
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("WEIR_TEST_ALL") == "1" {
		t.Fatalf("needs %s (make deps)", what)
	}
	t.Skipf("skipped: needs %s (make deps)", what)
}
