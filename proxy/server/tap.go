package server

import (
	"context"
	"errors"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// Tap implements admin.Control. The tap's goroutine puts requests into words, not those that serve them.
func (c control) Tap(q admin.RequestQuery) (*admin.Tap, error) {
	tap, err := c.s.taps.Open(recorderQuery(q), q.Header)
	if errors.Is(err, observe.ErrManyTaps) {
		return nil, admin.ErrManyTaps
	}
	if err != nil {
		return nil, err
	}
	next := func(ctx context.Context) (*admin.RequestSummary, uint64) {
		var r observe.Recorded
		if !tap.Next(ctx, &r) {
			return nil, tap.Missed()
		}
		t := c.s.teller()
		told := t.tell(&r)
		return &told, tap.Missed()
	}
	return &admin.Tap{Next: next, Close: tap.Close}, nil
}
