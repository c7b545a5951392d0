package proxy

import (
	"errors"
	"os"
	"time"

	"github.com/valor-ivx/weir/proxy/compress"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
	"github.com/valor-ivx/weir/proxy/waf"
	"github.com/valor-ivx/weir/upstream"
)

// Exchange is the life of one request. It is pooled: begin sets every field anew. One goroutine owns it, the connection's.
type Exchange struct {
	client *client
	proxy  *Proxy
	down   downstream
	snap   *Snapshot

	req  message.Request
	resp message.Response
	id   []byte // X-Request-ID; in who
	who  identity
	user guarded // set by the route's Guard

	route   *Route
	service *Service
	group   *Group // nil until chosen
	peer    *upstream.Peer
	path    []byte // canonical; in req's buffer or in scratch

	start    int64             // ns of Options.Now: first byte of the request seen
	slot     *upstream.Breaker // of which this request holds a slot; nil: of none
	waiter   *upstream.Waiter  // made at the first wait, kept for the next
	deadline int64             // total timeout; 0: none
	overdue  Reason            // what it is to pass it
	headAt   int64             // upstream's final head
	attempts int

	status   int // sent, or 499
	reason   Reason
	cause    error
	began    bool // a final head was handed to the client's connection
	broken   bool // the client's connection cannot go on
	ours     bool // the response is an answer of our own
	tunneled bool
	open     bool  // counted as in flight
	counted  bool  // counted as answered
	sent     int64 // response body bytes

	rpc         rpc
	eventStream bool // text/event-stream: total timeouts do not cut it
	choice      choice
	attempt     attempt
	hearing     hearing             // of the service's Trial, set by opened
	hedge       *hedge              // a second attempt that is under way beside attempt; nil: none
	renewRelay  func(now time.Time) // attempt's, bound once: a method value made per request is an allocation
	upload      upload
	socket      webSocket
	entry       observe.Entry    // scratch for finish
	recorded    observe.Recorded // likewise
	lane        uint32           // of the Recorder

	file       served            // of a route with files
	encoder    *compress.Encoder // of the answer's body, until finish; nil: it is sent as it is
	refusal    refusal           // of a 429
	passage    passage           // at gates, until countOut
	nonce      nonce             // of the answer's Content-Security-Policy
	inspection *waf.Inspection   // by the route's Shield; nil: none
	reportOn   string            // the policy that the request is a browser's report on; "": it is none
	scratchKey []byte            // what a limit counts by

	placed placed // in a trace
	mirror Mirror // that is given the request at its end; nil: none
	said   []byte // our lines of a request that is

	scratch []byte // canonical path when it differs from the received one
	lines   []byte // header lines of our own, being put together
}

// run takes one request through all phases. It reports whether the connection can carry another.
func (x *Exchange) run(c *client, down downstream) (keep bool) {
	x.begin(c, down)
	if err := x.conversation(); err != nil {
		x.fail(err)
	}
	x.upload.release(x)
	x.leave()
	x.countOut()
	x.finish()
	return down.EndExchange() && !x.broken && !x.tunneled
}

// conversation is the order of phases. The first error ends it.
func (x *Exchange) conversation() *Error {
	if err := x.read(); err != nil {
		return err
	}
	x.beginCall()
	x.believe()
	if t := x.snap.Tracing; t != nil {
		x.takePlace(t)
	}
	if answered, err := x.answerChallenge(); answered {
		return err
	}
	if err := x.match(); err != nil {
		return err
	}
	if x.client.listener.Redirect != "" && !x.who.secure { // who speaks TLS to a proxy in front would be sent round in a circle
		return x.redirect()
	}
	if x.reportOn != "" {
		return x.collect()
	}
	if err := x.admit(); err != nil {
		return err
	}
	if a := x.user.verdict.Answer; a != nil { // a step of a login: nobody else is asked
		return x.step(a)
	}
	if x.route.Shield != nil {
		if err := x.inspect(x.route.Shield); err != nil {
			return err
		}
	}
	if x.route.Files != nil {
		return x.serve(x.route.Files)
	}
	if h := x.service.Hold; h != nil {
		if err := x.await(h); err != nil {
			return err
		}
	}
	if err := x.queue(); err != nil {
		return err
	}
	return x.forward()
}

func (x *Exchange) begin(c *client, down downstream) {
	x.client, x.proxy, x.down = c, c.proxy, down
	x.snap = c.proxy.snapshot.Load()
	x.start = c.proxy.options.Now()
	x.route, x.service, x.group, x.peer = &x.snap.Unrouted, nil, nil, nil
	x.deadline, x.headAt, x.attempts, x.status = 0, 0, 0, 0
	x.reason, x.cause, x.began, x.broken, x.tunneled, x.eventStream, x.sent = ReasonNone, nil, false, false, false, false, 0
	x.ours, x.counted, x.rpc, x.socket.stream, x.nonce.made = false, false, rpc{}, nil, false
	x.path, x.lines, x.user, x.reportOn, x.mirror, x.placed.on, x.placed.request = nil, x.lines[:0], guarded{}, "", nil, false, nil
	x.identify()
	x.open = true
	c.listener.Metrics.RequestBegin()
}

// read takes the head off the connection.
func (x *Exchange) read() *Error {
	err := x.down.ReadRequest(&x.req)
	switch {
	case err == nil && x.req.Method == message.CONNECT:
		return x.extended()
	case err == nil:
		return nil
	}
	status := refusedWith(err)
	switch {
	case status == 0:
		return &Error{499, ClientGone, err}
	case status == 408:
		return &Error{408, HeaderTimeout, err}
	}
	return &Error{status, BadRequest, err}
}

// refusedWith is the status that a message deserves by the protocol's own verdict, 0 when the connection broke instead.
func refusedWith(err error) int {
	var bad *message.Error
	if errors.As(err, &bad) {
		return bad.Status
	}
	return 0
}

var (
	errNoRoute     = &Error{404, NoRoute, nil}
	errUnknownHost = &Error{404, UnknownHost, nil}
	errMethod      = &Error{405, MethodRefused, nil}
	errBodyLarge   = &Error{413, BodyTooLarge, nil}
	errAccess      = &Error{403, AccessDenied, nil}
)

// match finds the route by host and canonical path.
func (x *Exchange) match() *Error {
	switch x.req.Method {
	case message.CONNECT, message.TRACE: // neither a forward proxy nor an echo of credentials (RFC 9110 §9.3.8)
		return errMethod
	}
	if err := x.directed(); err != nil {
		return err
	}
	if len(x.req.Path) == 1 && x.req.Path[0] == '*' {
		x.path = x.req.Path
	} else {
		path, err := route.Canonical(x.scratch[:0], x.req.Path)
		if err != nil {
			return &Error{400, BadRequest, err}
		}
		x.path = path
	}
	if x.snap.Reports != nil {
		if x.reportOn = x.snap.Reports.policyOf(x); x.reportOn != "" {
			return nil
		}
	}
	i := x.snap.Table.Match(x.req.Host, x.path)
	switch {
	case i == route.UnknownHost:
		return errUnknownHost
	case i < 0:
		return errNoRoute
	}
	x.route = &x.snap.Routes[i]
	x.service = x.route.Service
	if x.route.Timeout > 0 {
		x.expire(x.start+int64(x.route.Timeout), TotalTimeout)
	}
	return nil
}

// expire sets the deadline unless an earlier one is set.
func (x *Exchange) expire(at int64, why Reason) {
	if x.deadline == 0 || at < x.deadline {
		x.deadline, x.overdue = at, why
	}
}

// admit refuses what the route does not want before an upstream hears of it.
func (x *Exchange) admit() *Error {
	if x.route.Access != nil && !x.permitted() {
		return errAccess
	}
	if x.down.Early() && !x.req.Method.Safe() {
		return errTooEarly
	}
	if limit := x.route.MaxBody; limit >= 0 && x.req.Framing == message.Length && x.req.ContentLength > limit {
		return errBodyLarge
	}
	if x.route.Limits != nil {
		if err := x.limited(x.route.Limits); err != nil {
			return err
		}
	}
	if x.route.Guard != nil { // after the limits, which is how logins are limited
		return x.authenticate(x.route.Guard)
	}
	return nil
}

// clientError tells what a failed read of the request's body was.
func clientError(err error) *Error {
	switch {
	case refusedWith(err) != 0:
		return &Error{400, BadRequest, err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{408, BodyTimeout, err}
	default:
		return &Error{499, ClientGone, err}
	}
}

// since is the time from the request's first byte.
func (x *Exchange) since(now int64) time.Duration { return time.Duration(now - x.start) }
