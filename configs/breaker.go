package configs

import "time"

// Breaker bounds the requests in flight to a service and lets those beyond wait in a queue: when a service is slow its requests pile up here, bounded, and not in
// it. Without the table there is no bound. Each edge counts for itself.
type Breaker struct {
	// Requests in flight to the service's targets together. Tunnels and event streams count until they begin.
	MaxRequests int `toml:"max_requests" default:"1024" min:"1" max:"1000000"`
	// Requests that wait beyond those; 0: none waits. One that finds the queue full is answered 503, unless a less important one waits: then that one is.
	MaxQueue int `toml:"max_queue" default:"16384" min:"0" max:"1000000"`
	// Longest wait; then 503 with Retry-After. A queue whose longest wait stays above 5 ms for 100 ms is served newest first until it is worked off.
	QueueTimeout time.Duration `toml:"queue_timeout" default:"1s" min:"1ms" max:"1h"`
	// Words in User-Agent, in any letter case, that make a request "low" in priority unless its route is "critical": "bot", "crawler", "spider".
	LowPriorityUserAgents []string `toml:"low_priority_user_agents"`
}

// Priority is the class of a route's requests when its service's breaker cannot let all of them through.
type Priority string

// The priorities.
const (
	PriorityCritical Priority = "critical"
	PriorityHigh     Priority = "high"
	PriorityNormal   Priority = "normal"
	PriorityLow      Priority = "low"
)
