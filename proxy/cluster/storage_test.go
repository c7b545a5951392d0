package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/caddyserver/certmagic"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/redistest"
)

var background = context.Background()

func storageOf(t *testing.T, url string, change ...func(*cluster.Options)) *cluster.Storage {
	t.Helper()
	return join(t, url, change...).NewStorage(t.TempDir())
}

func put(t *testing.T, s certmagic.Storage, keys ...string) {
	t.Helper()
	for _, k := range keys {
		if err := s.Store(background, k, []byte("value of "+k)); err != nil {
			t.Fatal(err)
		}
	}
}

func holds(t *testing.T, s certmagic.Storage, key string) bool {
	t.Helper()
	v, err := s.Load(background, key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err == nil && string(v) != "value of "+key {
		t.Fatalf("%s holds %q", key, v)
	}
	return err == nil
}

// TestStorageContract holds certmagic's own storage of files and ours, on a Redis of each kind, to one contract.
func TestStorageContract(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) certmagic.Storage{
		"files":        func(t *testing.T) certmagic.Storage { return &certmagic.FileStorage{Path: t.TempDir()} },
		"miniredis":    func(t *testing.T) certmagic.Storage { return storageOf(t, "redis://"+miniredis.RunT(t).Addr()) },
		"redis-server": func(t *testing.T) certmagic.Storage { return storageOf(t, redistest.New(t).URL()) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			contractOfKeys(t, s)
			contractOfFolders(t, s)
			contractOfLocks(t, s)
		})
	}
}

func contractOfKeys(t *testing.T, s certmagic.Storage) {
	if _, err := s.Load(background, "certificates/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("load of nothing: %v", err)
	}
	if _, err := s.Stat(background, "certificates/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of nothing: %v", err)
	}
	if s.Exists(background, "certificates/none") {
		t.Error("nothing exists")
	}
	if err := s.Delete(background, "certificates/none"); err != nil {
		t.Errorf("delete of nothing: %v", err)
	}
	began := time.Now().Add(-2 * time.Second)
	for _, v := range []string{"first", "", "\x00\xff third"} {
		if err := s.Store(background, "certificates/ca/a/a.key", []byte(v)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Load(background, "certificates/ca/a/a.key")
		if err != nil || string(got) != v {
			t.Errorf("stored %q, loaded %q %v", v, got, err)
		}
		info, err := s.Stat(background, "certificates/ca/a/a.key")
		if err != nil || info.Key != "certificates/ca/a/a.key" || info.Size != int64(len(v)) || !info.IsTerminal || info.Modified.Before(began) {
			t.Errorf("stat %+v %v", info, err)
		}
	}
}

func contractOfFolders(t *testing.T, s certmagic.Storage) {
	put(t, s, "f/a", "f/b/c", "f/b/d", "f/bb", "g")
	for _, c := range []struct {
		folder    string
		recursive bool
		want      []string
	}{
		{"f", false, []string{"f/a", "f/b", "f/bb"}},
		{"f", true, []string{"f/a", "f/b", "f/b/c", "f/b/d", "f/bb"}},
		{"f/b", false, []string{"f/b/c", "f/b/d"}},
	} {
		got, err := s.List(background, c.folder, c.recursive)
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("list %s, recursive %v: %q %v", c.folder, c.recursive, got, err)
		}
	}
	if _, err := s.List(background, "nowhere", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list of nothing: %v", err)
	}
	if info, err := s.Stat(background, "f/b"); err != nil || info.IsTerminal || !s.Exists(background, "f/b") {
		t.Errorf("a folder: %+v %v", info, err)
	}
	if err := s.Delete(background, "f/b"); err != nil {
		t.Fatal(err)
	}
	if holds(t, s, "f/b/c") || holds(t, s, "f/b/d") || !holds(t, s, "f/bb") || !holds(t, s, "f/a") || s.Exists(background, "f/b") {
		t.Error("deleting a folder took too little or too much")
	}
	if err := s.Delete(background, "f/a"); err != nil || holds(t, s, "f/a") || !holds(t, s, "g") {
		t.Errorf("deleting a key: %v", err)
	}
}

func contractOfLocks(t *testing.T, s certmagic.Storage) {
	if err := s.Lock(background, "l"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(background, 50*time.Millisecond)
	defer cancel()
	if err := s.Lock(short, "l"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked twice: %v", err)
	}
	if ok, err := s.(certmagic.TryLocker).TryLock(short, "l"); ok {
		t.Errorf("tried and locked twice: %v", err)
	}
	if err := s.Lock(background, "other"); err != nil {
		t.Errorf("another lock: %v", err)
	}
	for _, name := range []string{"l", "other"} {
		if err := s.Unlock(background, name); err != nil {
			t.Errorf("unlock %s: %v", name, err)
		}
	}
	if err := s.Unlock(background, "l"); err == nil {
		t.Error("unlocked twice")
	}
	if ok, err := s.(certmagic.TryLocker).TryLock(background, "l"); !ok || err != nil {
		t.Errorf("an unlocked lock is not to be had: %v", err)
	}
	if err := s.Unlock(background, "l"); err != nil {
		t.Error(err)
	}
}

// TestReplicasShareStorage: what one stores the other loads, what it deletes is gone, and nothing private is readable in Redis.
func TestReplicasShareStorage(t *testing.T) {
	r := redistest.New(t)
	a, b := storageOf(t, r.URL()), storageOf(t, r.URL())
	put(t, a, "certificates/ca/x/x.key", "acme/ca/challenge_tokens/x.json")
	if !holds(t, b, "certificates/ca/x/x.key") || !holds(t, b, "acme/ca/challenge_tokens/x.json") {
		t.Error("not shared")
	}
	direct := connect(r)
	defer func() { _ = direct.Close() }()
	for field, stored := range direct.HGetAll(background, "weir:certificates").Val() {
		if strings.Contains(stored, "value of") {
			t.Errorf("%s is readable: %q", field, stored)
		}
	}
	if err := b.Delete(background, "certificates/ca"); err != nil {
		t.Fatal(err)
	}
	if a.Exists(background, "certificates/ca/x/x.json") {
		t.Error("what is gone exists")
	}
	stranger := storageOf(t, r.URL(), func(o *cluster.Options) { o.Secret = "another " + secret })
	if _, err := stranger.Load(background, "acme/ca/challenge_tokens/x.json"); err == nil || !strings.Contains(err.Error(), "previous_secret") {
		t.Errorf("under another secret: %v", err)
	}
	heir := storageOf(t, r.URL(), func(o *cluster.Options) { o.Secret, o.Previous = "another "+secret, secret })
	if !holds(t, heir, "acme/ca/challenge_tokens/x.json") {
		t.Error("not read under the secret before")
	}
	// One thing must not pass for another.
	moved := direct.HGet(background, "weir:certificates", "acme/ca/challenge_tokens/x.json").Val()
	direct.HSet(background, "weir:certificates", "acme/ca/challenge_tokens/y.json", moved)
	if _, err := a.Load(background, "acme/ca/challenge_tokens/y.json"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("moved to another name: %v", err)
	}
}

// TestOneHolderOfALock: of many replicas that want it at once each has it alone; one that dies is waited for no longer than it lives.
func TestOneHolderOfALock(t *testing.T) {
	r := redistest.New(t)
	inside, most := 0, 0
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 6 {
		s := storageOf(t, r.URL())
		wg.Go(func() {
			for range 2 {
				if err := s.Lock(background, "order"); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				_, _ = s.Load(background, "certificates/x") // some time
				mu.Lock()
				inside--
				mu.Unlock()
				if err := s.Unlock(background, "order"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most != 1 {
		t.Errorf("%d holders at once", most)
	}
}

// TestLockLife: a lock is renewed while it is held, runs out when its holder is no more, and its holder does not give back another's.
func TestLockLife(t *testing.T) {
	r := miniredis.RunT(t)
	a, b := storageOf(t, "redis://"+r.Addr()), storageOf(t, "redis://"+r.Addr())
	if err := a.Lock(background, "l"); err != nil {
		t.Fatal(err)
	}
	r.FastForward(20 * time.Second)
	if err := a.RenewLockLease(background, "l", time.Second); err != nil {
		t.Error(err)
	}
	r.FastForward(20 * time.Second)
	if ok, _ := b.TryLock(background, "l"); ok {
		t.Fatal("taken from a holder who renews")
	}
	r.FastForward(31 * time.Second)
	if ok, err := b.TryLock(background, "l"); !ok {
		t.Fatalf("a dead holder's lock is not to be had: %v", err)
	}
	if err := a.RenewLockLease(background, "l", time.Minute); err == nil {
		t.Error("renewed another's")
	}
	if err := a.Unlock(background, "l"); err == nil {
		t.Error("gave back another's")
	}
	if ok, _ := a.TryLock(background, "l"); ok {
		t.Error("another's lock is gone")
	}
	if err := b.RenewLockLease(background, "none", time.Minute); err == nil {
		t.Error("renewed what it does not hold")
	}
}

// TestStorageWithoutRedis: what was read or written before is read from this machine; nothing is written, listed or locked; with Redis back, all goes on.
func TestStorageWithoutRedis(t *testing.T) {
	r := redistest.New(t)
	short := func(o *cluster.Options) { o.Timeout = 20 * time.Second }
	client := join(t, r.URL(), short)
	folder := t.TempDir()
	a, b := client.NewStorage(folder), storageOf(t, r.URL())
	put(t, a, "certificates/ca/x/x.key", "acme/ca/challenge_tokens/x.json")
	put(t, b, "certificates/ca/y/y.key", "certificates/ca/z/z.key")
	if !holds(t, a, "certificates/ca/y/y.key") {
		t.Fatal("not shared")
	}
	r.Kill()
	eventually(t, "it is missed", func() bool { return !client.State().Up })
	if !holds(t, a, "certificates/ca/x/x.key") || !holds(t, a, "certificates/ca/y/y.key") {
		t.Error("the copy is not read")
	}
	if info, err := a.Stat(background, "certificates/ca/x/x.key"); err != nil || info.Size == 0 || info.Modified.IsZero() {
		t.Errorf("stat of the copy: %+v %v", info, err)
	}
	for _, key := range []string{"certificates/ca/z/z.key", "acme/ca/challenge_tokens/x.json"} {
		if _, err := a.Load(background, key); !errors.Is(err, cluster.ErrAway) {
			t.Errorf("%s, which is not here: %v", key, err)
		}
	}
	if err := a.Store(background, "certificates/ca/n", nil); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("store: %v", err)
	}
	if err := a.Delete(background, "certificates/ca/x"); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("delete: %v", err)
	}
	if _, err := a.List(background, "certificates", true); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("list: %v", err)
	}
	if ok, err := a.TryLock(background, "l"); ok || !errors.Is(err, cluster.ErrAway) {
		t.Errorf("lock: %v", err)
	}
	locked := make(chan error, 1)
	go func() { locked <- a.Lock(background, "l") }()
	if info, err := os.Stat(filepath.Join(folder, "certificates/ca/y/y.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v %v", info, err)
	}
	r.Start()
	if err := <-locked; err != nil {
		t.Errorf("who waited for the lock over the outage: %v", err)
	}
	if !holds(t, a, "certificates/ca/z/z.key") {
		t.Error("not shared after the outage")
	}
	if err := a.Unlock(background, "l"); err != nil {
		t.Error(err)
	}
}

// TestRedisThatLostEverything: a folder is put back whole from the first copy that is asked for, and never mixed with another's.
func TestRedisThatLostEverything(t *testing.T) {
	r := miniredis.RunT(t)
	a, b := storageOf(t, "redis://"+r.Addr()), storageOf(t, "redis://"+r.Addr())
	put(t, a, "certificates/ca/x/x.key", "certificates/ca/x/x.crt", "certificates/ca/x/deep/er", "ledger.json")
	if err := b.Store(background, "certificates/ca/x/x.crt", []byte("of b")); err != nil {
		t.Fatal(err)
	}
	r.Del("weir:certificates")
	if !holds(t, a, "certificates/ca/x/x.key") || !holds(t, a, "ledger.json") {
		t.Error("not put back")
	}
	if got, err := b.Load(background, "certificates/ca/x/x.crt"); err != nil || string(got) != "value of certificates/ca/x/x.crt" {
		t.Errorf("the certificate of one beside the key of the other: %q %v", got, err)
	}
	// What was deleted on purpose stays so while its folder is there.
	if err := b.Delete(background, "certificates/ca/x/x.key"); err != nil {
		t.Fatal(err)
	}
	if holds(t, a, "certificates/ca/x/x.key") {
		t.Error("a deleted key is back")
	}
}

// TestManyChallengesAtOnce: requests of clients that ask the storage, however many, leave the link up.
func TestManyChallengesAtOnce(t *testing.T) {
	r := redistest.New(t)
	client := join(t, r.URL())
	s := client.NewStorage(t.TempDir())
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() { _, _ = s.Load(background, fmt.Sprintf("acme/ca/challenge_tokens/%d.json", i)) })
	}
	wg.Wait()
	if st := client.State(); !st.Up {
		t.Errorf("%+v", st)
	}
}

// TestTickets: one of many replicas is first, the others learn of it; the secrets are sealed, go with the cluster's secret, and are read from this
// machine while Redis is away.
func TestTickets(t *testing.T) {
	r := redistest.New(t)
	short := func(o *cluster.Options) { o.Timeout = 20 * time.Second }
	first := join(t, r.URL(), short)
	file := filepath.Join(t.TempDir(), "tickets.json")
	a, b := first.NewTickets(file), join(t, r.URL()).NewTickets(filepath.Join(t.TempDir(), "tickets.json"))
	if data, err := a.Load(background); data != nil || err != nil {
		t.Fatalf("%q %v", data, err)
	}
	if ok, err := a.Replace(background, nil, []byte("top secret 1")); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, c := range []struct {
		old  []byte
		want bool
	}{{nil, false}, {[]byte("another"), false}, {[]byte("top secret 1"), true}, {[]byte("top secret 1"), false}} {
		if ok, err := b.Replace(background, c.old, []byte("top secret 2")); ok != c.want || err != nil {
			t.Errorf("replace %q: %v %v", c.old, ok, err)
		}
	}
	if data, err := a.Load(background); string(data) != "top secret 2" || err != nil {
		t.Errorf("%q %v", data, err)
	}
	other := join(t, r.URL(), func(o *cluster.Options) { o.Secret = "another " + secret }).NewTickets(filepath.Join(t.TempDir(), "t"))
	if data, err := other.Load(background); data != nil || err != nil {
		t.Errorf("under another secret: %q %v", data, err)
	}
	direct := connect(r)
	defer func() { _ = direct.Close() }()
	for _, k := range direct.Keys(background, "weir:tickets:*").Val() {
		if v, _ := direct.Get(background, k).Bytes(); bytes.Contains(v, []byte("secret")) {
			t.Errorf("readable: %q", v)
		}
	}
	r.Kill()
	eventually(t, "it is missed", func() bool { return !first.State().Up })
	if data, err := a.Load(background); string(data) != "top secret 2" || err != nil {
		t.Errorf("while Redis is away: %q %v", data, err)
	}
	if ok, err := a.Replace(background, []byte("top secret 2"), nil); ok || !errors.Is(err, cluster.ErrAway) {
		t.Errorf("replaced while Redis is away: %v", err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v %v", info, err)
	}
}
