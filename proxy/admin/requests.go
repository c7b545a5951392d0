package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// RequestQuery chooses among the requests that the flight recorder has kept: the query of GET /v1/requests.
type RequestQuery struct {
	// Slow and Failed choose only such; they are kept longer than the others.
	Slow, Failed          bool
	Service, Route, Group string
	Limit                 int
}

const (
	usualRequests = 100
	mostRequests  = 10_000
)

// Requests are finished requests, the last one first: GET /v1/requests.
type Requests struct {
	Requests []RequestSummary `json:"requests"`
}

// RequestSummary is one request of the flight recorder. Host, path, method and request id are a client's bytes, cut to a length.
type RequestSummary struct {
	At     time.Time `json:"at"` // when it ended
	Client string    `json:"client"`
	Method string    `json:"method"`
	Host   string    `json:"host"`
	// Path is without query and parameters.
	Path   string `json:"path"`
	Proto  string `json:"proto"`
	Status int    `json:"status"`
	// Reason is that of the access log; empty when the upstream's answer was passed on.
	Reason   string `json:"reason,omitempty"`
	Listener string `json:"listener"`
	Route    string `json:"route"`
	Service  string `json:"service,omitempty"`
	// Group and Target answered, or were asked last. During a rollout Assigned is the group that the request was dealt to, FailedIn the same if that group failed it.
	Group    string `json:"group,omitempty"`
	Target   string `json:"target,omitempty"`
	Assigned string `json:"assigned,omitempty"`
	FailedIn string `json:"failed_in,omitempty"`
	// DurationUS is the whole of it, HeadUS up to the head of the upstream's answer (0: there was none), in microseconds.
	DurationUS int64  `json:"duration_us"`
	HeadUS     int64  `json:"head_us"`
	BytesIn    int64  `json:"bytes_in"`
	BytesOut   int64  `json:"bytes_out"`
	Attempts   int    `json:"attempts"`
	Slow       bool   `json:"slow,omitempty"`
	Failed     bool   `json:"failed,omitempty"`
	RequestID  string `json:"request_id,omitempty"`
	// TraceID is the trace that the request is part of; Sampled says that its spans were exported. Without [tracing] neither is known.
	TraceID string `json:"trace_id,omitempty"`
	Sampled bool   `json:"sampled,omitempty"`
}

func (a *api) requests(r *http.Request) (answer, error) {
	q, err := parseRequestQuery(r)
	if err != nil {
		return answer{}, err
	}
	return answer{body: a.control.Requests(q)}, nil
}

// parseRequestQuery reads ?slow&failed&service=&route=&group=&limit=. What is misspelt is an error: who looks for failed requests must not be shown all.
func parseRequestQuery(r *http.Request) (RequestQuery, error) {
	q := RequestQuery{Limit: usualRequests}
	for name, values := range r.URL.Query() {
		value := values[len(values)-1]
		var err error
		switch name {
		case "slow":
			q.Slow, err = flag(value)
		case "failed":
			q.Failed, err = flag(value)
		case "service":
			q.Service = value
		case "route":
			q.Route = value
		case "group":
			q.Group = value
		case "limit":
			if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 || q.Limit > mostRequests {
				err = fmt.Errorf("it is a number from 1 to %d", mostRequests)
			}
		default:
			err = errors.New("there is no such parameter: slow, failed, service, route, group and limit are there")
		}
		if err != nil {
			return q, &SyntaxError{Err: fmt.Errorf("%s=%s: %w", name, value, err)}
		}
	}
	return q, nil
}

// flag reads a parameter that needs no value.
func flag(value string) (bool, error) {
	if value == "" {
		return true, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, errors.New("it is true or false")
	}
	return b, nil
}
