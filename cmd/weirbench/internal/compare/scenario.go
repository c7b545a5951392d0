package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// Figure is one number a scenario gives per proxy and round.
type Figure struct {
	Name string `json:"figure"`
	Unit string `json:"unit"`
	// Issue is the letter of the issue that makes the demands below. Empty: there are none.
	Issue string `json:"issue,omitempty"`
	// MaxRatio is the highest weir ÷ peer that the issue allows, by peer. Empty: no such demand.
	MaxRatio map[peer.Name]float64 `json:"max_ratio,omitempty"`
	// Max is the highest value the issue allows weir. Nil: no such demand.
	Max *float64 `json:"max,omitempty"`
	// Worst makes the worst round count instead of the median (errors: one is too many).
	Worst bool `json:"worst_round,omitempty"`
}

// scenario is one kind of load. Its figures come from measure in the same order.
type scenario struct {
	name         string
	what         string // for the report
	figures      []Figure
	tool         peer.Name       // program that makes the load, empty for ours
	log, tls, h2 bool            // of the proxy's job
	guarded      bool            // beside a protected host, which is weir alone with itself
	rollout      bool            // beside a host with a rollout, which is weir alone with itself
	observed     bool            // beside a second process that writes an access log, which is weir alone with itself
	h3           bool            // by HTTP/3, which no peer here speaks: weir alone
	h2c          bool            // to an origin that speaks HTTP/2 without TLS; nginx cannot
	web          bool            // of files on disk, in place of an origin; HAProxy serves none
	std          bool            // measured beside Go's standard stack too
	slow         []time.Duration // origins of this process that take so long, instead of nginx
	// workers and work describe an origin of this process that works on so many requests at a time, each for so long; what is in flight to it is bounded to that.
	workers int
	work    time.Duration
	measure func(context.Context, *trial) ([]float64, error)
}

// fits says whether a proxy takes part.
func (s *scenario) fits(n peer.Name) bool {
	switch n {
	case peer.Weir:
		return true
	case peer.GoStd:
		return s.std && !s.h3
	case peer.HAProxy:
		return !s.h3 && !s.web && !s.itself()
	case peer.Nginx:
		return !s.h2c && !s.h3 && !s.itself()
	}
	return !s.h3
}

// itself says whether weir is measured beside itself and beside nobody else.
func (s *scenario) itself() bool { return s.guarded || s.rollout || s.observed }

// windows are the lengths of a run's parts.
type windows struct {
	warm, open          time.Duration // wrk and bulk bodies
	turns               int           // of the two sides of a weir beside itself, each as long as warm: what drifts on the machine meanwhile is in both
	settle              time.Duration // idle connections before memory is read
	connections         int           // of idle-10k and paced-10k
	paceRate            int
	paceWarm, paceOpen  time.Duration
	slowRate, slowConns int
	slowWarm, slowOpen  time.Duration
	calm, flood         time.Duration // overload: at half load, and its window
	floodConns          int
}

// The full windows keep CPU figures far above the 10 ms clock tick, should /proc have nothing finer.
// slow-backend warms up until a policy that learns has seen each origin some hundred times.
var (
	fullWindows = windows{
		warm: time.Second, open: 5 * time.Second, turns: 5, settle: 10 * time.Second, connections: 10000,
		paceRate: 10000, paceWarm: 2 * time.Second, paceOpen: 10 * time.Second,
		slowRate: 600, slowConns: 256, slowWarm: 3 * time.Second, slowOpen: 10 * time.Second,
		calm: 4 * time.Second, flood: 10 * time.Second, floodConns: 2000,
	}
	quickWindows = windows{
		warm: time.Second, open: 2 * time.Second, turns: 1, settle: 300 * time.Millisecond, connections: 200,
		paceRate: 500, paceWarm: 200 * time.Millisecond, paceOpen: time.Second,
		slowRate: 200, slowConns: 64, slowWarm: 300 * time.Millisecond, slowOpen: time.Second,
		calm: 500 * time.Millisecond, flood: time.Second, floodConns: 400,
	}
)

// h2load's 16 × 8 is issue B's; as many workers open connections in handshake, which keeps a core busy
// without a queue at the listener.
const (
	wrkConns         = 64
	h2Conns          = 16
	h2Streams        = 8
	handshakeWorkers = 16
)

// The programs that make load.
const (
	wrk    peer.Name = "wrk"
	h2load peer.Name = "h2load"
)

func atMost(v float64) *float64 { return &v }

// scenarios returns all of them in report order, with the demands of the issues.
func scenarios() []scenario {
	cpu := func(unit, issue string, max map[peer.Name]float64) []Figure {
		return []Figure{{Name: "CPU", Unit: unit, Issue: issue, MaxRatio: max}}
	}
	return []scenario{
		{name: "h1-get", what: "small GET, 64 keep-alive connections (wrk)", tool: wrk, measure: wrkTrial(gen.Wrk{}, peer.PathSmall),
			figures: cpu("µs/request", "A", map[peer.Name]float64{peer.Nginx: 1.15, peer.HAProxy: 1.15})},
		{name: "h1-get-log", what: "the same with an access log: combined, HTTP log, JSON", tool: wrk, log: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathSmall), figures: cpu("µs/request", "", nil)},
		{name: "h1-tls", what: "the same over TLS 1.3, AES-128-GCM, ECDSA P-256", tool: wrk, tls: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathSmall), figures: cpu("µs/request", "B", map[peer.Name]float64{peer.Nginx: 1.15})},
		{name: "h2-get", what: "small GET over HTTP/2 and the same TLS, 16 connections × 8 streams (h2load)", tool: h2load, tls: true, h2: true, std: true,
			measure: h2Trial, figures: cpu("µs/request", "B", map[peer.Name]float64{peer.Nginx: 0.8, peer.HAProxy: 1.1, peer.GoStd: 0.2})},
		{name: "h3-get", what: "small GET over HTTP/3, TLS and counts as in h2-get (quic-go's client); no peer: Debian's nginx and HAProxy have no HTTP/3, so it stands beside weir's own h2-get",
			tls: true, h3: true, measure: h3Trial, figures: cpu("µs/request", "", nil)},
		{name: "h1-to-h2c", what: "small GET, 64 keep-alive connections (wrk), to an origin that speaks HTTP/2 without TLS", tool: wrk, h2c: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathSmall), figures: cpu("µs/request", "", nil)},
		{name: "h2-to-h2c", what: "small GET over HTTP/2 and TLS as in h2-get, to an origin that speaks HTTP/2 without TLS", tool: h2load, tls: true, h2: true, h2c: true,
			measure: h2Trial, figures: cpu("µs/request", "", nil)},
		{name: "handshake", what: "full TLS 1.3 handshakes (X25519, ECDSA P-256, no resumption) with one GET each, 16 at a time", tls: true,
			measure: handshakeTrial, figures: cpu("µs/handshake", "B", map[peer.Name]float64{peer.Nginx: 1.2})},
		{name: "handshake-flood", what: "64 connections at a time that say one ClientHello over and over and leave, beside 10 TLS keep-alive clients with 50 req/s each", tls: true,
			measure: floodTrial, figures: []Figure{{Name: "p99 before the flood", Unit: "ms"}, {Name: "p50", Unit: "ms"},
				{Name: "p99", Unit: "ms", Issue: "B", MaxRatio: map[peer.Name]float64{peer.Nginx: 2}}, {Name: "answered hellos", Unit: "count/s"}}},
		{name: "guarded", what: "small GET, 64 keep-alive connections (wrk), to a host with a rate limit by client and the strict headers, in turns with a plain one; weir beside itself",
			tool: wrk, guarded: true, measure: guardedTrial, figures: []Figure{{Name: "CPU plain", Unit: "µs/request"}, {Name: "CPU guarded", Unit: "µs/request"},
				{Name: "added", Unit: "%", Issue: "C", Max: atMost(5)}}},
		{name: "rollout", what: "small GET, 64 keep-alive connections (wrk), to a service of two groups at 95 and 5 that a rollout is under way in, in turns with one at the same weights without; weir beside itself",
			tool: wrk, rollout: true, measure: rolloutTrial, figures: []Figure{{Name: "CPU plain", Unit: "µs/request"}, {Name: "CPU rollout", Unit: "µs/request"},
				{Name: "added", Unit: "%", Issue: "D", Max: atMost(2)}}},
		{name: "observed", what: "small GET, 64 keep-alive connections (wrk), to a weir that writes its access log as JSON to a file, in turns with one without; metrics are in both, " +
			"since they cannot be switched off; weir beside itself",
			tool: wrk, observed: true, measure: observedTrial, figures: []Figure{{Name: "CPU plain", Unit: "µs/request"}, {Name: "CPU observed", Unit: "µs/request"},
				{Name: "added", Unit: "%", Issue: "F", Max: atMost(10)}}},
		{name: "headers30", what: "small GET with 30 request headers", tool: wrk,
			measure: wrkTrial(gen.Wrk{Headers: thirtyHeaders()}, peer.PathSmall), figures: cpu("µs/request", "", nil)},
		{name: "post-64k", what: "POST of 64 KiB", tool: wrk, measure: postTrial,
			figures: cpu("µs/request", "A", map[peer.Name]float64{peer.Nginx: 1.2})},
		{name: "body-1m", what: "1 MiB answers, 8 connections", measure: bulkTrial(peer.Path1M, 8), figures: cpu("µs/MiB", "", nil)},
		{name: "body-100m", what: "100 MiB answers, 4 connections", measure: bulkTrial(peer.Path100M, 4),
			figures: cpu("µs/MiB", "A", map[peer.Name]float64{peer.Nginx: 1.1})},
		{name: "files-small", what: "a file of 92 bytes from disk, 64 keep-alive connections (wrk); nginx with sendfile on", tool: wrk, web: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathFile), figures: cpu("µs/request", "", nil)},
		{name: "files-1m", what: "a file of 1 MiB from disk, 8 connections; nginx with sendfile on", web: true, measure: bulkTrial(peer.Path1M, 8), figures: cpu("µs/MiB", "", nil)},
		{name: "idle-10k", what: "10,000 idle keep-alive connections after one request each", measure: idleTrial,
			figures: []Figure{{Name: "RSS", Unit: "KiB/connection", Issue: "A", Max: atMost(10)}}},
		{name: "paced-10k", what: "10,000 connections, open loop at 10,000 req/s", measure: pacedTrial, figures: []Figure{
			{Name: "errors", Unit: "count", Issue: "A", Max: atMost(0), Worst: true},
			{Name: "p50", Unit: "ms"}, {Name: "p95", Unit: "ms", Issue: "A", Max: atMost(5)}, {Name: "p99", Unit: "ms"},
			{Name: "CPU", Unit: "µs/request"}, {Name: "generator's lag p99", Unit: "ms"}}},
		{name: "slow-backend", what: "origins at 20/20/200 ms, open loop at 600 req/s; least connections, weir its default",
			slow:    []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond},
			measure: slowTrial, figures: []Figure{
				{Name: "mean", Unit: "ms", Issue: "A", Max: atMost(23)}, {Name: "on the slow one", Unit: "%", Issue: "A", Max: atMost(1)},
				{Name: "errors", Unit: "count", Worst: true}}},
		{name: "overload", what: "an origin with 16 workers of 40 ms each at 3 × its capacity, open loop; the proxies bound what is in flight to it to 16 (nginx limit_conn; " +
			"HAProxy maxconn and weir's breaker with 256 places in a queue for at most 1 s)",
			workers: 16, work: 40 * time.Millisecond, measure: overloadTrial, figures: []Figure{
				{Name: "capacity lost", Unit: "%", Issue: "C", Max: atMost(10)}, {Name: "p99 of the served ÷ p99 at half load", Unit: "×", Issue: "C", Max: atMost(2)},
				{Name: "p50 of the served", Unit: "ms"}, {Name: "p99 of the served", Unit: "ms"}, {Name: "p99.9 of the served", Unit: "ms"}, {Name: "p99 at half load", Unit: "ms"},
				{Name: "refused", Unit: "%"}, {Name: "errors", Unit: "count", Worst: true}}},
	}
}

func thirtyHeaders() []string {
	headers := make([]string, 30)
	for i := range headers {
		headers[i] = fmt.Sprintf("X-Bench-%02d: value-%02d-of-a-usual-length", i, i)
	}
	return headers
}

func (t *trial) base() string { return t.baseOf(t.proxy) }

func (t *trial) baseOf(proxy *peer.Running) string {
	if t.scenario.tls {
		return "https://" + proxy.Addr.String()
	}
	return "http://" + proxy.Addr.String()
}

// wrkTrial gives the proxy's CPU per request wrk completed.
func wrkTrial(w gen.Wrk, path string) func(context.Context, *trial) ([]float64, error) {
	return func(ctx context.Context, t *trial) ([]float64, error) {
		w := w // each trial its own copy
		w.URL, w.Conns, w.Core, w.Dir = t.base()+path, wrkConns, t.loadCore, t.dir
		return t.perRequest(ctx, func(ctx context.Context, d time.Duration) (int, error) {
			w.Duration = d
			r, err := w.Run(ctx)
			return r.Requests, err
		})
	}
}

// h2Trial gives the proxy's CPU per request h2load completed.
func h2Trial(ctx context.Context, t *trial) ([]float64, error) {
	l := gen.H2load{
		URL: t.base() + peer.PathSmall, Conns: h2Conns, Streams: h2Streams,
		Cipher: peer.CipherSuite, Core: t.loadCore, Dir: t.dir,
	}
	return t.perRequest(ctx, func(ctx context.Context, d time.Duration) (int, error) {
		l.Duration = d
		r, err := l.Run(ctx)
		return r.Requests, err
	})
}

// perRequest gives the proxy's CPU per request of a load of its own program, after a warm-up run that
// fills the proxy's pools.
func (t *trial) perRequest(ctx context.Context, load func(context.Context, time.Duration) (int, error)) ([]float64, error) {
	// On a crowded machine a short warm-up may pass without an answer; the window may not.
	if _, err := load(ctx, t.win.warm); err != nil && !errors.Is(err, gen.ErrNone) {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	before, err := t.proxy.CPU()
	if err != nil {
		return nil, err
	}
	n, err := load(ctx, t.win.open)
	if err != nil {
		return nil, err
	}
	after, err := t.proxy.CPU()
	return []float64{micros(after-before) / float64(n)}, err
}

// handshakeTrial gives the proxy's CPU per connection: handshake, one request, end.
func handshakeTrial(ctx context.Context, t *trial) (_ []float64, err error) {
	h := gen.StartHandshakes(ctx, t.proxy.Addr, peer.PathSmall, handshakeWorkers)
	defer func() {
		if stop := h.Stop(); err == nil {
			err = stop
		}
	}()
	if _, _, err := h.Window(ctx, t.win.warm, t.proxy.CPU); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	used, n, err := h.Window(ctx, t.win.open, t.proxy.CPU)
	return []float64{micros(used) / float64(n)}, err
}

// h3Trial gives the proxy's CPU per answer by HTTP/3, with as many connections and streams as h2Trial.
func h3Trial(ctx context.Context, t *trial) (_ []float64, err error) {
	h := gen.StartH3(ctx, t.proxy.Addr, peer.PathSmall, h2Conns, h2Streams)
	defer func() {
		if stop := h.Stop(); err == nil {
			err = stop
		}
	}()
	if _, _, err := h.Window(ctx, t.win.warm, t.proxy.CPU); err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	used, n, err := h.Window(ctx, t.win.open, t.proxy.CPU)
	return []float64{micros(used) / float64(n)}, err
}

func postTrial(ctx context.Context, t *trial) ([]float64, error) {
	const lua = `wrk.method = "POST"
wrk.body = string.rep("x", 65536)
wrk.headers["Content-Type"] = "application/octet-stream"
`
	script := filepath.Join(t.dir, "post.lua")
	if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
		return nil, fmt.Errorf("write wrk's script: %w", err)
	}
	return wrkTrial(gen.Wrk{Script: script}, peer.PathSink)(ctx, t)
}

// bulkTrial gives the proxy's CPU per MiB that arrived.
func bulkTrial(path string, conns int) func(context.Context, *trial) ([]float64, error) {
	return func(ctx context.Context, t *trial) (_ []float64, err error) {
		b := gen.StartBulk(ctx, t.proxy.Addr, path, conns)
		defer func() {
			if stop := b.Stop(); err == nil {
				err = stop
			}
		}()
		if _, _, err := b.Window(ctx, t.win.warm, t.proxy.CPU); err != nil {
			return nil, fmt.Errorf("warm up: %w", err)
		}
		used, n, err := b.Window(ctx, t.win.open, t.proxy.CPU)
		return []float64{micros(used) / (float64(n) / (1 << 20))}, err
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(ns float64) float64 { return ns / float64(time.Millisecond) }

// percent is NaN of nothing, not zero.
func percent(part, whole int64) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * float64(part) / float64(whole)
}
