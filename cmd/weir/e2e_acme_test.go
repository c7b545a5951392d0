package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// flow is one client of one host by one protocol, which asks without a pause, on new connections and kept ones in turn.
type flow struct {
	host, protocol string

	mu      sync.Mutex
	serials map[string]bool
	asked   int
}

// idler is a transport whose connections can be ended.
type idler interface {
	http.RoundTripper
	CloseIdleConnections()
}

// transport speaks the flow's protocol and no other with the edge's TLS listener.
func (f *flow) transport(c *certified) idler {
	config := &tls.Config{RootCAs: c.ca.Issued, ServerName: f.host}
	if f.protocol == "HTTP/3.0" {
		patient := &quic.Config{HandshakeIdleTimeout: time.Minute, MaxIdleTimeout: time.Minute} // a busy machine is no failure
		return &http3.Transport{TLSClientConfig: config, QUICConfig: patient,
			Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, c.https, t, q)
			}}
	}
	transport := &http.Transport{
		TLSClientConfig: config, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, c.https)
		},
	}
	transport.Protocols.SetHTTP1(f.protocol == "HTTP/1.1")
	transport.Protocols.SetHTTP2(f.protocol == "HTTP/2.0")
	return transport
}

// run ends with ctx; every failed request is an error of the test.
func (f *flow) run(ctx context.Context, c *certified) {
	transport := f.transport(c)
	client := &http.Client{Transport: transport, Timeout: 60 * time.Second}
	defer transport.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		if n%2 == 0 {
			transport.CloseIdleConnections()
		}
		resp, err := client.Get("https://" + f.host + "/")
		if err != nil {
			c.t.Errorf("%s by %s: %v", f.host, f.protocol, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != f.protocol || string(body) != "hello "+f.host {
			c.t.Errorf("%s by %s: %d %s %q %v", f.host, f.protocol, resp.StatusCode, resp.Proto, body, err)
			return
		}
		f.mu.Lock()
		f.serials[resp.TLS.PeerCertificates[0].SerialNumber.Text(16)] = true
		f.asked++
		f.mu.Unlock()
	}
}

// seen is how many certificates and requests there were.
func (f *flow) seen() (serials, asked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.serials), f.asked
}

// certified is an edge whose certificates come from a CA of its own.
type certified struct {
	*edge
	ca    *pebbletest.CA
	https string
}

// issued starts weir on a file that names hosts and a CA, and has no certificate. Those that it gets are good for 30 seconds and renewed after one.
func issued(t *testing.T, hosts ...string) *certified {
	t.Helper()
	dir := folder(t)
	plain, secure := porttest.Reserve(t), porttest.Reserve(t)
	ca := pebbletest.New(t, pebbletest.Options{HTTPPort: int(netip.MustParseAddrPort(plain).Port()), TLSPort: int(netip.MustParseAddrPort(secure).Port())})
	ca.Hurry()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Host) }))
	t.Cleanup(backend.Close)
	save(t, filepath.Join(dir, "ca.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Own.Raw})))
	config := filepath.Join(dir, "weir.toml")
	save(t, config, fmt.Sprintf(`[admin]
address = "unix://%s/admin.sock"
state_dir = "%[1]s/state"
[tls.acme]
directory = %q
root_ca = "ca.pem"
resolvers = %q
profile = "brief"
[[listener]]
name = "http"
address = %q
redirect = "https"
[[listener]]
name = "https"
address = %q
tls = true
protocols = ["http/1.1", "h2", "h3"]
[[route]]
host = [%q, %q]
service = "api"
[service.api.group.blue]
targets = [%q]
`, dir, ca.Directory, ca.Resolver, plain, secure, hosts[0], hosts[1], backend.Listener.Addr().String()))
	c := &certified{launch(t, dir, config), ca, secure}
	c.ready()
	return c
}

// valid reports whether a certificate for the host is served.
func (c *certified) valid(host string) bool {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", c.https, &tls.Config{RootCAs: c.ca.Issued, ServerName: host})
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// TestE2EACME: a file that names two hosts gets their certificates by itself and renews them while requests flow to both by every protocol: the next
// certificate is served on all of them, HTTP/3 among them, and not one request fails.
func TestE2EACME(t *testing.T) { // not parallel: the CA is configured by the environment
	hosts := []string{"one.example.test", "two.example.test"}
	c := issued(t, hosts...)
	for _, host := range hosts {
		eventually(t, time.Minute, "a certificate for "+host, func() bool { return c.valid(host) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	var flows []*flow
	var all sync.WaitGroup
	for _, host := range hosts {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			f := &flow{host: host, protocol: protocol, serials: map[string]bool{}}
			flows = append(flows, f)
			all.Go(func() { f.run(ctx, c) })
		}
	}
	eventually(t, 5*time.Minute, "more certificates on every flow", func() bool {
		for _, f := range flows {
			if serials, asked := f.seen(); (serials < count(2, 5) || asked < 10) && !t.Failed() {
				return false
			}
		}
		return true
	})
	cancel()
	all.Wait()
	requests, serials := 0, 1<<30
	for _, f := range flows {
		n, asked := f.seen()
		requests, serials = requests+asked, min(serials, n)
	}
	measured(t, "requests to two hosts by HTTP/1.1, 2 and 3 that failed while their certificates were renewed", "0 of %d; at least %d certificates on each", requests, serials)
	c.stop()
}
