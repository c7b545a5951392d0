package admin

import "time"

// Frame is one moment of a watch: an event of GET /v1/events, once a second.
type Frame struct {
	At time.Time `json:"at"`
	// Seconds is the time that rates are over. 0 in the first frame of a watch, whose rates are 0 for want of an earlier one.
	Seconds float64 `json:"seconds"`
	Status  Status  `json:"status"`
	// Groups are the rates of status.services' groups, in their order.
	Groups []GroupRates `json:"groups"`
	// Routes are the busiest, those with most requests first, and behind them the few of the others that failed most. RoutesOmitted counts those that are not told.
	Routes        []RouteRates    `json:"routes"`
	RoutesOmitted int             `json:"routes_omitted"`
	Connections   ConnectionRates `json:"connections"`
	// Ended are the requests that weir ended itself, by reason: those that came since the frame before.
	Ended        []ReasonRate       `json:"ended"`
	Limits       []LimitRates       `json:"limits"`
	Certificates CertificateSummary `json:"certificates"`
	// Errors are the requests that failed since the frame before. GET /v1/errors has those before a watch began.
	Errors []RequestError `json:"errors"`
}

// GroupRates are what a group did since the frame before, per second. What is answered with 499 counts as left.
type GroupRates struct {
	Service      string  `json:"service"`
	Group        string  `json:"group"`
	Requests     float64 `json:"requests"`
	ClientErrors float64 `json:"client_errors"`
	ServerErrors float64 `json:"server_errors"`
	Left         float64 `json:"left"`
	// Latency is absent while nothing was answered.
	Latency  *Quantiles `json:"latency,omitempty"`
	InFlight int64      `json:"in_flight"`
}

// RouteRates are what a route did on all its listeners since the frame before, per second. What is answered with 499 counts as left. The route "-" is of requests that no route matched.
type RouteRates struct {
	Route        string  `json:"route"`
	Requests     float64 `json:"requests"`
	ClientErrors float64 `json:"client_errors"`
	ServerErrors float64 `json:"server_errors"`
	Left         float64 `json:"left"`
	// Latency is to the end of the response, true to 9 %. It is absent while nothing was answered, and in the first frame that tells of a route that answered before.
	Latency *Quantiles `json:"latency,omitempty"`
}

// Quantiles are of a group the times to an upstream's response head, true to 6 %, over the last ten seconds of the watch, in milliseconds.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// ConnectionRates are the connections of all listeners: those open now, and those per second that came or were refused.
type ConnectionRates struct {
	Open     int64   `json:"open"`
	Accepted float64 `json:"accepted"`
	Refused  float64 `json:"refused"`
}

// ReasonRate is how many requests per second ended for a reason.
type ReasonRate struct {
	Reason    string  `json:"reason"`
	PerSecond float64 `json:"per_second"`
}

// LimitRates are the decisions of a rate limit, per second.
type LimitRates struct {
	Name    string  `json:"name"`
	Allowed float64 `json:"allowed"`
	Limited float64 `json:"limited"`
	DryRun  float64 `json:"dry_run"`
}

// CertificateSummary is how many certificates there are and the few that need a look first: what failed, then what expires soonest.
type CertificateSummary struct {
	Total int           `json:"total"`
	First []Certificate `json:"first"`
}

// RequestErrors are the last requests that failed, oldest first: GET /v1/errors.
type RequestErrors struct {
	// Passed counts those that a flood of failures left no room for, since the process began.
	Passed uint64         `json:"passed"`
	Errors []RequestError `json:"errors"`
}

// RequestError is a request that was answered with a 5xx, or whose answer was cut off. Host, path, error and request id are a client's or an upstream's bytes.
type RequestError struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	Client string    `json:"client"`
	Method string    `json:"method"`
	Host   string    `json:"host"`
	// Path is without query and parameters.
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Route   string `json:"route"`
	Service string `json:"service,omitempty"`
	Group   string `json:"group,omitempty"`
	Target  string `json:"target,omitempty"`
	// Reason is that of the access log; empty when the upstream itself answered so.
	Reason    string `json:"reason,omitempty"`
	Error     string `json:"error,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}
