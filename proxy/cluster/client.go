package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

// Options are what a Client works with for its whole life; others make another Client.
type Options struct {
	URL      string         // redis:// or rediss://, with user, password and database
	Roots    *x509.CertPool // trusted for rediss://; nil: the system's
	Secret   string         // what everything private is encrypted under; "": nothing private can be stored
	Previous string         // the secret before it, still read; "": none
	Prefix   string         // of every key
	Timeout  time.Duration  // of every exchange
	Replica  string         // names this process among the replicas
	Risen    func()         // called, on a goroutine of the Client\'s, when the link has come back; nil: nobody wants to know

	Log     *zap.Logger
	Metrics *observe.Cluster
}

// Client is this replica's link to the others. It is a resource with two goroutines, one that keeps the link and one that settles limits; both end with
// Close. While Redis is away every exchange but the keeper's fails at once, so that nobody waits for what is known to be away.
type Client struct {
	options Options
	redis   *redis.Client
	keys    keys
	sharing *limit.Sharing

	risen  chan struct{} // the link is up again; capacity 1
	slots  chan struct{} // one per exchange about certificates and tickets; the others have a connection each
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu    sync.Mutex // guards what follows; held for copies only
	state State
	fewer int // beats in a row, since the link was up, that saw fewer replicas than state says
}

// State is how the link is.
type State struct {
	Address  string
	Up       bool
	Since    time.Time
	Error    string // why it is not up
	Replicas int    // this one included; fewer than before only when as many beats saw fewer as one is remembered for
}

// ErrAway is the error of exchanges that were not tried because Redis is away.
var ErrAway = errors.New("redis is away")

var errBusy = errors.New("too much is asked of redis at once")

// askers is how many exchanges about certificates and tickets there are at a time.
const askers = 2

// poolSize is one connection each for the keeper, the limits, who writes the overlay and who reads it, and those for certificates and tickets.
const poolSize = 4 + askers

// New connects to nobody yet: Start does.
func New(o Options) (*Client, error) {
	ro, err := redis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("read cluster.redis: not a redis:// or rediss:// URL") // the error would quote the password
	}
	logging.Disable() // theirs is the process's, and writes to standard error what State says
	ro.MaxRetries, ro.DialerRetries = -1, 1
	ro.DialTimeout, ro.ReadTimeout, ro.WriteTimeout, ro.PoolTimeout = o.Timeout, o.Timeout, o.Timeout, o.Timeout
	ro.ContextTimeoutEnabled = true
	ro.PoolSize, ro.PipelinePoolSize = poolSize, -1
	// The plain protocol and no introductions: fewer round trips before the first command, and no messages that nobody asked for.
	ro.Protocol, ro.DisableIdentity = 2, true
	ro.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if ro.TLSConfig != nil {
		ro.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: ro.TLSConfig.ServerName, RootCAs: o.Roots}
	}
	c := &Client{
		options: o, redis: redis.NewClient(ro), keys: deriveKeys(o.Secret, o.Previous), risen: make(chan struct{}, 1), slots: make(chan struct{}, askers),
		state: State{Address: ro.Addr, Since: time.Now(), Error: "not asked yet", Replicas: 1},
	}
	c.sharing = limit.NewSharing(limit.SharingOptions{Secret: c.keys.limits, Patience: o.Timeout, Start: time.Now()})
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Start says hello, waits for the answer no longer than one exchange may take, and keeps the link from then on. It cannot fail: State says how it went.
func (c *Client) Start() {
	c.beat()
	c.work.Go(c.keep)
	c.work.Go(c.settle)
}

// Close takes leave of the other replicas and ends the link.
func (c *Client) Close() {
	c.cancel()
	c.work.Wait()
	if c.State().Up {
		ctx, cancel := context.WithTimeout(context.Background(), c.options.Timeout)
		_ = c.redis.ZRem(ctx, c.key("replicas"), c.options.Replica).Err() // if not, the others find out by themselves
		cancel()
	}
	_ = c.redis.Close()
}

// State is how the link is now.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Sharing is what shared limits count through.
func (c *Client) Sharing() *limit.Sharing { return c.sharing }

// key is the name of something of ours in Redis.
func (c *Client) key(name string) string { return c.options.Prefix + name }

// do is one exchange, if the link is up. It tells the link's state by how it went.
func (c *Client) do(ctx context.Context, operation observe.ClusterOperation, f func(ctx context.Context) error) error {
	if !c.State().Up {
		return ErrAway
	}
	return c.try(ctx, operation, f)
}

// ask is do for what clients can cause: it waits for its turn, so that however many of them do, limits and signs of life go on.
func (c *Client) ask(parent context.Context, operation observe.ClusterOperation, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(parent, c.options.Timeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
		return c.do(parent, operation, f)
	case <-ctx.Done():
		if parent.Err() != nil {
			return parent.Err()
		}
		return errBusy
	}
}

// try is do on a link that may be down.
func (c *Client) try(parent context.Context, operation observe.ClusterOperation, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(parent, c.options.Timeout)
	defer cancel()
	began := time.Now()
	err := f(ctx)
	switch {
	case err == nil || errors.Is(err, redis.Nil):
		c.options.Metrics.Done(operation, time.Since(began))
		return err
	case parent.Err() != nil:
		return parent.Err() // who asked has gone; nothing is known of the link
	}
	c.options.Metrics.Failed(operation)
	c.fell(err)
	return fmt.Errorf("ask redis: %w", err)
}

// fell is called with whatever went wrong, answers of Redis included: one that is loading, read-only, full or wants another password serves nobody.
func (c *Client) fell(err error) {
	c.mu.Lock()
	was := c.state.Up
	if was {
		c.state.Since, c.fewer = time.Now(), 0
	}
	c.state.Up, c.state.Error = false, err.Error()
	c.mu.Unlock()
	c.sharing.SetAway(true)
	if was {
		c.options.Log.Warn("redis is away: what replicas share goes on here alone", zap.String(observe.KeyServerAddress, c.state.Address), observe.Err(err))
	}
}

// rose is called when the keeper was answered.
func (c *Client) rose(replicas int) {
	c.mu.Lock()
	now := time.Now()
	was, away := c.state.Up, now.Sub(c.state.Since)
	if !was {
		c.state.Up, c.state.Since, c.state.Error = true, now, ""
	}
	// Fewer may be those that are not back yet, when Redis was away, or when their machines or this one stood still: what each may give alone must not grow by that. Counted in
	// beats, because time goes on for one who stands still.
	if c.fewer++; replicas >= c.state.Replicas || c.fewer > int(beatLife/beatEvery) {
		c.state.Replicas, c.fewer = replicas, 0
	}
	replicas = c.state.Replicas
	c.mu.Unlock()
	c.sharing.SetReplicas(replicas)
	c.sharing.SetAway(false)
	if was {
		return
	}
	c.options.Log.Info("redis is there", zap.String(observe.KeyServerAddress, c.state.Address), zap.Int("weir.replicas", replicas), zap.Duration("weir.after", away))
	select {
	case c.risen <- struct{}{}:
	default:
	}
	if c.options.Risen != nil {
		c.options.Risen()
	}
}
