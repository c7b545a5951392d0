package server

import (
	"math"
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
)

// logMemoryLimit says what the garbage collector stays below, where it was told to: an edge that runs hot at a limit nobody knows of looks like a leak.
func (s *Server) logMemoryLimit() {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		s.log.Info("memory limit of the garbage collector", zap.Int64(observe.KeyMemoryLimit, limit))
	}
}
