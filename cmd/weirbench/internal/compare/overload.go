package compare

import (
	"context"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/stat"
)

// overloadTrial offers an origin of known capacity half of it and then three times as much. Capacity is what the workers can do at best. Good answers are those that came
// while the flood lasted: what a queue still holds at its end is served to an origin that has nothing else to do.
func overloadTrial(ctx context.Context, t *trial) ([]float64, error) {
	pool, err := gen.Dial(ctx, t.target(t.win.floodConns))
	if err != nil {
		return nil, err
	}
	defer pool.Close()
	capacity := float64(t.scenario.workers) / t.scenario.work.Seconds()
	plan := gen.Plan{Rate: int(capacity / 2), Duration: t.win.calm, Grace: 30 * time.Second, AnyIdle: true, Refusals: true}
	calm, err := pool.Pace(ctx, plan)
	if err != nil {
		return nil, err
	}
	plan.Rate, plan.Duration = int(3*capacity), t.win.flood
	flood, err := pool.Pace(ctx, plan)
	if err != nil {
		return nil, err
	}
	t.noteErrors(calm, "half load")
	t.noteErrors(flood, "window")
	at := func(r gen.Report, q float64) float64 { return millis(float64(stat.Quantile(r.Good, q))) }
	normal := at(calm, 0.99)
	return []float64{
		100 - percent(int64(len(flood.Good)), int64(capacity*t.win.flood.Seconds())), at(flood, 0.99) / normal,
		at(flood, 0.50), at(flood, 0.99), at(flood, 0.999), normal,
		percent(int64(flood.Refused), int64(flood.Requests)), float64(calm.Errors + flood.Errors),
	}, nil
}
