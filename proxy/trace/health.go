package trace

import (
	"time"

	"go.uber.org/zap"
)

// health tells the log of a collector that fails, once and then at most once a minute, and of its return. It is the exporter's goroutine's.
type health struct {
	log  *zap.Logger
	bad  bool
	told time.Time
}

// tellEvery is the least time between two lines about one trouble.
const tellEvery = time.Minute

func (h *health) tell(err *sendError, refused int, now time.Time) {
	if err == nil && refused == 0 {
		if h.bad {
			h.log.Info("traces are exported again")
		}
		h.bad = false
		return
	}
	if h.bad && now.Sub(h.told) < tellEvery {
		return
	}
	h.bad, h.told = true, now
	if err == nil {
		h.log.Warn("the collector of traces has refused some spans", zap.Int("weir.spans", refused))
		return
	}
	h.log.Warn("traces are not exported: they are dropped and counted", zap.String("error.message", err.Error()))
}
