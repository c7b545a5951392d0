package server_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
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
func (f *flow) transport(i *instance) idler {
	config := &tls.Config{RootCAs: i.ca.Issued, ServerName: f.host}
	if f.protocol == "HTTP/3.0" {
		return &http3.Transport{TLSClientConfig: config,
			Dial: func(ctx context.Context, _ string, t *tls.Config, c *quic.Config) (*quic.Conn, error) {
				return quic.DialAddrEarly(ctx, i.https, t, c)
			}}
	}
	transport := &http.Transport{
		TLSClientConfig: config, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, i.https)
		},
	}
	transport.Protocols.SetHTTP1(f.protocol == "HTTP/1.1")
	transport.Protocols.SetHTTP2(f.protocol == "HTTP/2.0")
	return transport
}

// run ends with ctx; every failed request is an error of the test.
func (f *flow) run(ctx context.Context, i *instance) {
	transport := f.transport(i)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	defer transport.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		if n%2 == 0 {
			transport.CloseIdleConnections()
		}
		resp, err := client.Get("https://" + f.host + "/")
		if err != nil {
			i.t.Errorf("%s by %s: %v", f.host, f.protocol, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || resp.Proto != f.protocol || string(body) != "hello "+f.host {
			i.t.Errorf("%s by %s: %d %s %q %v", f.host, f.protocol, resp.StatusCode, resp.Proto, body, err)
			return
		}
		f.mu.Lock()
		f.serials[resp.TLS.PeerCertificates[0].SerialNumber.Text(16)] = true
		f.asked++
		f.mu.Unlock()
	}
}

func (f *flow) seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.serials)
}

// TestRenewsUnderTraffic: a file naming two hosts gets their certificates by itself and renews them while requests flow to both by every protocol: the next
// certificate is served on all of them, HTTP/3 among them, and not one request fails.
func TestRenewsUnderTraffic(t *testing.T) {
	i := newInstance(t)
	i.protocols = `protocols = ["http/1.1", "h2", "h3"]`
	i.ca.Hurry()
	i.write("profile = \"brief\"", "one.example.test", "two.example.test")
	i.run()
	i.await("valid", "one.example.test", "two.example.test")
	ctx, cancel := context.WithCancel(t.Context())
	var flows []*flow
	var all sync.WaitGroup
	for _, host := range []string{"one.example.test", "two.example.test"} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			f := &flow{host: host, protocol: protocol, serials: map[string]bool{}}
			flows = append(flows, f)
			all.Go(func() { f.run(ctx, i) })
		}
	}
	eventually(t, "a second certificate on every flow", func() bool {
		for _, f := range flows {
			if f.seen() < 2 && !t.Failed() {
				return false
			}
		}
		return true
	})
	cancel()
	all.Wait()
	for _, f := range flows {
		if f.asked < 10 {
			t.Errorf("%s by %s: only %d requests", f.host, f.protocol, f.asked)
		}
	}
}
