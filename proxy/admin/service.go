package admin

import "time"

// Service is one service's live state: GET /v1/services/{s}.
type Service struct {
	Name string `json:"name"`
	// Epoch is the epoch of client assignment: a new one moves clients, a change of weights does not.
	Epoch uint64 `json:"epoch"`
	// Version is the entity tag of this service, without quotes. It changes when, and only when, something a
	// write can change has changed (weights, overlay, epoch, the set of groups), so that a read and a
	// conditional write still fit together while counters run.
	Version string `json:"version"`
	// Number orders what is said of a service: of two, the one with the higher number was looked at later. What a write answers and an event that was made before it go by
	// different connections, and come in any order. A process that was started later has higher numbers. JavaScript holds them exactly.
	Number uint64  `json:"number"`
	Groups []Group `json:"groups"`
	// Breaker is absent for a service whose requests are not bounded.
	Breaker *Breaker `json:"breaker,omitempty"`
	// Pause is absent while requests do not wait for a resume.
	Pause *PauseState `json:"pause,omitempty"`
	// Rollout is the last one, under way or over; absent before the first.
	Rollout *Rollout `json:"rollout,omitempty"`
	// Shadow is absent for a service that no other group is compared with.
	Shadow *ShadowBrief `json:"shadow,omitempty"`
	// Overlay is absent while the file's weights are in force and nothing was set at run time.
	Overlay *Overlay `json:"overlay,omitempty"`
}

// Breaker is what bounds a service's requests, as it is now.
type Breaker struct {
	// State is "free", "full" (requests wait, or the next one will) or "overloaded" (they have waited for so long that the newest go first).
	State        string `json:"state"`
	InFlight     int64  `json:"in_flight"`
	MaxRequests  int    `json:"max_requests"`
	Queued       int    `json:"queued"`
	MaxQueue     int    `json:"max_queue"`
	QueueTimeout string `json:"queue_timeout"`
}

// Names lists the service's groups in the file's order.
func (s Service) Names() []string {
	names := make([]string, len(s.Groups))
	for i, g := range s.Groups {
		names[i] = g.Name
	}
	return names
}

// Weights is what is in force.
func (s Service) Weights() Weights {
	w := make(Weights, len(s.Groups))
	for _, g := range s.Groups {
		w[g.Name] = g.Weight
	}
	return w
}

// Group is one colour of a service.
type Group struct {
	Name   string `json:"name"`
	Weight Weight `json:"weight"`
	// ObservedShare is the share of new assignments that fell on this group, in per cent, over the
	// ObservedOf assignments the service made since its weights were last set. Absent while there were none.
	ObservedShare *float64 `json:"observed_share"`
	ObservedOf    uint64   `json:"observed_of"`
	// State is "live", "empty" (no live target), "draining" or "evicted".
	State string `json:"state"`
	// Mark is there when the group drains or is evicted.
	Mark *Mark `json:"mark,omitempty"`
	// Requests counts since the process started.
	Requests uint64   `json:"requests"`
	Targets  []Target `json:"targets"`
}

// Target is one address of a group.
type Target struct {
	Address string `json:"address"`
	// State is "unknown", "healthy", "unhealthy" or "draining".
	State    string `json:"state"`
	InFlight int64  `json:"in_flight"`
	// Failures counts failed exchanges since the process started.
	Failures uint64 `json:"failures"`
	// LatencyMS is the smoothed time to the response head, in milliseconds; 0 while unknown.
	LatencyMS float64 `json:"latency_ms"`
	// EjectedUntil is set while passive ejection keeps the target out.
	EjectedUntil *time.Time `json:"ejected_until,omitempty"`
	LastError    string     `json:"last_error,omitempty"`
	// Mark is there when an operator has drained or evicted the target: it gets no new requests.
	Mark *Mark `json:"mark,omitempty"`
	// ConcurrencyLimit is up to how many requests the target is given to work on, Working how many it has, both where that is limited.
	ConcurrencyLimit int64 `json:"concurrency_limit,omitempty"`
	Working          int64 `json:"working,omitempty"`
	// SharedConnections and Streams are the connections that requests share, and their requests, where the target speaks HTTP/2.
	SharedConnections int `json:"shared_connections,omitempty"`
	Streams           int `json:"streams,omitempty"`
}

// Mark is what an operator has said of a group or a target.
type Mark struct {
	// State is "draining" or "evicted".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	By    string    `json:"by"`
}

// PauseState is a pause in force.
type PauseState struct {
	Since      time.Time `json:"since"`
	By         string    `json:"by"`
	Waiting    int       `json:"waiting"`
	MaxWaiting int       `json:"max_waiting"`
	Timeout    string    `json:"timeout"`
}

// Overlay is what an operator set at run time over what the file says.
type Overlay struct {
	Since time.Time `json:"since"`
	By    string    `json:"by"`
	// FileWeights is what would be in force without the overlay.
	FileWeights Weights `json:"file_weights"`
	// Weights is empty when only groups or targets are marked and that is void.
	Weights Weights `json:"weights"`
	// Void says why the overlay is not in force, when its group names differ from the file's.
	Void string `json:"void,omitempty"`
}
