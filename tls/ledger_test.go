package edgetls_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestLedgerOfFailures: after as many failed validations as the CA allows nothing is asked, across a restart too, until it allows one more.
func TestLedgerOfFailures(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.DNS.AddDNSARecord("wrong.example.test.", []string{"127.0.0.2"}) // nobody listens there
	var shift atomic.Int64
	o := s.options(ca)
	o.TLSAddress = "" // one challenge, one validation per attempt
	o.Limits = &edgetls.Limits{Failures: edgetls.Rate{Count: 2, Per: time.Hour}}
	o.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	s.start(o, "wrong.example.test")
	refused := func() bool { return strings.Contains(s.info("wrong.example.test").Error, "was not asked") }
	s.await("refusal", refused)
	orders := ca.Orders.Load()
	i := s.info("wrong.example.test")
	if !strings.Contains(i.Error, "its limit is 2 failed validations of wrong.example.test in an hour") {
		t.Errorf("tells %q", i.Error)
	}
	if wait := time.Until(i.NextAttempt); wait < 29*time.Minute || wait > 30*time.Minute {
		t.Errorf("next attempt in %v", wait)
	}
	s.stop()
	s.start(o, "wrong.example.test")
	s.await("refusal by the next process", refused)
	if n := ca.Orders.Load(); n != orders {
		t.Errorf("%d more orders", n-orders)
	}
	s.stop()
	shift.Store(int64(31 * time.Minute))
	ca.DNS.AddDNSARecord("wrong.example.test.", []string{"127.0.0.1"})
	ca.DNS.DeleteDNSARecord("wrong.example.test.")
	s.start(o, "wrong.example.test")
	s.await("certificate half an hour later", s.isValid("wrong.example.test"))
}

// TestLedgerCountsEveryChallenge: an attempt that may use both kinds of challenge costs two failures at the CA.
func TestLedgerCountsEveryChallenge(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.DNS.AddDNSARecord("wrong.example.test.", []string{"127.0.0.2"})
	o := s.options(ca)
	o.Limits = &edgetls.Limits{Failures: edgetls.Rate{Count: 2, Per: time.Hour}}
	s.start(o, "wrong.example.test")
	s.await("refusal", func() bool { return strings.Contains(s.info("wrong.example.test").Error, "was not asked") })
	if n := ca.Orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestLedgerOfDuplicates: a state folder that loses its certificates, but not its ledger, does not use up the CA's patience.
func TestLedgerOfDuplicates(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	o := s.options(ca)
	o.Limits = &edgetls.Limits{SameNames: edgetls.Rate{Count: 1, Per: 7 * 24 * time.Hour}}
	s.start(o, "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	s.stop()
	if err := os.RemoveAll(filepath.Join(s.folder, "certificates")); err != nil {
		t.Fatal(err)
	}
	s.start(o, "a.example.test")
	s.await("refusal", s.hasFailed("a.example.test"))
	if i := s.info("a.example.test"); !strings.Contains(i.Error, "its limit is 1 certificates for a.example.test in a week") || ca.Orders.Load() != 1 {
		t.Errorf("tells %q after %d orders", i.Error, ca.Orders.Load())
	}
	info, err := os.Stat(filepath.Join(s.folder, "ledger.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ledger: %v %v", info, err)
	}
}

// TestLedgerHoldsLimits: against buckets that drain by hand, through a new ledger every time; a refusal ends exactly when it says.
func TestLedgerHoldsLimits(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		folder := filepath.Join(dir, strconv.Itoa(run))
		rate := func(name string, per time.Duration) edgetls.Rate {
			return edgetls.Rate{Count: rapid.IntRange(0, 4).Draw(t, name), Per: per}
		}
		limits := edgetls.Limits{
			Failures: rate("failures", time.Hour), SameNames: rate("same", 48*time.Hour), Domain: rate("domain", 24*time.Hour), Orders: rate("orders", 3*time.Hour),
		}
		drains := map[string]*bucket{}
		at := now
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			longest := rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 20 * time.Hour}).Draw(t, "scale")
			at = at.Add(time.Duration(rapid.Int64Range(1, int64(longest)).Draw(t, "pause")))
			name := rapid.SampledFrom([]string{"a.example", "b.a.example", "c.example"}).Draw(t, "name")
			kind := rapid.SampledFrom([]edgetls.Renewal{edgetls.NewNames, edgetls.SameNames, edgetls.Replaces}).Draw(t, "kind")
			failed := &bucket{rate: limits.Failures}
			failed = one(drains, "failed "+name, failed)
			held := map[string]*bucket{"failed": failed}
			if kind != edgetls.Replaces {
				held["same"] = one(drains, "same "+name, &bucket{rate: limits.SameNames})
			}
			if kind == edgetls.NewNames {
				held["domain"] = one(drains, "domain "+strings.TrimPrefix(name, "b."), &bucket{rate: limits.Domain})
				held["orders"] = one(drains, "orders", &bucket{rate: limits.Orders})
			}
			var want time.Time
			for _, b := range held {
				if free := b.free(at); free.After(want) {
					want = free
				}
			}
			until, words := take(folder, limits, name, kind, at)
			if !want.After(at) != (words == "") || words != "" && !until.Equal(want) {
				t.Fatalf("%s (%d) at %v: %q until %v, by hand %v", name, kind, at, words, until, want)
			}
			if words != "" {
				continue
			}
			issued := rapid.Bool().Draw(t, "issued")
			failures := 0
			if !issued {
				failures = rapid.IntRange(0, 2).Draw(t, "validations that failed")
				if err := edgetls.Ledger(folder).Fail(limits, name, kind, failures, at); err != nil {
					t.Fatal(err)
				}
			}
			for of, b := range held {
				switch {
				case of == "orders" || issued && of != "failed":
					b.pour(at, 1)
				case of == "failed":
					b.pour(at, failures)
				}
			}
		}
	})
}

func one(all map[string]*bucket, key string, fresh *bucket) *bucket {
	if all[key] == nil {
		all[key] = fresh
	}
	return all[key]
}

func take(folder string, limits edgetls.Limits, name string, kind edgetls.Renewal, at time.Time) (time.Time, string) {
	return edgetls.Ledger(folder).Take(limits, name, kind, at)
}

// bucket is a limit by hand: a level that drains with time.
type bucket struct {
	rate  edgetls.Rate
	level time.Duration // time until it is empty
	at    time.Time
}

func (b *bucket) drain(at time.Time) {
	b.level = max(0, b.level-at.Sub(b.at))
	b.at = at
}

// free is when one more fits; zero without a limit.
func (b *bucket) free(at time.Time) time.Time {
	if b.rate.Count == 0 {
		return time.Time{}
	}
	b.drain(at)
	return at.Add(b.level + b.rate.Per/time.Duration(b.rate.Count) - b.rate.Per)
}

func (b *bucket) pour(at time.Time, n int) {
	if b.rate.Count == 0 {
		return
	}
	b.drain(at)
	b.level += time.Duration(n) * (b.rate.Per / time.Duration(b.rate.Count))
}

// TestLedgerOfLetsEncrypt: its documented limits, and what they are not for.
func TestLedgerOfLetsEncrypt(t *testing.T) {
	limits := edgetls.LimitsOf(edgetls.LetsEncrypt)
	folder := t.TempDir()
	hosts := func(from, n int, domain string) (names []string) {
		for i := range n {
			names = append(names, "h"+strconv.Itoa(from+i)+"."+domain)
		}
		return names
	}
	pass := func(want bool, kind edgetls.Renewal, at time.Time, names ...string) (words string) {
		t.Helper()
		for _, name := range names {
			if _, words = take(folder, limits, name, kind, at); (words == "") != want {
				t.Fatalf("%s: %q", name, words)
			}
		}
		return words
	}
	pass(true, edgetls.NewNames, now, hosts(0, 50, "example.co.uk")...)
	if words := pass(false, edgetls.NewNames, now, "one-more.example.co.uk"); !strings.Contains(words, "50 certificates under example.co.uk in a week") {
		t.Errorf("tells %q", words)
	}
	pass(true, edgetls.NewNames, now, "a.other.co.uk", "192.0.2.1", "192.0.2.2", "2001:db8::1")
	pass(true, edgetls.SameNames, now, hosts(0, 4, "example.co.uk")...) // renewals do not count under the domain
	for range 3 {
		pass(true, edgetls.SameNames, now, "h0.example.co.uk")
	}
	if words := pass(false, edgetls.SameNames, now, "h0.example.co.uk"); !strings.Contains(words, "5 certificates for h0.example.co.uk in a week") {
		t.Errorf("tells %q", words)
	}
	for range 20 {
		pass(true, edgetls.Replaces, now, "h0.example.co.uk")
	}
	pass(true, edgetls.NewNames, now.Add(202*time.Minute), "one-more.example.co.uk") // the page's own figure
	pass(true, edgetls.SameNames, now.Add(34*time.Hour), "h0.example.co.uk")         // likewise
	later := now.Add(100 * 24 * time.Hour)
	for i := range 6 {
		pass(true, edgetls.NewNames, later, hosts(i*50, 50, "d"+strconv.Itoa(i)+".example")...)
	}
	if words := pass(false, edgetls.NewNames, later, "x.d9.example"); !strings.Contains(words, "300 orders in 3h") {
		t.Errorf("tells %q", words)
	}
	pass(true, edgetls.SameNames, later, "h0.d0.example")
	pass(true, edgetls.NewNames, later.Add(36*time.Second), "x.d9.example") // the page's own figure
}

// TestRegisteredDomain: as Let's Encrypt counts.
func TestRegisteredDomain(t *testing.T) {
	for name, want := range map[string]string{
		"www.example.com": "example.com", "new.blog.example.co.uk": "example.co.uk", "*.example.com": "example.com", "co.uk": "co.uk",
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "localhost": "localhost",
	} {
		if got := edgetls.RegisteredDomain(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestLedgerUnreadable: what is no ledger counts as an empty one, and the next entry makes it one.
func TestLedgerUnreadable(t *testing.T) {
	for _, content := range []string{"{", "null", "[]", `{"x":1}`} {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "ledger.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		limits := edgetls.Limits{SameNames: edgetls.Rate{Count: 1, Per: time.Hour}}
		if _, words := take(folder, limits, "a", edgetls.NewNames, now); words != "" {
			t.Errorf("%s: %s", content, words)
		}
		if until, words := take(folder, limits, "a", edgetls.NewNames, now.Add(time.Minute)); words == "" || !until.Equal(now.Add(time.Hour)) {
			t.Errorf("%s: %q until %v", content, words, until)
		}
	}
}

// TestLedgerOfTwoProcesses: none of the orders of several is lost.
func TestLedgerOfTwoProcesses(t *testing.T) {
	folder := t.TempDir()
	limits := edgetls.Limits{SameNames: edgetls.Rate{Count: 6, Per: time.Hour}}
	var all sync.WaitGroup
	for range 3 {
		l := edgetls.Ledger(folder)
		all.Go(func() {
			for range 2 {
				if _, words := l.Take(limits, "a", edgetls.NewNames, now); words != "" {
					t.Error(words)
				}
			}
		})
	}
	all.Wait()
	if _, words := take(folder, limits, "a", edgetls.NewNames, now); words == "" {
		t.Error("an order was lost")
	}
}

// TestCloseUnderway: Close does not wait for a CA that hangs.
func TestCloseUnderway(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	asked := make(chan struct{}, 1)
	ca.Instead(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	})
	a := s.start(s.options(ca), "a.example.test")
	<-asked
	start := time.Now()
	a.Close()
	a.Close()
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("Close took %v", took)
	}
	a.Manage([]string{"b.example.test"}) // after Close: nothing
	if len(a.List()) != 1 {
		t.Errorf("List has %+v", a.List())
	}
}

// TestRefuses: options that no order could ever succeed with.
func TestRefuses(t *testing.T) {
	for want, o := range map[string]edgetls.ACMEOptions{
		"no listener could answer a CA":   {},
		`"127.0.0.1" is not IP:PORT`:      {HTTPAddress: "127.0.0.1"},
		`"127.0.0.1:0" is not IP:PORT`:    {TLSAddress: "127.0.0.1:0"},
		"give both listeners one address": {HTTPAddress: "127.0.0.1:80", TLSAddress: "127.0.0.2:443"},
		"not a directory":                 {HTTPAddress: "127.0.0.1:80", Folder: "/dev/null/x"},
	} {
		if o.Folder == "" {
			o.Folder = t.TempDir()
		}
		a, err := edgetls.NewACME(o, edgetls.NewManager())
		if err == nil {
			a.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for _, o := range []edgetls.ACMEOptions{
		{HTTPAddress: "[::]:80", TLSAddress: "127.0.0.2:443", Folder: t.TempDir()}, {TLSAddress: "0.0.0.0:443", Folder: t.TempDir()},
	} {
		a, err := edgetls.NewACME(o, edgetls.NewManager())
		if err != nil {
			t.Fatal(err)
		}
		a.Close()
	}
}

// TestPauses: checks come at least thirty times in a lifetime, never more than once a second; retries never come faster after more failures.
func TestPauses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lifetime := time.Duration(rapid.Int64Range(1, int64(400*24*time.Hour)).Draw(t, "lifetime"))
		if every := edgetls.CheckEvery(lifetime); every < time.Second || every > time.Second && every > lifetime/30 {
			t.Fatalf("%v is checked every %v", lifetime, every)
		}
		n := rapid.IntRange(0, 1000).Draw(t, "failures")
		if edgetls.RetryAfter(n) > edgetls.RetryAfter(n+1) || edgetls.RetryAfter(n) < time.Minute || edgetls.RetryAfter(n) > 6*time.Hour {
			t.Fatalf("after %d failures %v, then %v", n, edgetls.RetryAfter(n), edgetls.RetryAfter(n+1))
		}
	})
}
