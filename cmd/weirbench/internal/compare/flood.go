package compare

import (
	"context"
	"errors"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/stat"
)

// floodWorkers keep the proxy's core busy with handshakes at all times: each answered hello is followed by another at once.
const floodWorkers = 64

// floodTrial gives what ten established clients feel while somebody floods the proxy with handshakes, and how many of those it answers.
func floodTrial(ctx context.Context, t *trial) (_ []float64, err error) {
	steady := gen.Steady{Addr: t.proxy.Addr, Path: peer.PathSmall, Conns: 10, Every: 20 * time.Millisecond}
	clients, err := steady.Dial(ctx)
	defer steady.Close(clients)
	if err != nil {
		return nil, err
	}
	calm, err := steady.Run(clients, t.win.warm)
	if err != nil {
		return nil, err
	}
	f, err := gen.StartFlood(ctx, t.proxy.Addr, floodWorkers)
	if err != nil {
		return nil, err
	}
	defer f.Stop()
	if _, err := steady.Run(clients, t.win.warm); err != nil {
		return nil, err
	}
	before, from := f.Done(), time.Now()
	felt, err := steady.Run(clients, t.win.open)
	if err != nil {
		return nil, err
	}
	rate := float64(f.Done()-before) / time.Since(from).Seconds()
	if rate == 0 {
		return nil, errors.New("flood: not one hello was answered")
	}
	at := func(list []int64, q float64) float64 { return millis(float64(stat.Quantile(list, q))) }
	return []float64{at(calm, 0.99), at(felt, 0.50), at(felt, 0.99), rate}, nil
}
