package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// introducedText is a configuration of one service that hears PROXY headers.
func introducedText(dir, upstream, version, more string) string {
	return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n" +
		"[[route]]\nname = \"all\"\nservice = \"api\"\n[service.api]\nproxy_protocol = \"" + version + "\"\n" + more + "[service.api.group.blue]\ntargets = [\"" + upstream + "\"]\n"
}

func introducedRun(t *testing.T, upstream, version, more string) *running {
	t.Helper()
	dir := shortDir(t)
	r := run(t, dir, introducedText(dir, upstream, version, more))
	t.Cleanup(func() {
		r.stop()
		_ = os.RemoveAll(dir)
	})
	return r
}

// from is a client whose connections come from one loopback address.
func from(t *testing.T, ip string) *http.Client {
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 60 * time.Second, Transport: transport}
}

func ask(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	res, err := c.Post(url, "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, res.Status, err)
	}
	return strings.TrimSpace(string(b))
}

// TestIntroducesClients to HAProxy and nginx, which tell whom they heard of.
func TestIntroducesClients(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, address string){
		"haproxy": func(t *testing.T, address string) {
			startFront(t, "haproxy", fmt.Sprintf("defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\nfrontend f\n bind %s accept-proxy\n"+
				" http-request return status 200 content-type text/plain lf-string \"%%[src] %%[dst]:%%[dst_port]\"\n", address), "-db", "-f")
		},
		"nginx": func(t *testing.T, address string) {
			startFront(t, "nginx", fmt.Sprintf("daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n access_log off;\n client_body_temp_path b;\n proxy_temp_path p;\n"+
				" fastcgi_temp_path f;\n uwsgi_temp_path u;\n scgi_temp_path s;\n server { listen %s proxy_protocol; \n"+
				" location / { return 200 \"$proxy_protocol_addr $proxy_protocol_server_addr:$proxy_protocol_server_port\"; }\n }\n}\n", address), "-e", "stderr", "-p", ".", "-c")
		},
	} {
		for _, version := range []string{"v1", "v2"} {
			t.Run(name+" "+version, func(t *testing.T) {
				address := porttest.Reserve(t)
				start(t, address)
				// The health check says that it is nobody's, which both take.
				r := introducedRun(t, address, version, "health = { path = \"/\", interval = \"30s\", timeout = \"30s\" }\nwhen_none_healthy = \"reject\"\n")
				eventually(t, "the check to pass", func() bool { return r.status().Services[0].Groups[0].Targets[0].State == "healthy" })
				one, two := from(t, "127.0.0.41"), from(t, "127.0.0.42")
				for range 3 {
					if got, want := ask(t, one, "http://"+r.address+"/"), "127.0.0.41 "+r.address; got != want {
						t.Errorf("the upstream heard of %q, want %q", got, want)
					}
					if got, want := ask(t, two, "http://"+r.address+"/"), "127.0.0.42 "+r.address; got != want {
						t.Errorf("the upstream heard of %q, want %q", got, want)
					}
				}
			})
		}
	}
}

// TestIntroducesTheDerivedClient: behind a trusted proxy the header names the client that everything else uses, without a port, since nobody said one.
func TestIntroducesTheDerivedClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) })}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(&proxyproto.Listener{Listener: l, ReadHeaderTimeout: 60 * time.Second}) }()
	defer func() {
		_ = srv.Close()
		<-ended
	}()
	r := introducedRun(t, l.Addr().String(), "v2", "[client_ip]\ntrusted_proxies = [\"127.0.0.1\"]\n")
	for range 2 {
		for _, ip := range []string{"192.0.2.7", "2001:db8::7", "192.0.2.8"} {
			req, err := http.NewRequest("GET", "http://"+r.address+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-Forwarded-For", ip)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if want := net.JoinHostPort(ip, "0"); string(b) != want {
				t.Errorf("the upstream heard of %q, want %q", b, want)
			}
		}
	}
}

// counting counts what it accepts.
type counting struct {
	net.Listener
	accepted atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.accepted.Add(1)
	}
	return conn, err
}

// TestIntroducedConnectionsAreNotShared: many clients at once, over TLS and plain, and every request arrives on a connection whose header named its client; each
// client's connections are used again.
func TestIntroducedConnectionsAreNotShared(t *testing.T) {
	ca := newAuthority(t)
	pair, err := tls.X509KeyPair(ca.pair(t, "127.0.0.1", time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			counted := &counting{Listener: l}
			heard := net.Listener(&proxyproto.Listener{Listener: counted, ReadHeaderTimeout: 60 * time.Second})
			if secure {
				heard = tls.NewListener(heard, &tls.Config{Certificates: []tls.Certificate{pair}})
			}
			var mu sync.Mutex
			conns := map[string]bool{}
			srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				mu.Lock()
				conns[r.RemoteAddr] = true
				mu.Unlock()
				fmt.Fprint(w, r.RemoteAddr) // as the PROXY header says it
			})}
			ended := make(chan error, 1)
			go func() { ended <- srv.Serve(heard) }()
			defer func() {
				_ = srv.Close()
				<-ended
			}()
			var r *running
			if secure {
				dir := shortDir(t)
				if err := os.WriteFile(dir+"/ca.pem", ca.pem, 0o600); err != nil {
					t.Fatal(err)
				}
				r = run(t, dir, introducedText(dir, l.Addr().String(), "v2", "protocol = \"https\"\ntls = { ca = \"ca.pem\" }\n"))
				defer func() { r.stop(); _ = os.RemoveAll(dir) }()
			} else {
				r = introducedRun(t, l.Addr().String(), "v1", "")
			}
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					c := connect(t, r.address)
					defer func() { _ = c.conn.Close() }()
					for range 20 {
						if _, err := fmt.Fprintf(c.conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"); err != nil {
							t.Error(err)
							return
						}
						res, err := http.ReadResponse(c.r, nil)
						if err != nil {
							t.Error(err)
							return
						}
						b, _ := io.ReadAll(res.Body)
						_ = res.Body.Close()
						if got, want := string(b), c.conn.LocalAddr().String(); got != want {
							t.Errorf("client %d: the upstream heard of %q, want %q", i, got, want)
						}
					}
				})
			}
			all.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(conns) != 8 {
				t.Errorf("the upstream heard of %d clients, want 8", len(conns))
			}
			if n := counted.accepted.Load(); n != 8 {
				t.Errorf("%d connections for 160 requests of 8 clients", n)
			}
		})
	}
}
