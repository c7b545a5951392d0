package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// RequestQuery chooses among finished requests: the query of GET /v1/requests and of GET /v1/tap. Empty fields choose all.
type RequestQuery struct {
	// Slow and Failed choose only such; the flight recorder keeps them longer than the others.
	Slow, Failed bool
	// Group is one that answered, or that the request was dealt to.
	Service, Route, Group string
	Method                string
	// Path is what paths begin with, at most MostPath bytes.
	Path string
	// Client is an address or a network.
	Client netip.Prefix
	// Status is one status, or a class of them: 5 for 500 to 599.
	Status int
	// MinDuration is the least time to the end of the response.
	MinDuration time.Duration
	// Header is the name of a field that the request must have. Only a tap knows it.
	Header string
	// ID and Limit are those of the flight recorder only.
	ID    string
	Limit int
}

// MostPath is how long the paths of finished requests are, in bytes: longer ones are cut.
const MostPath = 112

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
	// Generation is that of the configuration that decided all this. RouteWhy says what the route takes, GroupWhy how the request came to its group, for people.
	Generation uint64 `json:"generation"`
	Route      string `json:"route"`
	RouteWhy   string `json:"route_why,omitempty"`
	Service    string `json:"service,omitempty"`
	GroupWhy   string `json:"group_why,omitempty"`
	// Group and Target answered, or were asked last. Dealt is the group that the request was dealt to, or asked for. During a rollout Assigned is the same if the request counts as
	// evidence, and FailedIn if that group failed it.
	Group    string `json:"group,omitempty"`
	Target   string `json:"target,omitempty"`
	Dealt    string `json:"dealt,omitempty"`
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
	q, err := parseRequestQuery(r.URL.Query(), []string{"slow", "failed", "service", "route", "group", "method", "path", "client", "status", "min_duration", "id", "limit"})
	if err != nil {
		return answer{}, err
	}
	return answer{body: a.control.Requests(q)}, nil
}

// parseRequestQuery reads the parameters that are known where it is called. What is misspelt is an error: who looks for failed requests must not be shown all.
func parseRequestQuery(values url.Values, known []string) (RequestQuery, error) {
	q := RequestQuery{Limit: usualRequests}
	for name, list := range values {
		value := list[len(list)-1]
		err := fmt.Errorf("there is no such parameter: there are %s", strings.Join(known, ", "))
		if slices.Contains(known, name) {
			err = q.set(name, value)
		}
		if err != nil {
			return q, &SyntaxError{Err: fmt.Errorf("%s=%s: %w", name, value, err)}
		}
	}
	return q, nil
}

func (q *RequestQuery) set(name, value string) (err error) {
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
	case "id":
		q.ID = value
	case "method":
		q.Method = value
	case "path":
		if q.Path = value; !strings.HasPrefix(value, "/") || len(value) > MostPath {
			err = fmt.Errorf("it begins with a slash and has at most %d bytes, which is what is kept of a path", MostPath)
		}
	case "client":
		q.Client, err = network(value)
	case "status":
		q.Status, err = statusOrClass(value)
	case "min_duration":
		if q.MinDuration, err = time.ParseDuration(value); err != nil || q.MinDuration < 0 {
			err = errors.New("it is a duration, as 200ms")
		}
	case "header":
		if q.Header = value; !httpguts.ValidHeaderFieldName(value) {
			err = errors.New("it is the name of a header field")
		}
	case "limit":
		if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 || q.Limit > mostRequests {
			err = fmt.Errorf("it is a number from 1 to %d", mostRequests)
		}
	}
	return err
}

// network reads an address or a network.
func network(value string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(value); err == nil {
		ip = ip.Unmap().WithZone("")
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	p, err := netip.ParsePrefix(value)
	if err != nil {
		return p, errors.New("it is an address or a network, as 10.0.0.0/8")
	}
	return p.Masked(), nil
}

// statusOrClass reads 404, or 5xx as 5.
func statusOrClass(value string) (int, error) {
	if len(value) != 3 {
		value = ""
	} else if class, ok := strings.CutSuffix(strings.ToLower(value), "xx"); ok {
		value = class
	}
	n, err := strconv.Atoi(value)
	if class := n >= 1 && n <= 5; err != nil || !class && (n < 100 || n > 599) {
		return 0, errors.New("it is a status, as 404, or a class of them, as 5xx")
	}
	return n, nil
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
