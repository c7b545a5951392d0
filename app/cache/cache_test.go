package cache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/valor-ivx/weir/app/cache"
)

// either is what both caches have.
type either interface {
	Get(ctx context.Context, key cache.Key) ([]byte, bool)
	Set(ctx context.Context, key cache.Key, answer []byte)
	Stats(ctx context.Context) cache.Stats
	Close() error
}

// each runs a test on a memory and on a Redis of its own, both with an hour to live.
func each(t *testing.T, test func(t *testing.T, c either)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		test(t, cache.NewMemory(cache.MemoryOptions{Bytes: 1 << 20, TTL: time.Hour, Now: time.Now}))
	})
	t.Run("redis", func(t *testing.T) {
		c, _ := shared(t, startRedis(t, ""), time.Hour)
		test(t, c)
	})
}

func TestAnswersAreKept(t *testing.T) {
	each(t, func(t *testing.T, c either) {
		a, b := cache.KeyOf("v1", "/api/dcf", "{}"), cache.KeyOf("v2", "/api/dcf", "{}")
		if _, ok := c.Get(t.Context(), a); ok {
			t.Error("an answer before the first")
		}
		want := []byte("{\"x\": \"\\u0000\xff\"}\n")
		c.Set(t.Context(), a, want)
		c.Set(t.Context(), b, nil)
		c.Set(t.Context(), a, want)
		for range 3 {
			if got, ok := c.Get(t.Context(), a); !ok || !bytes.Equal(got, want) {
				t.Errorf("%q, %v", got, ok)
			}
		}
		if got, ok := c.Get(t.Context(), b); !ok || len(got) != 0 {
			t.Errorf("%q, %v", got, ok)
		}
		if s := c.Stats(t.Context()); s != (cache.Stats{Hits: 4, Misses: 1}) {
			t.Errorf("%+v", s)
		}
	})
}

func TestCallersAtOnce(t *testing.T) {
	each(t, func(t *testing.T, c either) {
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 100 {
					key := cache.KeyOf(fmt.Sprint(i * g % 50))
					want := []byte(fmt.Sprint(i * g % 50))
					if got, ok := c.Get(t.Context(), key); ok && !bytes.Equal(got, want) {
						t.Errorf("%q for %q", got, want)
					}
					c.Set(t.Context(), key, want)
				}
			})
		}
		wg.Wait()
		if s := c.Stats(t.Context()); s.Hits+s.Misses != 800 {
			t.Errorf("%+v", s)
		}
	})
}

func TestKeysKnowWhereAPartEnds(t *testing.T) {
	seen := map[cache.Key][]string{}
	for _, parts := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {"ab", "d"}, nil} {
		if other, ok := seen[cache.KeyOf(parts...)]; ok {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[cache.KeyOf(parts...)] = parts
	}
}

func TestMemoryForgetsByAge(t *testing.T) {
	now := time.Unix(1000, 0)
	m := cache.NewMemory(cache.MemoryOptions{Bytes: 1 << 20, TTL: time.Minute, Now: func() time.Time { return now }})
	key := cache.KeyOf("a")
	m.Set(t.Context(), key, []byte("x"))
	now = now.Add(time.Minute - 1)
	if _, ok := m.Get(t.Context(), key); !ok {
		t.Error("gone before its time")
	}
	now = now.Add(1)
	if _, ok := m.Get(t.Context(), key); ok {
		t.Error("there after its time")
	}
	if s := m.Stats(t.Context()); s != (cache.Stats{Hits: 1, Misses: 1}) {
		t.Errorf("%+v: age is no eviction", s)
	}
}

// Without room the longest unused goes, and is counted; one that is too large for all is not kept.
func TestMemoryHasItsBound(t *testing.T) {
	m := cache.NewMemory(cache.MemoryOptions{Bytes: 64 << 10, TTL: time.Hour, Now: time.Now})
	key := func(n int) cache.Key { return cache.KeyOf(fmt.Sprint(n)) }
	answer := bytes.Repeat([]byte("x"), 2<<10-256) // 32 of them fill it
	for n := range 32 {
		m.Set(t.Context(), key(n), answer)
	}
	m.Get(t.Context(), key(0))
	m.Set(t.Context(), key(32), answer)
	m.Set(t.Context(), key(33), bytes.Repeat([]byte("x"), 5<<10))
	for n, want := range map[int]bool{0: true, 1: false, 2: true, 32: true, 33: false} {
		if _, ok := m.Get(t.Context(), key(n)); ok != want {
			t.Errorf("answer %d is there: %v", n, ok)
		}
	}
	if s := m.Stats(t.Context()); s.Evictions != 1 {
		t.Errorf("%+v", s)
	}
	for range 1000 { // the same one again and again takes no more room
		m.Set(t.Context(), key(32), answer)
	}
	if s := m.Stats(t.Context()); s.Evictions != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRedisForgetsByAge(t *testing.T) {
	server := startRedis(t, "")
	c, raw := shared(t, server, 90*time.Second)
	c.Set(t.Context(), cache.KeyOf("a"), []byte("x"))
	keys, err := raw.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) != 1 || !strings.HasPrefix(keys[0], "valor:answer:") {
		t.Fatalf("%v, %v", keys, err)
	}
	if left, err := raw.PTTL(t.Context(), keys[0]).Result(); err != nil || left <= 0 || left > 90*time.Second {
		t.Errorf("%v to live, %v", left, err)
	}
	if err := raw.PExpire(t.Context(), keys[0], -1).Err(); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get(t.Context(), cache.KeyOf("a")); ok {
		t.Error("there after its time")
	}
}

func TestRedisEvictionsAreCounted(t *testing.T) {
	c, raw := shared(t, startRedis(t, "4mb"), time.Hour)
	answer := bytes.Repeat([]byte("x"), 64<<10)
	for n := range 200 { // 12 MB into 4, each acknowledged
		c.Set(t.Context(), cache.KeyOf(fmt.Sprint(n)), answer)
	}
	evicted := func() (n float64) { // any command may evict, so the count is asked for on both sides
		info, err := raw.Info(t.Context(), "stats").Result()
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(info, "evicted_keys:")
		if _, err := fmt.Sscan(line, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := evicted()
	s := c.Stats(t.Context())
	if after := evicted(); s.Errors > 0 || s.Evictions < 100 || s.Evictions < before || s.Evictions > after {
		t.Errorf("%+v, and the server has counted %v to %v", s, before, after)
	}
}

// Without Redis every lookup is a miss and is counted as an error; it is asked again after a while, not each time.
func TestRedisAwayAndBack(t *testing.T) {
	server := startRedis(t, "")
	now := time.Unix(1000, 0)
	c, err := cache.NewRedis(cache.RedisOptions{URL: "unix://" + server.socket, TTL: time.Hour, Now: func() time.Time { return now }, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := cache.KeyOf("a")
	server.stop(t)
	for i := range 5 {
		c.Set(t.Context(), key, []byte("x"))
		if _, ok := c.Get(t.Context(), key); ok {
			t.Error("an answer from nobody")
		}
		if s := c.Stats(t.Context()); s.Errors != float64(2*i+2) || s.Misses != float64(i+1) {
			t.Fatalf("%+v after %d rounds", s, i+1)
		}
	}
	server.run(t)
	before := c.Stats(t.Context()).Errors
	c.Set(t.Context(), key, []byte("x"))
	if s := c.Stats(t.Context()); s.Errors != before+1 {
		t.Errorf("asked before its time: %+v", s)
	}
	for ok := false; !ok; { // a connection from before may be found broken first
		now = now.Add(time.Hour)
		c.Set(t.Context(), key, []byte("y"))
		var got []byte
		if got, ok = c.Get(t.Context(), key); ok && string(got) != "y" {
			t.Errorf("%q", got)
		}
	}
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "redis://:hunter2@h:port", "http://:hunter2@h"} {
		if _, err := cache.NewRedis(cache.RedisOptions{URL: url}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// redisServer is Debian's redis-server on a socket of its own.
type redisServer struct {
	socket, memory string
	process        *exec.Cmd
}

func startRedis(t *testing.T, memory string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs redis-server (make deps), and skips are forbidden")
		}
		t.Skip("skipped: needs redis-server (make deps)")
	}
	dir, err := os.MkdirTemp("", "rd") // short: the path of a socket may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{socket: filepath.Join(dir, "s"), memory: memory}
	r.run(t)
	t.Cleanup(func() {
		if r.process != nil {
			r.stop(t)
		}
		os.RemoveAll(dir)
	})
	return r
}

// run starts the server and waits until it answers.
func (r *redisServer) run(t *testing.T) {
	t.Helper()
	args := []string{"--port", "0", "--unixsocket", r.socket, "--save", "", "--dir", filepath.Dir(r.socket)}
	if r.memory != "" {
		args = append(args, "--maxmemory", r.memory, "--maxmemory-policy", "allkeys-lru")
	}
	r.process = exec.Command("redis-server", args...)
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; {
		if conn, err := net.Dial("unix", r.socket); err == nil {
			_, err = conn.Write([]byte("PING\r\n"))
			said := make([]byte, 5)
			if err == nil {
				_, err = io.ReadFull(conn, said)
			}
			conn.Close()
			if err == nil && string(said) == "+PONG" {
				return
			}
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
	}
}

func (r *redisServer) stop(t *testing.T) {
	t.Helper()
	if err := r.process.Process.Kill(); err != nil {
		t.Error(err)
	}
	var exit *exec.ExitError
	if err := r.process.Wait(); !errors.As(err, &exit) {
		t.Error(err)
	}
	r.process = nil
}

// shared is a cache on the server, and a plain client beside it.
func shared(t *testing.T, r *redisServer, ttl time.Duration) (*cache.Redis, *redis.Client) {
	t.Helper()
	c, err := cache.NewRedis(cache.RedisOptions{URL: "unix://" + r.socket, TTL: ttl, Now: time.Now, Patience: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	raw := redis.NewClient(&redis.Options{Network: "unix", Addr: r.socket})
	t.Cleanup(func() { c.Close(); raw.Close() })
	return c, raw
}
