package edgetls_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestLedgerOfFailures: after as many failed validations as the CA allows nothing is asked, across a restart too, until an hour has passed.
func TestLedgerOfFailures(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.dns.AddDNSARecord("wrong.example.test.", []string{"127.0.0.2"}) // nobody listens there
	var shift atomic.Int64
	o := s.options(ca)
	o.TLSAddress = "" // one challenge, one validation per attempt
	o.Limits = &edgetls.Limits{FailuresPerHour: 2}
	o.Now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	s.start(o, "wrong.example.test")
	refused := func() bool { return strings.Contains(s.info("wrong.example.test").Error, "was not asked") }
	s.await("refusal", refused)
	orders := ca.orders.Load()
	i := s.info("wrong.example.test")
	if !strings.Contains(i.Error, "2 validations of wrong.example.test failed within an hour") {
		t.Errorf("tells %q", i.Error)
	}
	if wait := time.Until(i.NextAttempt); wait < 59*time.Minute || wait > time.Hour {
		t.Errorf("next attempt in %v", wait)
	}
	s.stop()
	s.start(o, "wrong.example.test")
	s.await("refusal by the next process", refused)
	if n := ca.orders.Load(); n != orders {
		t.Errorf("%d more orders", n-orders)
	}
	s.stop()
	shift.Store(int64(61 * time.Minute))
	ca.dns.AddDNSARecord("wrong.example.test.", []string{"127.0.0.1"})
	ca.dns.DeleteDNSARecord("wrong.example.test.")
	s.start(o, "wrong.example.test")
	s.await("certificate an hour later", s.isValid("wrong.example.test"))
}

// TestLedgerCountsEveryChallenge: an attempt that may use both kinds of challenge costs two failures at the CA.
func TestLedgerCountsEveryChallenge(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.dns.AddDNSARecord("wrong.example.test.", []string{"127.0.0.2"})
	o := s.options(ca)
	o.Limits = &edgetls.Limits{FailuresPerHour: 2}
	s.start(o, "wrong.example.test")
	s.await("refusal", func() bool { return strings.Contains(s.info("wrong.example.test").Error, "was not asked") })
	if n := ca.orders.Load(); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// TestLedgerOfDuplicates: a state folder that loses its certificates, but not its ledger, does not use up the CA's patience.
func TestLedgerOfDuplicates(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	o := s.options(ca)
	o.Limits = &edgetls.Limits{DuplicatesPerWeek: 1}
	s.start(o, "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	s.stop()
	if err := os.RemoveAll(filepath.Join(s.folder, "certificates")); err != nil {
		t.Fatal(err)
	}
	s.start(o, "a.example.test")
	s.await("refusal", s.hasFailed("a.example.test"))
	if i := s.info("a.example.test"); !strings.Contains(i.Error, "issued 1 certificates for a.example.test within a week") || ca.orders.Load() != 1 {
		t.Errorf("tells %q after %d orders", i.Error, ca.orders.Load())
	}
	info, err := os.Stat(filepath.Join(s.folder, "ledger.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ledger: %v %v", info, err)
	}
}

// TestLedgerHoldsLimits: against a count by hand, through a new ledger every time; a refusal ends exactly when it says.
func TestLedgerHoldsLimits(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		file := filepath.Join(dir, strconv.Itoa(run))
		limits := edgetls.Limits{FailuresPerHour: rapid.IntRange(0, 3).Draw(t, "failures"), DuplicatesPerWeek: rapid.IntRange(0, 3).Draw(t, "duplicates")}
		type event struct {
			at     time.Time
			failed bool
		}
		past := map[string][]event{}
		at := now
		count := func(name string, failed bool, window time.Duration, at time.Time) (n int) {
			for _, e := range past[name] {
				if e.failed == failed && at.Sub(e.at) < window {
					n++
				}
			}
			return n
		}
		allowed := func(name string, at time.Time) bool {
			return (limits.FailuresPerHour == 0 || count(name, true, time.Hour, at) < limits.FailuresPerHour) &&
				(limits.DuplicatesPerWeek == 0 || count(name, false, 7*24*time.Hour, at) < limits.DuplicatesPerWeek)
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			longest := rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 60 * time.Hour}).Draw(t, "scale")
			at = at.Add(time.Duration(rapid.Int64Range(1, int64(longest)).Draw(t, "pause")))
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
			until, ok := edgetls.Ledger(file).Admit(name, limits, at)
			if ok != allowed(name, at) {
				t.Fatalf("%s at %v: admitted %v, by hand %v (%v, %+v)", name, at, ok, !ok, past[name], limits)
			}
			if !ok {
				if until.Before(at) {
					t.Fatalf("refused until %v at %v", until, at)
				}
				continue
			}
			failed := rapid.Bool().Draw(t, "failed")
			past[name] = append(past[name], event{at, failed})
			if err := edgetls.Ledger(file).Note(name, failed, at); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestLedgerUnreadable: what is no ledger counts as an empty one, and the next entry makes it one.
func TestLedgerUnreadable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	limits := edgetls.Limits{FailuresPerHour: 1}
	if _, ok := edgetls.Ledger(file).Admit("a", limits, now); !ok {
		t.Error("refused")
	}
	if err := edgetls.Ledger(file).Note("a", true, now); err != nil {
		t.Fatal(err)
	}
	if until, ok := edgetls.Ledger(file).Admit("a", limits, now.Add(time.Minute)); ok || !until.Equal(now.Add(time.Hour)) {
		t.Errorf("admitted %v, until %v", ok, until)
	}
}

// TestCloseUnderway: Close does not wait for a CA that hangs.
func TestCloseUnderway(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	asked := make(chan struct{}, 1)
	ca.instead(func(_ http.ResponseWriter, r *http.Request) {
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
	if took := time.Since(start); took > 5*time.Second {
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
