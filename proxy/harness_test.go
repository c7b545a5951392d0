package proxy_test

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/upstream"
)

// edge is a proxy on a real listener in front of given upstream addresses, one group each.
type edge struct {
	t        testing.TB
	proxy    *proxy.Proxy
	registry *upstream.Registry
	metrics  *observe.Metrics
	address  string
	listener *proxy.Listener
	route    proxy.Route
	service  *proxy.Service
	books    *books // nil when the access log is off
	sink     *observe.Sink
	from     netip.Addr // of edgeOptions
	taps     observe.Taps
}

type edgeOptions struct {
	groups       map[string][]string // group → addresses
	order        []string
	weights      []uint32
	whenEmpty    balancer.WhenEmpty
	maxBody      int64
	timeout      time.Duration
	response     time.Duration
	idle         time.Duration
	hedge        time.Duration
	adaptive     *upstream.AdaptiveOptions
	http1        http1.ServerOptions
	tries        int
	budget       *upstream.RetryBudget
	ejection     *upstream.EjectionOptions
	health       *upstream.HealthOptions // with it nobody is asked while nobody is healthy
	transport    upstream.Transport
	quiet        bool // no access log
	breaker      *upstream.BreakerOptions
	priority     upstream.Priority
	bots         []string        // of low priority
	clock        func(now int64) // called with every reading of the clock; may panic
	ahead        *atomic.Int64   // ns that the clock is ahead of the world's, by which sockets time out; nil: it is not
	from         netip.Addr      // valid: every connection is said to be this address's
	certificates func() *edgetls.Store
	trial        *proxy.Trial
	recent       *proxy.Recent
}

func defaults(addresses ...string) edgeOptions {
	return edgeOptions{
		groups: map[string][]string{"blue": addresses}, order: []string{"blue"}, weights: []uint32{10000},
		budget:  upstream.NewRetryBudget(1, 0), // every request earns its retry: the floor needs a clock that is some seconds old
		maxBody: 10 << 20, response: patienceOfTests, idle: patienceOfTests, tries: 2,
		http1: http1.ServerOptions{Limits: http1.DefaultLimits(), IdleTimeout: patienceOfTests, HeaderTimeout: patienceOfTests, BodyTimeout: patienceOfTests, WriteTimeout: patienceOfTests},
	}
}

func newEdge(t testing.TB, o edgeOptions) *edge {
	t.Helper()
	e := &edge{t: t, from: o.from, metrics: observe.NewMetrics(observe.Build{})}
	e.registry = upstream.NewRegistry(upstream.Options{})
	s := &proxy.Service{
		Name: "api", WhenEmpty: o.whenEmpty, Ticket: new(atomic.Uint64), Tries: o.tries,
		Budget:         o.budget,
		ConnectTimeout: patienceOfTests, ResponseTimeout: o.response, IdleTimeout: o.idle,
		Metrics: e.metrics.Service("api", proxy.RetryReasons()...),
	}
	if s.HedgeDelay = o.hedge; o.hedge > 0 {
		e.metrics.CountHedges(s.Metrics, "api", proxy.HedgeResults()...)
	}
	if o.breaker != nil {
		s.Breaker, s.LowAgents = upstream.NewBreaker(*o.breaker), proxy.NewAgents(o.bots)
		s.Queue = e.metrics.Queue(observe.QueueOptions{Service: "api", Priorities: []string{"critical", "high", "normal", "low"}, Reasons: proxy.ShedReasons()})
	}
	var shares []balancer.Share
	for i, name := range o.order {
		var targets []upstream.Target
		for _, a := range o.groups[name] {
			targets = append(targets, upstream.Target{Address: a, Weight: 1})
		}
		options := upstream.PoolOptions{Service: "api", Group: name, Targets: targets, Balance: balancer.PeakEWMA, Ejection: o.ejection, Health: o.health, Transport: o.transport, Adaptive: o.adaptive}
		if o.health != nil {
			options.WhenNoneHealthy = upstream.Reject
		}
		pool, err := e.registry.Acquire(options)
		if err != nil {
			t.Fatal(err)
		}
		pool.WaitKnown(t.Context())
		t.Cleanup(pool.Release)
		s.Groups = append(s.Groups, proxy.Group{Name: name, Pool: pool, Metrics: e.metrics.Group("api", name), Assigned: new(atomic.Uint64)})
		shares = append(shares, balancer.Share{Name: name, Weight: o.weights[i]})
	}
	s.Split, s.Shares, s.Trial = balancer.NewSplit([]byte("secret"), 1, shares), shares, o.trial
	s.Recent = o.recent
	e.service = s
	table, err := route.New([]route.Rule{{Name: "all", Kind: route.Prefix, Path: "/"}})
	if err != nil {
		t.Fatal(err)
	}
	e.route = proxy.Route{Name: "all", Service: s, MaxBody: o.maxBody, Timeout: o.timeout, Priority: o.priority, Metrics: []*observe.Route{e.metrics.Route("http", "all")}}
	snap := &proxy.Snapshot{Generation: 1, Table: table, Routes: []proxy.Route{e.route}, Recorder: observe.NewRecorder(observe.RecorderOptions{Requests: 64, Slow: time.Nanosecond}),
		Unrouted: proxy.Route{Name: "-", MaxBody: -1, Metrics: []*observe.Route{e.metrics.Route("http", "-")}}}
	if !o.quiet {
		e.books, e.sink = newBooks(t)
		snap.Access = observe.NewAccessLog(observe.JSON, e.sink)
	}
	now := e.registry.Now
	if o.clock != nil {
		now = func() int64 {
			n := e.registry.Now()
			o.clock(n)
			return n
		}
	}
	if real := now; o.ahead != nil {
		now = func() int64 { return real() + o.ahead.Load() }
	}
	e.proxy = proxy.New(proxy.Options{Logger: zap.NewNop(), HTTP1: o.http1, Now: now, Certificates: o.certificates, Taps: &e.taps}, snap)
	e.listen()
	return e
}

func (e *edge) listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	e.address = l.Addr().String()
	_, port, _ := net.SplitHostPort(e.address)
	e.listener = &proxy.Listener{Name: "http", Scheme: "http", Port: port, Metrics: e.metrics.Listener("http")}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if e.from.IsValid() {
				conn = &proxy.Claimed{Conn: conn, From: e.from}
			}
			go e.proxy.Serve(conn, e.listener, nil)
		}
	}()
	e.t.Cleanup(func() {
		_ = l.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		e.proxy.Shutdown(ctx)
		if e.sink != nil {
			if err := e.sink.Close(context.Background()); err != nil {
				e.t.Error(err)
			}
		}
		e.audit()
		e.registry.Close()
	})
}
