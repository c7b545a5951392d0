package edgetls_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestObtains: by each challenge, for names and an address, past a CA that rejects every seventh nonce.
func TestObtains(t *testing.T) {
	for _, c := range []struct {
		name      string
		http, tls bool
	}{{"http-01", true, false}, {"tls-alpn-01", false, true}, {"either", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			ca := s.pebble()
			o := s.options(ca)
			if !c.http {
				o.HTTPAddress = ""
			}
			if !c.tls {
				o.TLSAddress = ""
			}
			s.start(o, "one.example.test", "Two.example.test.", "127.0.0.1")
			s.await("three certificates", s.isValid("one.example.test", "two.example.test", "127.0.0.1"))
			for _, name := range []string{"one.example.test", "two.example.test", "127.0.0.1"} {
				leaf := s.mustServe(name, ca.Issued)
				if got := append(leaf.DNSNames, addresses(leaf)...); len(got) != 1 || got[0] != name {
					t.Errorf("for %s: a certificate for %q", name, got)
				}
			}
			i := s.info("one.example.test")
			if i.Error != "" || i.Serial == "" || i.File != "acme" || !i.NextAttempt.After(time.Now()) || i.NextAttempt.After(time.Now().Add(2*time.Hour)) {
				t.Errorf("List tells %+v", i)
			}
			if n := len(s.manager.Store().NotAfter()); n != 3 {
				t.Errorf("%d expiry times", n)
			}
		})
	}
}

// TestCADownAtStart: what is wrong is told in words, handshakes get what there is, and the certificate comes when the CA does.
func TestCADownAtStart(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.Instead(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	})
	s.start(s.options(ca), "late.example.test")
	s.await("failure", s.hasFailed("late.example.test"))
	if i := s.info("late.example.test"); !strings.Contains(i.Error, "503 Service Unavailable") || i.NextAttempt.IsZero() || i.Serial != "" {
		t.Errorf("List tells %+v", i)
	}
	if _, err := s.served("late.example.test", nil); err == nil {
		t.Error("a handshake without any certificate succeeded")
	}
	if ca.Orders.Load() != 0 {
		t.Error("the CA was asked for an order")
	}
	ca.Instead(nil)
	s.await("certificate", s.isValid("late.example.test"))
	s.mustServe("late.example.test", ca.Issued)
	if i := s.info("late.example.test"); i.Error != "" {
		t.Errorf("still tells %q", i.Error)
	}
}

// TestUntrustedDirectory: the cure is named.
func TestUntrustedDirectory(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	o := s.options(ca)
	o.CAs[0].Roots = newAuthority(t).pool()
	s.start(o, "a.example.test")
	s.await("failure", s.hasFailed("a.example.test"))
	if e := s.info("a.example.test").Error; !strings.Contains(e, "tls.acme.root_ca") {
		t.Errorf("tells %q", e)
	}
}

// TestRateLimited: a CA's "retry after" is kept to, and told.
func TestRateLimited(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	until := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second)
	real := ca.Directory
	ca.Instead(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == mustURL(t, real).Path {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{
				"newNonce": base(real) + "/nonce", "newAccount": base(real) + "/account", "newOrder": base(real) + "/order-plz",
				"meta": map[string]any{"profiles": map[string]string{"default": ""}},
			})
			return
		}
		w.Header().Set("Replay-Nonce", "n")
		switch r.URL.Path {
		case "/nonce":
		case "/account":
			w.Header().Set("Location", base(real)+"/account/1")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"status":"valid"}`))
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_ = json.NewEncoder(w).Encode(acme.Problem{
				Type: acme.ProblemTypeRateLimited, Status: 429,
				Detail: "too many certificates already issued, retry after " + until.Format("2006-01-02 15:04:05 MST") + ": see https://example.test/limits",
			})
		}
	})
	s.start(s.options(ca), "busy.example.test")
	s.await("failure", s.hasFailed("busy.example.test"))
	i := s.info("busy.example.test")
	if !strings.Contains(i.Error, "takes no more orders for now (rate limit): too many certificates") {
		t.Errorf("tells %q", i.Error)
	}
	if !i.NextAttempt.Round(time.Second).Equal(until) {
		t.Errorf("next attempt at %v, want %v", i.NextAttempt, until)
	}
	if n := ca.Orders.Load(); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestFailsOver: the second CA gives what the first does not, and the first is asked first.
func TestFailsOver(t *testing.T) {
	s := newSite(t)
	first, second := s.pebble(), s.pebble()
	first.Instead(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusNotFound) })
	o := s.options(second)
	o.CAs = append(s.options(first).CAs, o.CAs...)
	s.start(o, "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	s.mustServe("a.example.test", second.Issued)
	if first.Requests.Load() == 0 {
		t.Error("the first CA was not asked")
	}
}

// TestRenews: a certificate is replaced before its end, and no handshake in between fails or sees another's.
func TestRenews(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	o := s.options(ca)
	o.CAs[0].Profile = "brief"
	ca.Hurry()
	s.start(o, "short.example.test")
	s.await("certificate", s.isValid("short.example.test"))
	first := s.mustServe("short.example.test", ca.Issued)
	s.await("renewal", func() bool {
		return !s.mustServe("short.example.test", ca.Issued).Equal(first) // verified: never an expired one
	})
	if n := ca.Orders.Load(); n < 2 {
		t.Errorf("%d orders", n)
	}
}

// TestRestart: what was obtained is served at once by the next process, while the CA is not even there; so is a host that comes back.
func TestRestart(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	a := s.start(s.options(ca), "a.example.test", "b.example.test")
	s.await("certificates", s.isValid("a.example.test", "b.example.test"))
	leaf := s.mustServe("b.example.test", ca.Issued)
	a.Manage([]string{"a.example.test"})
	if got := s.mustServe("b.example.test", nil); got.DNSNames[0] != "a.example.test" {
		t.Errorf("a host that was left out is still served: %q", got.DNSNames)
	}
	if len(a.List()) != 1 {
		t.Errorf("List has %d", len(a.List()))
	}
	next := s.info("a.example.test").NextAttempt
	a.Manage(nil)
	a.Manage([]string{"a.example.test"})
	s.await("check of a host that came back", func() bool {
		i := s.info("a.example.test")
		return i.NextAttempt.After(next) && i.State == edgetls.StateValid
	})
	a.Close()
	before := ca.Requests.Load()
	ca.Instead(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusNotFound) })
	s.manager = edgetls.NewManager()
	b := s.start(s.options(ca), "b.example.test")
	if got := s.manager.Store().NotAfter(); len(got) != 1 || !got[0].NotAfter.Equal(leaf.NotAfter) {
		t.Errorf("after Manage in force: %+v", got)
	}
	s.await("check", func() bool { return !s.info("b.example.test").NextAttempt.IsZero() })
	if i := s.info("b.example.test"); i.State != edgetls.StateValid || ca.Requests.Load() != before {
		t.Errorf("the CA was asked %d times; %+v", ca.Requests.Load()-before, i)
	}
	b.Close()
}

// TestTwoProcessesOneFolder: one of them orders, both serve.
func TestTwoProcessesOneFolder(t *testing.T) {
	s, other := newSite(t), newSite(t)
	ca := s.pebble()
	other.folder = s.folder
	s.start(s.options(ca), "shared.example.test")
	o := s.options(ca)
	o.Changed = other.options(ca).Changed
	other.start(o, "shared.example.test")
	s.await("certificate", s.isValid("shared.example.test"))
	other.await("certificate", other.isValid("shared.example.test"))
	if !s.mustServe("shared.example.test", ca.Issued).Equal(other.mustServe("shared.example.test", ca.Issued)) {
		t.Error("they serve different certificates")
	}
	if n := ca.Orders.Load(); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// TestAnswersForAnother: a challenge that another process started is found in the folder; nothing else is answered.
func TestAnswersForAnother(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.Instead(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusNotFound) })
	a := s.start(s.options(ca), "a.example.test", "127.0.0.1")
	u := mustURL(t, ca.Directory)
	dir := filepath.Join(s.folder, "acme", certmagic.StorageKeys.Safe(u.Host+"-"+strings.Trim(u.Path, "/")), "challenge_tokens")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	chal := acme.Challenge{Type: acme.ChallengeTypeHTTP01, Token: "tok", KeyAuthorization: "tok.print", Identifier: acme.Identifier{Type: "dns", Value: "a.example.test"}}
	data, err := json.Marshal(chal)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "a.example.test.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := s.validated("a.example.test"); !got {
		t.Error("tls-alpn-01 of another process is not answered")
	}
	for _, c := range []struct{ host, path, want string }{
		{"a.example.test", "/.well-known/acme-challenge/tok", "tok.print"},
		{"A.Example.Test:8080", "/.well-known/acme-challenge/tok", "tok.print"},
		{"a.example.test", "/.well-known/acme-challenge/other", ""},
		{"a.example.test", "/.well-known/acme-challenge/", ""},
		{"a.example.test", "/.well-known/acme-challenge/../acme-challenge/tok", ""},
		{"a.example.test", "/tok", ""},
		{"b.example.test", "/.well-known/acme-challenge/tok", ""},
		{"../a.example.test", "/.well-known/acme-challenge/tok", ""},
		{"127.0.0.1", "/.well-known/acme-challenge/tok", ""},
		{"", "/.well-known/acme-challenge/tok", ""},
	} {
		body, ok := a.HTTPChallenge(c.host, c.path)
		if ok != (c.want != "") || string(body) != c.want {
			t.Errorf("%s%s: %q %v, want %q", c.host, c.path, body, ok, c.want)
		}
	}
}

// TestStaticFirst: a certificate from files wins for its names, exact or wildcard, and answers for names nobody has one for.
func TestStaticFirst(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	files := newAuthority(t)
	pairs := []edgetls.Pair{
		files.leaf("first", ecKey(t), now.AddDate(0, 0, 30), "first.example.test"),
		files.leaf("wild", ecKey(t), now.AddDate(0, 0, 30), "*.wild.example.test"),
	}
	s.start(s.options(ca), "a.example.test", "x.wild.example.test", "first.example.test")
	s.await("certificates", s.isValid("a.example.test", "x.wild.example.test", "first.example.test"))
	if got := s.mustServe("nobody.example.test", nil); got.DNSNames[0] != "a.example.test" {
		t.Errorf("without files a wrong name gets %q, want the first managed", got.DNSNames)
	}
	static, err := s.manager.Prepare(pairs, now)
	if err != nil {
		t.Fatal(err)
	}
	s.manager.Commit(static)
	for _, c := range []struct{ ask, want string }{
		{"a.example.test", "a.example.test"}, {"first.example.test", "first.example.test"}, {"x.wild.example.test", "*.wild.example.test"},
		{"nobody.example.test", "first.example.test"},
	} {
		leaf := s.mustServe(c.ask, nil)
		if leaf.DNSNames[0] != c.want {
			t.Errorf("%s gets %q, want %q", c.ask, leaf.DNSNames, c.want)
		}
		if managed := leaf.CheckSignatureFrom(files.cert) != nil; managed != (c.ask == "a.example.test") {
			t.Errorf("%s: managed %v", c.ask, managed)
		}
	}
	if !s.manager.Store().Covers("a.example.test", "a.example.test") || s.manager.Store().Covers("a.example.test", "first.example.test") {
		t.Error("Covers does not know managed certificates")
	}
	s.manager.UseACME(nil)
	s.current().Manage([]string{"a.example.test"}) // whoever is not in use publishes to nobody
	if got := s.mustServe("a.example.test", nil); got.DNSNames[0] != "first.example.test" {
		t.Errorf("without acme a.example.test gets %q", got.DNSNames)
	}
}

// TestValidationHandshake: "acme-tls/1" is for validations under way and for nothing else, and changes no other handshake.
func TestValidationHandshake(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	s.start(s.options(ca), "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	for _, c := range []struct {
		name   string
		offers []string
		agreed string
		works  bool
	}{
		{"a.example.test", []string{"acme-tls/1"}, "", false}, // nothing is being validated
		{"b.example.test", []string{"acme-tls/1"}, "", false},
		{"", []string{"acme-tls/1"}, "", false},
		{"a.example.test", []string{"acme-tls/1", "http/1.1"}, "http/1.1", true},
		{"a.example.test", []string{"http/1.1"}, "http/1.1", true},
		{"a.example.test", nil, "", true},
	} {
		conn, err := dial(t, s.tls.Addr().String(), &tls.Config{ServerName: c.name, InsecureSkipVerify: true, NextProtos: c.offers})
		if (err == nil) != c.works {
			t.Errorf("%q offering %q: %v", c.name, c.offers, err)
		} else if err == nil && conn.ConnectionState().NegotiatedProtocol != c.agreed {
			t.Errorf("%q offering %q: agreed on %q", c.name, c.offers, conn.ConnectionState().NegotiatedProtocol)
		}
	}
}

func base(directory string) string { return directory[:strings.LastIndex(directory, "/dir")] }

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestRenewsWhatHasAged: a clock that has moved on for seventy days finds a certificate that is due: it is served while the CA is down, the state says what is next,
// and it is replaced when the CA is back.
func TestRenewsWhatHasAged(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	s.start(s.options(ca), "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	s.stop()
	files, err := filepath.Glob(filepath.Join(s.folder, "certificates", "*", "a.example.test", "a.example.test.*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%q %v", files, err)
	}
	aged := newAuthority(t).leaf("aged", ecKey(t), time.Now().AddDate(0, 0, 20), "a.example.test")
	stored := strings.TrimSuffix(files[0], filepath.Ext(files[0]))
	for from, to := range map[string]string{aged.Cert: stored + ".crt", aged.Key: stored + ".key"} {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ca.Instead(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
	})
	s.start(s.options(ca), "a.example.test")
	s.await("failure", s.hasFailed("a.example.test"))
	if leaf := s.mustServe("a.example.test", nil); leaf.Subject.CommonName != "aged" {
		t.Errorf("while the CA is down %s is served", leaf.Subject.CommonName)
	}
	if i := s.info("a.example.test"); !strings.Contains(i.Error, "503") || i.NextAttempt.IsZero() || i.NotAfter.IsZero() {
		t.Errorf("List tells %+v", i)
	}
	ca.Instead(nil)
	s.await("renewal", s.isValid("a.example.test"))
	s.mustServe("a.example.test", ca.Issued)
}
