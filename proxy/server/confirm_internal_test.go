package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	edgetls "github.com/valor-ivx/weir/tls"
)

// unsure is a server whose timers, signals and file changes are the test's: nothing happens that it does not do.
type unsure struct {
	*Server
	t    *testing.T
	path string
	pair edgetls.Pair
}

func newUnsure(t *testing.T) *unsure {
	t.Helper()
	dir, err := os.MkdirTemp("", "wu") // a unix socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := &unsure{t: t, path: filepath.Join(dir, "weir.toml")}
	ca, err := edgetls.OpenLocalCA(filepath.Join(dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if u.pair, err = ca.Leaf([]string{"localhost"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	u.write(1)
	if u.Server, err = start(Options{ConfigPath: u.path, Version: "test", Command: []string{"weir"}, Stdout: io.Discard, Stderr: io.Discard}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		u.stopping.Store(true)
		u.end()
		u.forgetUnconfirmed()
		u.watcher.close()
		u.drain(context.Background(), nil, admin.StopNow)
	})
	u.seen(false)
	return u
}

// write makes the file one that is told from others by its max_body; 1 alone has a certificate.
func (u *unsure) write(kib int) {
	u.t.Helper()
	more := ""
	if kib == 1 {
		more = fmt.Sprintf("[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\n[[tls.certificate]]\ncert = %q\nkey = %q\n", u.pair.Cert, u.pair.Key)
	}
	text := fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n%s"+
		"[[route]]\nservice = \"api\"\nmax_body = \"%dKiB\"\n[service.api.group.blue]\ntargets = [\"127.0.0.1:9\"]\n", filepath.Dir(u.path), more, kib)
	if err := os.WriteFile(u.path, []byte(text), 0o600); err != nil {
		u.t.Fatal(err)
	}
}

// take reloads the file, to be confirmed or not.
func (u *unsure) take(confirm time.Duration) {
	u.t.Helper()
	if _, err := u.reload(u.t.Context(), order{trigger: "admin", confirm: confirm, by: "ann"}); err != nil {
		u.t.Fatal(err)
	}
}

// expect holds what is in force to its max_body, and to whose place it waits to keep; 0: nobody's.
func (u *unsure) expect(kib int64, unconfirmedOver uint64) {
	u.t.Helper()
	g, pending := u.current.Load(), u.unconfirmed.Load()
	if got := int64(g.plan.config.Routes[0].MaxBody) >> 10; got != kib {
		u.t.Fatalf("%d is in force, want %d", got, kib)
	}
	if (pending != nil) != (unconfirmedOver > 0) || pending != nil && pending.generation != unconfirmedOver || (pending == nil) != (u.dueBack == nil) {
		u.t.Fatalf("pending %+v, timer %v, want over %d", pending, u.dueBack, unconfirmedOver)
	}
}

// seen holds the file watch to find a change, or none.
func (u *unsure) seen(want bool) {
	u.t.Helper()
	u.watcher.look()
	got := false
	select {
	case <-u.watcher.changed:
		got = true
	default:
	}
	if got != want {
		u.t.Fatalf("the watch finds a change: %v, want %v", got, want)
	}
}

// TestUnconfirmed: what was in force before comes back when the time is over or somebody says so, whatever was reloaded meanwhile, and stays when it was confirmed.
func TestUnconfirmed(t *testing.T) {
	u := newUnsure(t)
	if err := u.confirm(admin.Precondition{}); !errors.Is(err, admin.ErrNothingUnconfirmed) {
		t.Fatal(err)
	}
	u.take(time.Hour) // nothing new: nothing to confirm
	u.expect(1, 0)
	u.write(2)
	u.take(time.Hour)
	u.expect(2, 1)
	first := u.unconfirmed.Load()
	u.write(3)
	u.take(0) // by signal, say
	u.expect(3, 1)
	if second := u.unconfirmed.Load(); second == first || !second.until.Equal(first.until) || second.by != "ann" {
		t.Fatalf("%+v after %+v", second, first)
	}
	u.expired(first) // its timer was under way when the second reload came
	u.expect(3, 1)
	u.take(2 * time.Hour) // the same file, and more time
	second := u.unconfirmed.Load()
	if u.expect(3, 1); !second.until.After(first.until) {
		t.Fatalf("until %s, was %s", second.until, first.until)
	}
	var busy *admin.BusyError
	if _, err := u.upgrade(t.Context(), "ann"); !errors.As(err, &busy) || !strings.Contains(busy.Detail, "confirm") || u.upgrading.Load() {
		t.Fatalf("an upgrade would make the file stay: %v", err)
	}
	u.expect(3, 1)
	number := u.current.Load().number
	u.expired(second)
	u.expect(1, 0)
	if g := u.current.Load().number; g != number+1 {
		t.Fatalf("generation %d after %d", g, number)
	}
	if a := u.attempt.Load(); a.OK || a.Trigger != "revert" || len(a.Errors) != 1 {
		t.Fatalf("%+v", a)
	}
	u.seen(false) // the file has not changed: it must not come back by itself
	u.take(0)     // but when somebody asks for it
	u.expect(3, 0)
	u.write(4)
	u.seen(true)
	u.take(time.Hour)
	u.expect(4, number+2)
	if err := u.confirm(admin.Precondition{}); err != nil {
		t.Fatal(err)
	}
	u.expect(4, 0)
	if _, err := u.takeBack(t.Context(), admin.Precondition{}); !errors.Is(err, admin.ErrNothingUnconfirmed) {
		t.Fatal(err)
	}
	u.write(5)
	u.take(time.Hour)
	if _, err := u.takeBack(t.Context(), admin.Precondition{}); err != nil {
		t.Fatal(err)
	}
	u.expect(4, 0)
}

// TestUnconfirmedAfterTheWatch: the file watch takes a file before anybody has typed a command; what it has replaced lately comes back, and nothing older.
func TestUnconfirmedAfterTheWatch(t *testing.T) {
	u := newUnsure(t)
	watch := func(kib int) {
		t.Helper()
		u.write(kib)
		u.seen(true)
		if _, err := u.reload(t.Context(), order{trigger: "file"}); err != nil {
			t.Fatal(err)
		}
		u.expect(int64(kib), 0)
	}
	watch(2)
	watch(3)
	u.take(time.Hour)
	u.expect(3, 1)
	u.expired(u.unconfirmed.Load())
	u.expect(1, 0)
	u.take(0)
	u.expect(3, 0)
	u.take(time.Hour) // what came by hand came for good
	u.expect(3, 0)
	watch(4)
	u.write(5)
	u.take(0)
	u.take(time.Hour)
	u.expect(5, 0)
	watch(6)
	u.watched.at = u.watched.at.Add(-watchedLately)
	u.take(time.Hour) // too late
	u.expect(6, 0)
	watch(7)
	over := u.current.Load().number
	u.write(8)
	u.take(time.Hour)
	u.expect(8, over)
}

// TestUnconfirmedFileIsPutBack: a file that says again what was in force before ends the wait.
func TestUnconfirmedFileIsPutBack(t *testing.T) {
	u := newUnsure(t)
	u.write(2)
	u.take(time.Hour)
	u.write(1)
	u.seen(true)
	u.take(0)
	u.expect(1, 0)
	u.seen(false)
}

// TestUnconfirmedFileChangesLate: a change that the watch has not found when a configuration is taken back is found after that.
func TestUnconfirmedFileChangesLate(t *testing.T) {
	u := newUnsure(t)
	u.write(2)
	u.take(time.Hour)
	u.write(3)
	u.expired(u.unconfirmed.Load())
	u.expect(1, 0)
	u.seen(true)
	u.seen(false)
}

// TestUnconfirmedCannotBeTakenBack: without its files the configuration from before cannot come back; what is in force stays, that is told, and it is tried again.
func TestUnconfirmedCannotBeTakenBack(t *testing.T) {
	u := newUnsure(t)
	u.write(2)
	u.take(time.Second * 3600)
	aside := u.pair.Key + ".aside"
	if err := os.Rename(u.pair.Key, aside); err != nil {
		t.Fatal(err)
	}
	before := u.unconfirmed.Load()
	if _, err := u.takeBack(t.Context(), admin.Precondition{}); err == nil {
		t.Fatal("taken back without a key")
	}
	u.expect(2, 1)
	if p := u.unconfirmed.Load(); p.failure == nil || !p.until.Equal(before.until) || u.status().Config.Unconfirmed.Error == "" {
		t.Fatalf("%+v", p)
	}
	late := *u.unconfirmed.Load()
	late.until = time.Now()
	u.reloading.Lock()
	u.unconfirmed.Store(&late)
	u.reloading.Unlock()
	u.expired(&late)
	u.expect(2, 1)
	if p := u.unconfirmed.Load(); time.Until(p.until) > takeBackAgain || time.Until(p.until) < time.Second {
		t.Fatalf("tried again in %s", time.Until(p.until))
	}
	if err := os.Rename(aside, u.pair.Key); err != nil {
		t.Fatal(err)
	}
	u.expired(u.unconfirmed.Load())
	u.expect(1, 0)
}
