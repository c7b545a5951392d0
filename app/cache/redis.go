package cache

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisOptions say where Redis is.
type RedisOptions struct {
	URL string // redis://, rediss:// or unix://, with user, password and database
	TTL time.Duration
	Now func() time.Time
	// Patience bounds every exchange; 0 means 100 ms: what an answer spares, a Monte Carlo run of milliseconds, is not worth longer.
	Patience time.Duration
}

const (
	defaultPatience = 100 * time.Millisecond
	// rest is how long nothing is asked after an exchange that failed: a Redis that takes connections and answers none costs one request in this time its patience.
	rest = time.Second
	// prefix is of all keys, so that others may use the same Redis.
	prefix = "valor:answer:"
)

// Redis is a cache that several processes share. While it is away nothing is kept, and everything is computed. It is a resource: Close it.
type Redis struct {
	options              RedisOptions
	client               *redis.Client
	hits, misses, errors atomic.Uint64
	away                 atomic.Int64  // until when nothing is asked, Unix nanoseconds
	evicted              atomic.Uint64 // what the server last told
}

// NewRedis connects to nobody yet: the first lookup does.
func NewRedis(o RedisOptions) (*Redis, error) {
	ro, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("open cache: not a redis://, rediss:// or unix:// URL") // the error would quote the password
	}
	logging.Disable() // theirs is the process's, and writes to standard error what the counts say
	ro.MaxRetries, ro.DialerRetries = -1, 1
	patience := o.Patience
	if patience <= 0 {
		patience = defaultPatience
	}
	ro.DialTimeout, ro.ReadTimeout, ro.WriteTimeout, ro.PoolTimeout = patience, patience, patience, patience
	ro.ContextTimeoutEnabled = true
	ro.PipelinePoolSize = -1
	// The plain protocol and no introductions: fewer round trips before the first command, and no messages that nobody asked for.
	ro.Protocol, ro.DisableIdentity = 2, true
	ro.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if ro.TLSConfig != nil {
		ro.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: ro.TLSConfig.ServerName}
	}
	return &Redis{options: o, client: redis.NewClient(ro)}, nil
}

func name(key Key) string { return prefix + base64.RawURLEncoding.EncodeToString(key[:]) }

// Get is the answer that is kept under the key. A failure is a miss.
func (r *Redis) Get(ctx context.Context, key Key) ([]byte, bool) {
	answer, ok := r.get(ctx, key)
	if !ok {
		r.misses.Add(1)
		return nil, false
	}
	r.hits.Add(1)
	return answer, true
}

func (r *Redis) get(ctx context.Context, key Key) ([]byte, bool) {
	if r.resting() {
		return nil, false
	}
	answer, err := r.client.Get(ctx, name(key)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, false
	}
	return answer, r.held(ctx, err)
}

// Set keeps an answer if it can.
func (r *Redis) Set(ctx context.Context, key Key, answer []byte) {
	if !r.resting() {
		r.held(ctx, r.client.Set(ctx, name(key), answer, r.options.TTL).Err())
	}
}

// resting counts what is not asked because Redis was away just now.
func (r *Redis) resting() bool {
	if r.options.Now().UnixNano() >= r.away.Load() {
		return false
	}
	r.errors.Add(1)
	return true
}

// held reports whether an exchange went well. One that failed begins a rest, unless its client left.
func (r *Redis) held(ctx context.Context, err error) bool {
	if err == nil {
		return true
	}
	if ctx.Err() == nil {
		r.errors.Add(1)
		r.away.Store(r.options.Now().Add(rest).UnixNano())
	}
	return false
}

// Remote is true: what computes faster than a network answers is not worth asking for.
func (r *Redis) Remote() bool { return true }

// Stats are the counts; while Redis does not tell its evictions, what it told before.
func (r *Redis) Stats(ctx context.Context) Stats {
	if info, err := r.client.Info(ctx, "stats").Result(); err == nil {
		_, rest, _ := strings.Cut(info, "evicted_keys:")
		line, _, _ := strings.Cut(rest, "\r\n")
		if n, err := strconv.ParseUint(line, 10, 64); err == nil {
			r.evicted.Store(n)
		}
	}
	return Stats{Hits: float64(r.hits.Load()), Misses: float64(r.misses.Load()), Errors: float64(r.errors.Load()), Evictions: float64(r.evicted.Load())}
}

// Close ends the connections.
func (r *Redis) Close() error { return r.client.Close() }
