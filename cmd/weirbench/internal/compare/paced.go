package compare

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/stat"
)

// sources spread thousands of connections over several port ranges.
func sources() []netip.Addr {
	var all []netip.Addr
	for last := byte(2); last <= 5; last++ {
		all = append(all, netip.AddrFrom4([4]byte{127, 0, 0, last}))
	}
	return all
}

func (t *trial) target(conns int) gen.Target {
	request := "GET " + peer.PathSmall + " HTTP/1.1\r\nHost: " + t.proxy.Addr.String() + "\r\nUser-Agent: weirbench\r\nAccept: */*\r\n\r\n"
	return gen.Target{Addr: t.proxy.Addr, Sources: sources(), Conns: conns, Request: []byte(request)}
}

// idleTrial gives the resident memory that each idle connection adds. The baseline is taken after
// some connections have come, asked and gone, so that what a proxy allocates once is in it.
func idleTrial(ctx context.Context, t *trial) ([]float64, error) {
	first, err := gen.Dial(ctx, t.target(wrkConns))
	if err != nil {
		return nil, err
	}
	err = first.EachOnce(ctx, 30*time.Second)
	first.Close()
	if err != nil {
		return nil, fmt.Errorf("warm up: %w", err)
	}
	before, err := proc.RSS(t.proxy.PID())
	if err != nil {
		return nil, err
	}
	pool, err := gen.Dial(ctx, t.target(t.win.connections))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	if err := pool.EachOnce(ctx, 30*time.Second); err != nil {
		return nil, err
	}
	if err := pool.Settle(ctx, t.win.settle); err != nil {
		return nil, err
	}
	if n := pool.Broken(); n > 0 {
		return nil, fmt.Errorf("hold connections: %d of %d were closed", n, t.win.connections)
	}
	after, err := proc.RSS(t.proxy.PID())
	return []float64{float64(after-before) / 1024 / float64(t.win.connections)}, err
}

func pacedTrial(ctx context.Context, t *trial) ([]float64, error) {
	pool, err := gen.Dial(ctx, t.target(t.win.connections))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	plan := gen.Plan{Rate: t.win.paceRate, Duration: t.win.paceWarm, Grace: 30 * time.Second}
	warm, err := pool.Pace(ctx, plan)
	if err != nil {
		return nil, err
	}
	before, err := t.proxy.CPU()
	if err != nil {
		return nil, err
	}
	plan.Duration = t.win.paceOpen
	r, err := pool.Pace(ctx, plan)
	if err != nil {
		return nil, err
	}
	after, err := t.proxy.CPU()
	t.noteErrors(warm, "warm-up")
	t.noteErrors(r, "window")
	at := func(q float64) float64 { return millis(float64(stat.Quantile(r.Latencies, q))) }
	// A connection lost in the warm-up is an error too: "no error" means from the first request on.
	return []float64{
		float64(warm.Errors + r.Errors), at(0.50), at(0.95), at(0.99),
		micros(after-before) / float64(r.Requests), millis(float64(stat.Quantile(r.Lags, 0.99))),
	}, err
}

func slowTrial(ctx context.Context, t *trial) ([]float64, error) {
	pool, err := gen.Dial(ctx, t.target(t.win.slowConns))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	plan := gen.Plan{Rate: t.win.slowRate, Duration: t.win.slowWarm, Grace: 30 * time.Second, AnyIdle: true}
	if _, err := pool.Pace(ctx, plan); err != nil {
		return nil, err
	}
	before := t.served()
	plan.Duration = t.win.slowOpen
	r, err := pool.Pace(ctx, plan)
	if err != nil {
		return nil, err
	}
	var all, onSlow int64
	for i, n := range t.served() {
		all += n - before[i]
		if t.scenario.slow[i] == 200*time.Millisecond {
			onSlow += n - before[i]
		}
	}
	t.noteErrors(r, "window")
	return []float64{millis(stat.Mean(r.Latencies)), percent(onSlow, all), float64(r.Errors)}, nil
}

// served is how many requests each slow origin has had.
func (t *trial) served() []int64 {
	n := make([]int64, len(t.slow))
	for i, o := range t.slow {
		n[i] = o.Served()
	}
	return n
}

func (t *trial) noteErrors(r gen.Report, part string) {
	if r.Errors > 0 {
		t.note("%d errors in the %s, the first: %v", r.Errors, part, r.FirstErr)
	}
}
