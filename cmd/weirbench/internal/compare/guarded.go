package compare

import (
	"context"
	"errors"
	"fmt"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// guardedTrial gives the CPU per request of a plain and of a protected host of one process, and what protection adds.
func guardedTrial(ctx context.Context, t *trial) ([]float64, error) {
	return t.besides(ctx, peer.GuardedHost)
}

// besides gives the CPU per request of the host that everything goes to and of another one of the same process, and what the other one adds.
func (t *trial) besides(ctx context.Context, other string) ([]float64, error) {
	values, _, err := t.inTurns(ctx, [2]side{{proxy: t.proxy}, {proxy: t.proxy, headers: []string{"Host: " + other}}})
	return values, err
}

// side is one of the two things that a weir beside itself is measured by.
type side struct {
	proxy   *peer.Running
	headers []string // of its requests
}

// inTurns gives the CPU per request of both sides and what the second one adds in percent; and how many requests each has answered in all, the warm-up's among them.
func (t *trial) inTurns(ctx context.Context, sides [2]side) (_ []float64, answered [2]int, err error) {
	load := gen.Wrk{Conns: wrkConns, Core: t.loadCore, Dir: t.dir, Duration: t.win.warm}
	var used, done [2]float64
	for turn := range 1 + t.win.turns {
		for i, s := range sides {
			load.URL, load.Headers = t.baseOf(s.proxy)+peer.PathSmall, s.headers
			before, err := s.proxy.CPU()
			if err != nil {
				return nil, answered, err
			}
			r, err := load.Run(ctx)
			if err != nil && !(turn == 0 && errors.Is(err, gen.ErrNone)) {
				return nil, answered, fmt.Errorf("load side %d: %w", i, err)
			}
			after, err := s.proxy.CPU()
			if err != nil {
				return nil, answered, err
			}
			answered[i] += r.Requests
			if turn > 0 { // the first warms up
				used[i] += micros(after - before)
				done[i] += float64(r.Requests)
			}
		}
	}
	plain, more := used[0]/done[0], used[1]/done[1]
	return []float64{plain, more, 100 * (more/plain - 1)}, answered, nil
}
