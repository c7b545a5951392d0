package trace

import (
	"net/netip"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Request is one finished request that was sampled, with what was timed of it. Times are ns of the proxy's clock, 0 for what did not happen. It belongs to whoever it was handed to.
type Request struct {
	Context Context // of the caller; Span is zero where the trace begins here
	Span    SpanID  // of the request, the caller of its attempts
	State   string  // tracestate as it came, if it is valid

	Wall  time.Time // the same moment
	Clock int64     // by both clocks

	Start, End int64
	Client     netip.Addr
	Source     netip.Addr // of the connection
	Proto      message.Proto
	Method     message.Method
	MethodName string // of a method without a number
	Secure     bool   // TLS to us
	// Texts of the client, cut to a length. The path is without query and parameters.
	Host, Path, UserAgent, ID string

	Status int    // sent, or 499
	Reason string // why it ended as it did; "": well
	Failed bool   // it is an error by an operator's measure

	BytesIn, BytesOut int64

	Listener, Route, Pattern, Service, Group string

	Waits    []Wait
	Attempts []*Attempt
}

// Wait is a time in which a request waited for others.
type Wait struct {
	Name     string // of the span
	From, To int64
}

// Attempt is one asking of one target.
type Attempt struct {
	Span           SpanID
	Group, Address string
	Secure         bool // TLS to the target

	Began, End           int64
	DialBegan, DialEnded int64 // of the connection, if one was made
	Said                 int64 // the connection was there and the request began to be written
	Head                 int64 // the final head was there

	Hedge  bool   // made beside another one
	Outrun bool   // the other one was faster
	Reused bool   // on a connection that was there before
	Status int    // of the head
	Failed bool   // by the target's doing
	Reason string // why it came to nothing
}

// Dialed notes when a connection was made for the attempt, or could not be; made false: it was there. As with all that notes something, no Attempt notes nothing.
func (a *Attempt) Dialed(from, to int64, made bool) {
	if a != nil && made {
		a.DialBegan, a.DialEnded = from, to
	}
}

// Answered notes the final head.
func (a *Attempt) Answered(at int64, status int) {
	if a != nil {
		a.Head, a.Status = at, status
	}
}

// Failure notes why the attempt came to nothing.
func (a *Attempt) Failure(reason string) {
	if a != nil {
		a.Reason = reason
	}
}
