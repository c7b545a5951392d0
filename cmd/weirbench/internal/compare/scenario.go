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
	// MaxRatio is the highest weir ÷ peer that issue A allows, by peer. Empty: no such demand.
	MaxRatio map[peer.Name]float64 `json:"max_ratio,omitempty"`
	// Max is the highest value issue A allows weir. Nil: no such demand.
	Max *float64 `json:"max,omitempty"`
	// Worst makes the worst round count instead of the median (errors: one is too many).
	Worst bool `json:"worst_round,omitempty"`
}

// scenario is one kind of load. Its figures come from measure in the same order.
type scenario struct {
	name     string
	what     string // for the report
	figures  []Figure
	needsWrk bool
	log, tls bool            // of the proxy's job
	slow     []time.Duration // origins of this process that take so long, instead of nginx
	measure  func(context.Context, *trial) ([]float64, error)
}

// windows are the lengths of a run's parts.
type windows struct {
	warm, open          time.Duration // wrk and bulk bodies
	settle              time.Duration // idle connections before memory is read
	connections         int           // of idle-10k and paced-10k
	paceRate            int
	paceWarm, paceOpen  time.Duration
	slowRate, slowConns int
	slowWarm, slowOpen  time.Duration
}

// The full windows keep CPU figures far above the 10 ms clock tick, should /proc have nothing finer.
// slow-backend warms up until a policy that learns has seen each origin some hundred times.
var (
	fullWindows = windows{
		warm: time.Second, open: 5 * time.Second, settle: 10 * time.Second, connections: 10000,
		paceRate: 10000, paceWarm: 2 * time.Second, paceOpen: 10 * time.Second,
		slowRate: 600, slowConns: 256, slowWarm: 3 * time.Second, slowOpen: 10 * time.Second,
	}
	quickWindows = windows{
		warm: time.Second, open: 2 * time.Second, settle: 300 * time.Millisecond, connections: 200,
		paceRate: 500, paceWarm: 200 * time.Millisecond, paceOpen: time.Second,
		slowRate: 200, slowConns: 64, slowWarm: 300 * time.Millisecond, slowOpen: time.Second,
	}
)

const wrkConns = 64

func atMost(v float64) *float64 { return &v }

// scenarios returns all of them in report order, with issue A's demands.
func scenarios() []scenario {
	cpu := func(unit string, max map[peer.Name]float64) []Figure {
		return []Figure{{Name: "CPU", Unit: unit, MaxRatio: max}}
	}
	return []scenario{
		{name: "h1-get", what: "small GET, 64 keep-alive connections (wrk)", needsWrk: true, measure: wrkTrial(gen.Wrk{}, peer.PathSmall),
			figures: cpu("µs/request", map[peer.Name]float64{peer.Nginx: 1.15, peer.HAProxy: 1.15})},
		{name: "h1-get-log", what: "the same with an access log: combined, HTTP log, JSON", needsWrk: true, log: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathSmall), figures: cpu("µs/request", nil)},
		{name: "h1-tls", what: "the same over TLS 1.3, AES-128-GCM, ECDSA P-256", needsWrk: true, tls: true,
			measure: wrkTrial(gen.Wrk{}, peer.PathSmall), figures: cpu("µs/request", nil)},
		{name: "headers30", what: "small GET with 30 request headers", needsWrk: true,
			measure: wrkTrial(gen.Wrk{Headers: thirtyHeaders()}, peer.PathSmall), figures: cpu("µs/request", nil)},
		{name: "post-64k", what: "POST of 64 KiB", needsWrk: true, measure: postTrial,
			figures: cpu("µs/request", map[peer.Name]float64{peer.Nginx: 1.2})},
		{name: "body-1m", what: "1 MiB answers, 8 connections", measure: bulkTrial(peer.Path1M, 8), figures: cpu("µs/MiB", nil)},
		{name: "body-100m", what: "100 MiB answers, 4 connections", measure: bulkTrial(peer.Path100M, 4),
			figures: cpu("µs/MiB", map[peer.Name]float64{peer.Nginx: 1.1})},
		{name: "idle-10k", what: "10,000 idle keep-alive connections after one request each", measure: idleTrial,
			figures: []Figure{{Name: "RSS", Unit: "KiB/connection", Max: atMost(10)}}},
		{name: "paced-10k", what: "10,000 connections, open loop at 10,000 req/s", measure: pacedTrial, figures: []Figure{
			{Name: "errors", Unit: "count", Max: atMost(0), Worst: true},
			{Name: "p50", Unit: "ms"}, {Name: "p95", Unit: "ms", Max: atMost(5)}, {Name: "p99", Unit: "ms"},
			{Name: "CPU", Unit: "µs/request"}, {Name: "generator's lag p99", Unit: "ms"}}},
		{name: "slow-backend", what: "origins at 20/20/200 ms, open loop at 600 req/s; least connections, weir its default",
			slow:    []time.Duration{20 * time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond},
			measure: slowTrial, figures: []Figure{
				{Name: "mean", Unit: "ms", Max: atMost(23)}, {Name: "on the slow one", Unit: "%", Max: atMost(1)},
				{Name: "errors", Unit: "count", Worst: true}}},
	}
}

func thirtyHeaders() []string {
	headers := make([]string, 30)
	for i := range headers {
		headers[i] = fmt.Sprintf("X-Bench-%02d: value-%02d-of-a-usual-length", i, i)
	}
	return headers
}

func (t *trial) base() string {
	if t.scenario.tls {
		return "https://" + t.proxy.Addr.String()
	}
	return "http://" + t.proxy.Addr.String()
}

// wrkTrial gives the proxy's CPU per request wrk completed, after a warm-up run that fills its pools.
func wrkTrial(w gen.Wrk, path string) func(context.Context, *trial) ([]float64, error) {
	return func(ctx context.Context, t *trial) ([]float64, error) {
		w := w // each trial its own copy
		w.URL, w.Conns, w.Core, w.Dir, w.Duration = t.base()+path, wrkConns, t.loadCore, t.dir, t.win.warm
		// On a crowded machine a short warm-up may pass without an answer; the window may not.
		if _, err := w.Run(ctx); err != nil && !errors.Is(err, gen.ErrNone) {
			return nil, fmt.Errorf("warm up: %w", err)
		}
		w.Duration = t.win.open
		before, err := t.proxy.CPU()
		if err != nil {
			return nil, err
		}
		r, err := w.Run(ctx)
		if err != nil {
			return nil, err
		}
		after, err := t.proxy.CPU()
		return []float64{micros(after-before) / float64(r.Requests)}, err
	}
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
