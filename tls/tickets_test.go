package edgetls_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	edgetls "github.com/valor-ivx/weir/tls"
)

// process is an edge with tickets from a store, under a clock of its own.
type process struct {
	t       *testing.T
	tickets *edgetls.Tickets
	manager *edgetls.Manager
	address string
	clock   atomic.Int64 // time since now
}

func newProcess(t *testing.T, a *authority, store edgetls.TicketStore) *process {
	t.Helper()
	p := &process{t: t, manager: manager(t, a.leaf("a", ecKey(t), now.AddDate(0, 0, 60), "a.test"))}
	p.tickets = edgetls.NewTickets(edgetls.TicketOptions{Store: store, Now: func() time.Time { return now.Add(time.Duration(p.clock.Load())) }})
	t.Cleanup(p.tickets.Close)
	p.manager.UseTickets(p.tickets)
	p.address = serve(t, p.manager.Config(nil, 0))
	return p
}

// pass lets time go by, as the process notices.
func (p *process) pass(d time.Duration) {
	p.clock.Add(int64(d))
	p.tickets.Step(p.t.Context())
}

// client keeps the sessions of one TLS version.
func (a *authority) client(version uint16) *tls.Config {
	return &tls.Config{
		ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }, MaxVersion: version,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

// resumes makes a handshake, which must succeed, and reports whether a session went on.
func resumes(t *testing.T, address string, client *tls.Config) bool {
	t.Helper()
	c, err := dial(t, address, client)
	if err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().DidResume
}

func eachVersion(t *testing.T, run func(t *testing.T, version uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) { run(t, v) })
	}
}

// TestResumesAfterRestart: on any listener of the next process, until the secret is two rotations old; never with a file that was lost or is none.
func TestResumesAfterRestart(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		a := newAuthority(t)
		file := filepath.Join(t.TempDir(), "tickets.json")
		first := newProcess(t, a, edgetls.NewFileTickets(file))
		client := a.client(version)
		if resumes(t, first.address, client) {
			t.Fatal("resumed a session there was not")
		}
		if !resumes(t, serve(t, first.manager.Config(nil, 0)), client) {
			t.Error("not resumed on the other listener")
		}
		first.tickets.Close()
		second := newProcess(t, a, edgetls.NewFileTickets(file))
		if !resumes(t, second.address, client) {
			t.Error("not resumed after a restart")
		}
		for _, hours := range []int{13, 11} {
			old := client.Clone()
			old.ClientSessionCache = a.client(version).ClientSessionCache
			resumes(t, second.address, old)
			second.pass(time.Duration(hours) * time.Hour)
			if !resumes(t, second.address, old) {
				t.Errorf("not resumed %d hours later", hours)
			}
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file: %v %v", info, err)
		}

		late := newProcess(t, a, edgetls.NewFileTickets(file))
		late.pass(24 * time.Hour)
		resumes(t, late.address, client) // a session of now
		for range 3 {
			late.pass(12 * time.Hour)
		}
		if resumes(t, late.address, client) {
			t.Error("resumed by a secret that was to be forgotten")
		}
		if err := os.WriteFile(file, []byte("[{"), 0o600); err != nil {
			t.Fatal(err)
		}
		third := newProcess(t, a, edgetls.NewFileTickets(file))
		if resumes(t, third.address, client) || !resumes(t, third.address, client) {
			t.Error("after the file was lost: resumed an old session, or did not resume a new one")
		}
	})
}

// TestPoliciesDoNotMix: a session of one policy is no session of another's, in the same process with the same secrets.
func TestPoliciesDoNotMix(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		a := newAuthority(t)
		p := newProcess(t, a, edgetls.NewFileTickets(filepath.Join(t.TempDir(), "tickets.json")))
		strict := p.manager.Config(nil, 0)
		p.tickets.Seal(strict, "clients.pem require")
		same := p.manager.Config(nil, 0)
		p.tickets.Seal(same, "clients.pem require")
		strictAddress, sameAddress := serve(t, strict), serve(t, same)
		client := a.client(version)
		resumes(t, p.address, client)
		if resumes(t, strictAddress, client) {
			t.Error("a session without a policy is resumed where there is one")
		}
		if !resumes(t, sameAddress, client) {
			t.Error("a session of the same policy is not resumed")
		}
		if resumes(t, p.address, client) {
			t.Error("a session of a policy is resumed where there is none")
		}
	})
}

// memory is a store of several replicas.
type memory struct {
	mu      sync.Mutex
	data    []byte
	broken  bool
	changes int
}

func (m *memory) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return nil, errors.New("away")
	}
	return m.data, nil
}

func (m *memory) Replace(_ context.Context, old, data []byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return false, errors.New("away")
	}
	if !bytes.Equal(m.data, old) {
		return false, nil
	}
	m.data = data
	m.changes++
	return true, nil
}

func (m *memory) breaks(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

// TestReplicasShare: a session of one is resumed on the other, also right after a rotation that one of them has not noticed and with clocks that differ.
func TestReplicasShare(t *testing.T) {
	a := newAuthority(t)
	shared := &memory{}
	one, two := newProcess(t, a, shared), newProcess(t, a, shared)
	if shared.changes != 1 {
		t.Errorf("%d changes for one set of secrets", shared.changes)
	}
	two.clock.Add(int64(time.Minute))
	for range 6 {
		client := a.client(tls.VersionTLS13)
		resumes(t, one.address, client)
		if !resumes(t, two.address, client) || !resumes(t, one.address, client) {
			t.Fatalf("not resumed on the other replica at %v", time.Duration(one.clock.Load()))
		}
		one.pass(12*time.Hour - 30*time.Second) // the clocks are on different sides of the next rotation now
		client = a.client(tls.VersionTLS13)
		two.tickets.Step(t.Context())
		two.clock.Add(int64(12*time.Hour - 30*time.Second))
		resumes(t, one.address, client)
		if !resumes(t, two.address, client) {
			t.Fatalf("not resumed on the one that has not noticed at %v", time.Duration(one.clock.Load()))
		}
		two.tickets.Step(t.Context())
	}
}

// TestTicketStoreAway: it costs resumption across processes and nothing else; when it is back, replicas agree.
func TestTicketStoreAway(t *testing.T) {
	a := newAuthority(t)
	shared := &memory{broken: true}
	one, two := newProcess(t, a, shared), newProcess(t, a, shared)
	client := a.client(tls.VersionTLS13)
	resumes(t, one.address, client)
	if !resumes(t, one.address, client) {
		t.Error("not resumed within the process")
	}
	if resumes(t, two.address, client) {
		t.Error("two processes without a store have the same secrets")
	}
	shared.breaks(false)
	one.pass(time.Minute)
	two.pass(time.Minute)
	resumes(t, one.address, client)
	if !resumes(t, two.address, client) {
		t.Error("not resumed on the other replica when the store is back")
	}
	shared.breaks(true)
	one.pass(time.Minute)
	if !resumes(t, two.address, client) || !resumes(t, one.address, client) {
		t.Error("the last known secrets are not used while the store is away")
	}
	// Another store, as after a reload: the tickets go on by themselves, without a step of ours.
	other := &memory{}
	one.tickets.Use(other, time.Hour)
	eventually(t, "the other store has secrets", func() bool {
		data, _ := other.Load(t.Context())
		return data != nil
	})
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.After(60 * time.Second)
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for !done() {
		select {
		case <-pace.C:
		case <-limit:
			t.Fatalf("never came: %s", what)
		}
	}
}

// TestRotation: whatever is stored and however time goes, one secret seals that is not older than a rotation, the next one is there before its time, what
// sealed is accepted for two rotations more and then forgotten, and a second look changes nothing.
func TestRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		every := time.Duration(rapid.Int64Range(int64(time.Minute), int64(7*24*time.Hour)).Draw(t, "every")).Truncate(time.Second)
		at := now
		var stored []byte
		sealed := map[string]time.Time{} // secret → when it last did
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(every*3/2)).Draw(t, "pause")))
			from, next, use := edgetls.Rotate(stored, at, every)
			if _, again, _ := edgetls.Rotate(next, at, every); !bytes.Equal(again, next) {
				t.Fatalf("a second look changes\n%s to\n%s", next, again)
			}
			if !slices.IsSortedFunc(from, time.Time.Compare) || !from[len(from)-1].After(at.Truncate(time.Second)) {
				t.Fatalf("at %v no next one: %v", at, from)
			}
			if since := at.Sub(from[len(from)-2]); since < 0 || since >= every+time.Second {
				t.Fatalf("at %v what seals is of %v: %v", at, since, from)
			}
			if len(use) > 6 {
				t.Fatalf("%d secrets", len(use))
			}
			for secret, last := range sealed {
				accepted := slices.ContainsFunc(use, func(s []byte) bool { return string(s) == secret })
				if !accepted && at.Sub(last) < 2*every-time.Second {
					t.Fatalf("a session of %v ago is not resumed (every %v)", at.Sub(last), every)
				}
				if accepted && at.Sub(last) > 5*every {
					t.Fatalf("a session of %v ago is resumed (every %v)", at.Sub(last), every)
				}
			}
			sealed[string(use[0])] = at
			stored = next
		}
	})
}

// TestRotationClock: a clock that goes back, or a shorter rotation, does not keep a secret for longer than it should.
func TestRotationClock(t *testing.T) {
	_, stored, _ := edgetls.Rotate(nil, now.AddDate(1, 0, 0), time.Hour)
	from, _, use := edgetls.Rotate(stored, now, time.Hour)
	if !from[0].Equal(now) || len(use) != 2 {
		t.Errorf("after a year back: %v", from)
	}
}
