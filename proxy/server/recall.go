package server

import (
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/upstream"
)

// memoryVersion is raised when a memory could be misunderstood. One of another version is left alone: what it tells can be learnt again.
const memoryVersion = 1

// What is handed over is bounded, because clients wait while it is: so many buckets, 24 bytes each, and targets of a few hundred bytes.
const (
	mostBuckets = 160_000
	mostTargets = 10_000
)

// mostAge is how old a memory can be: of another process's taking over it knows that it takes less than a minute, of a clock that was set meanwhile nothing.
const mostAge = time.Minute

// memory is what a process has learnt of its clients and targets and keeps nowhere but in memory.
type memory struct {
	Version int               `json:"version"`
	At      time.Time         `json:"at"`
	Limits  limit.Memory      `json:"limits"`
	Targets []upstream.Memory `json:"targets,omitempty"`
}

// remember is this process's memory, for the one that replaces it.
func (s *Server) remember() (json.RawMessage, error) {
	now := time.Now()
	b, err := json.Marshal(memory{memoryVersion, now.UTC(), s.limits.Remember(now, mostBuckets), s.registry.Remember(mostTargets)})
	if err != nil {
		return nil, fmt.Errorf("encode memory: %w", err)
	}
	return b, nil
}

// recall goes on with what the process before remembers. What cannot be understood is said, and is no reason to refuse to serve: then this process learns it anew, as after a restart.
func (s *Server) recall(text json.RawMessage) {
	if text == nil {
		s.log.Info("the process before has left no memory: limits, ejections and latencies begin anew")
		return
	}
	var m memory
	err := json.Unmarshal(text, &m)
	if err == nil && m.Version != memoryVersion {
		err = fmt.Errorf("it is of version %d, not %d", m.Version, memoryVersion)
	}
	if err != nil {
		s.log.Warn("the memory of the process before cannot be read: limits, ejections and latencies begin anew", observe.Err(err))
		return
	}
	now := time.Now()
	age := min(max(0, now.Sub(m.At)), mostAge)
	keys, err := s.limits.Recall(m.Limits, now.Add(-age))
	if err != nil {
		s.log.Warn("limits begin anew", observe.Err(err))
	}
	s.log.Info("went on with the memory of the process before", zap.Int("weir.limit_keys", keys), zap.Int("weir.targets", s.registry.Recall(m.Targets, age)))
}

// limitsKey is what keys of limits are hashed under: the same in every process of this state folder.
func (s *Server) limitsKey() (key [16]byte) {
	s.derive("weir limits", key[:])
	return key
}
