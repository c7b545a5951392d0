package edgetls_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// responder is an OCSP responder of one test.
type responder struct {
	t     *testing.T
	url   string
	asked atomic.Int64

	mu     sync.Mutex
	issuer *x509.Certificate
	signer *x509.Certificate // nil: the issuer itself
	key    crypto.Signer
	now    func() time.Time
	holds  time.Duration
	status int
	answer http.HandlerFunc // instead
}

func newResponder(t *testing.T) *responder {
	t.Helper()
	r := &responder{t: t, status: ocsp.Good, now: func() time.Time { return now }, holds: 2 * time.Hour}
	server := httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *responder) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *responder) serve(w http.ResponseWriter, req *http.Request) {
	defer r.asked.Add(1)
	r.mu.Lock()
	instead := r.answer
	r.mu.Unlock()
	if instead != nil {
		instead(w, req)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	q, err := ocsp.ParseRequest(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	signer := r.signer
	template := ocsp.Response{SerialNumber: q.SerialNumber, Status: r.status, ThisUpdate: r.now(), NextUpdate: r.now().Add(r.holds), RevokedAt: r.now()}
	if signer == nil {
		signer = r.issuer
	} else {
		template.Certificate = signer
	}
	raw, err := ocsp.CreateResponse(r.issuer, signer, template, r.key)
	if err != nil {
		r.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	_, _ = w.Write(raw)
}

// stapled gives the staple that a client of name gets, nil for none; the handshake must succeed.
func stapled(t *testing.T, address string, client *tls.Config) []byte {
	t.Helper()
	c, err := dial(t, address, client)
	if err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().OCSPResponse
}

// TestStaples: what files and reloads bring is stapled on both versions, after a restart too while the responder is down; refreshed halfway; and no longer
// when it has ended.
func TestStaples(t *testing.T) {
	a := newAuthority(t)
	r := newResponder(t)
	r.issuer, r.key = a.cert, a.key
	a.responder, a.mustStaple = r.url, true
	folder := filepath.Join(t.TempDir(), "ocsp")
	var clock atomic.Int64
	r.now = func() time.Time { return now.Add(time.Duration(clock.Load())) }
	first := a.leaf("first", ecKey(t), now.AddDate(0, 0, 60), "a.test")
	m := manager(t, first)
	start := func(m *edgetls.Manager) *edgetls.Stapler {
		s := edgetls.NewStapler(edgetls.StaplerOptions{Folder: folder, Now: r.now}, m)
		t.Cleanup(s.Close)
		return s
	}
	s := start(m)
	address := serve(t, m.Config(nil, 0))
	client := &tls.Config{ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }}
	var old []byte
	eachVersion(t, func(t *testing.T, version uint16) {
		client := client.Clone()
		client.MaxVersion = version
		eventually(t, "a staple", func() bool { old = stapled(t, address, client); return old != nil })
		answer, err := ocsp.ParseResponse(old, a.cert)
		if err != nil || answer.Status != ocsp.Good {
			t.Errorf("%+v %v", answer, err)
		}
	})
	m.Commit(load(t, first, a.leaf("second", ecKey(t), now.AddDate(0, 0, 60), "b.test")))
	other := client.Clone()
	other.ServerName = "b.test"
	eventually(t, "a staple of what a reload brought", func() bool { return stapled(t, address, other) != nil })
	if !bytes.Equal(stapled(t, address, client), old) {
		t.Error("the reload lost or renewed the first one's")
	}

	clock.Store(int64(61 * time.Minute)) // past half
	s.Kick()
	eventually(t, "a new staple", func() bool { return !bytes.Equal(stapled(t, address, client), old) })
	s.Close()
	r.set(func() {
		r.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) }
	})
	again := manager(t, first)
	s = start(again)
	address = serve(t, again.Config(nil, 0))
	if stapled(t, address, client) == nil {
		t.Error("none right after a restart")
	}
	asked := r.asked.Load()
	clock.Store(int64(4 * time.Hour))
	s.Kick()
	eventually(t, "no staple when it has ended and the responder is down", func() bool { return stapled(t, address, client) == nil })
	if r.asked.Load() == asked {
		t.Error("the responder was not asked again")
	}
}

// TestNoStaple: a responder that is down, hangs, lies, or says no costs the staple and never the handshake.
func TestNoStaple(t *testing.T) {
	other := newAuthority(t)
	for name, arrange := range map[string]func(*responder, *authority){
		"down": func(r *responder, _ *authority) {
			r.answer = func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }
		},
		"garbage": func(r *responder, _ *authority) {
			r.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte{0x30, 0x03, 0x0a, 0x01, 0x06}) }
		},
		"endless": func(r *responder, _ *authority) {
			r.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }
		},
		"revoked": func(r *responder, _ *authority) { r.status = ocsp.Revoked },
		"unknown": func(r *responder, _ *authority) { r.status = ocsp.Unknown },
		"old":     func(r *responder, _ *authority) { r.now = func() time.Time { return now.AddDate(0, 0, -1) } },
		"future":  func(r *responder, _ *authority) { r.now = func() time.Time { return now.AddDate(0, 0, 1) } },
		"signed by another": func(r *responder, _ *authority) {
			r.issuer, r.key = other.cert, other.key
		},
		"signed by a leaf of the same CA": func(r *responder, a *authority) {
			key := ecKey(r.t)
			r.signer, r.key = a.sign(&x509.Certificate{SerialNumber: big.NewInt(99), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: now, NotAfter: now.AddDate(0, 1, 0),
				KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, a.cert, key.Public()), key
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			r := newResponder(t)
			r.issuer, r.key = a.cert, a.key
			arrange(r, a)
			a.responder = r.url
			m := manager(t, a.leaf("a", ecKey(t), now.AddDate(0, 0, 60), "a.test"))
			s := edgetls.NewStapler(edgetls.StaplerOptions{Folder: t.TempDir(), Now: func() time.Time { return now }}, m)
			eventually(t, "a question", func() bool { return r.asked.Load() > 0 })
			s.Close() // waits for the answer's use
			if raw := stapled(t, serve(t, m.Config(nil, 0)), &tls.Config{ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }}); raw != nil {
				t.Error("stapled")
			}
		})
	}
}

// TestDelegatedResponder: an answer signed by whom the CA has certified for it is stapled.
func TestDelegatedResponder(t *testing.T) {
	a := newAuthority(t)
	r := newResponder(t)
	key := ecKey(t)
	r.issuer, r.key = a.cert, key
	r.signer = a.sign(&x509.Certificate{SerialNumber: big.NewInt(98), Subject: pkix.Name{CommonName: "responder"}, NotBefore: now, NotAfter: now.AddDate(0, 1, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}}, a.cert, key.Public())
	a.responder = r.url
	m := manager(t, a.leaf("a", ecKey(t), now.AddDate(0, 0, 60), "a.test"))
	defer edgetls.NewStapler(edgetls.StaplerOptions{Folder: t.TempDir(), Now: func() time.Time { return now }}, m).Close()
	address := serve(t, m.Config(nil, 0))
	eventually(t, "a staple", func() bool {
		return stapled(t, address, &tls.Config{ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }}) != nil
	})
}

// TestCloseWhileResponderHangs: neither the end nor a handshake waits for it.
func TestCloseWhileResponderHangs(t *testing.T) {
	a := newAuthority(t)
	r := newResponder(t)
	hangs := make(chan struct{})
	r.answer = func(_ http.ResponseWriter, req *http.Request) {
		close(hangs)
		_, _ = io.Copy(io.Discard, req.Body) // or the server would not notice that the client has gone
		<-req.Context().Done()
	}
	a.responder = r.url
	m := manager(t, a.leaf("a", ecKey(t), now.AddDate(0, 0, 60), "a.test"))
	s := edgetls.NewStapler(edgetls.StaplerOptions{Folder: t.TempDir(), Now: func() time.Time { return now }}, m)
	<-hangs
	if raw := stapled(t, serve(t, m.Config(nil, 0)), &tls.Config{ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }}); raw != nil {
		t.Error("stapled")
	}
	start := time.Now()
	s.Close()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// TestStaplesManaged: certificates that a CA issued are stapled too, and so are those that replace them.
func TestStaplesManaged(t *testing.T) {
	s := newSite(t)
	r := newResponder(t)
	r.now, r.holds = time.Now, time.Hour
	ca := pebbletest.New(t, pebbletest.Options{HTTPPort: port(s.http), TLSPort: port(s.tls), OCSP: r.url})
	r.set(func() { r.issuer, r.key = ca.Issuer() })
	defer edgetls.NewStapler(edgetls.StaplerOptions{Folder: t.TempDir()}, s.manager).Close()
	o := s.options(ca)
	o.CAs[0].Profile = "brief"
	ca.Hurry()
	s.start(o, "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	client := &tls.Config{ServerName: "a.example.test", RootCAs: ca.Issued}
	first := s.mustServe("a.example.test", ca.Issued)
	eventually(t, "a staple", func() bool { return stapled(t, s.tls.Addr().String(), client) != nil })
	s.await("renewal", func() bool { return !s.mustServe("a.example.test", ca.Issued).Equal(first) })
	eventually(t, "a staple of the next certificate", func() bool { return stapled(t, s.tls.Addr().String(), client) != nil })
}
