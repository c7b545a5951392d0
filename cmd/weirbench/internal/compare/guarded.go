package compare

import (
	"context"
	"errors"
	"fmt"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// guardedTurns is how often the two hosts take turns: what drifts on the machine meanwhile is in both.
const guardedTurns = 5

// guardedTrial gives the CPU per request of a plain and of a protected host of one process, and what protection adds.
func guardedTrial(ctx context.Context, t *trial) ([]float64, error) {
	return t.besides(ctx, peer.GuardedHost)
}

// besides gives the CPU per request of the host that everything goes to and of another one of the same process, and what the other one adds.
func (t *trial) besides(ctx context.Context, other string) ([]float64, error) {
	load := gen.Wrk{URL: t.base() + peer.PathSmall, Conns: wrkConns, Core: t.loadCore, Dir: t.dir, Duration: t.win.warm}
	hosts := [2][]string{nil, {"Host: " + other}}
	var used, done [2]float64
	for turn := range 1 + guardedTurns {
		for i, headers := range hosts {
			load.Headers = headers
			before, err := t.proxy.CPU()
			if err != nil {
				return nil, err
			}
			r, err := load.Run(ctx)
			if err != nil && !(turn == 0 && errors.Is(err, gen.ErrNone)) {
				return nil, fmt.Errorf("load host %d: %w", i, err)
			}
			after, err := t.proxy.CPU()
			if err != nil {
				return nil, err
			}
			if turn > 0 { // the first warms up
				used[i] += micros(after - before)
				done[i] += float64(r.Requests)
			}
		}
	}
	plain, more := used[0]/done[0], used[1]/done[1]
	return []float64{plain, more, 100 * (more/plain - 1)}, nil
}
