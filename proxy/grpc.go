package proxy

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// rpc is what an exchange knows of itself as a gRPC call (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). To everything else it is an HTTP exchange.
type rpc struct {
	call   bool   // the request is one
	status string // grpc-status that the client saw, by name; "": none was said
}

// beginCall looks at the request. A call's deadline bounds the exchange, where the route's timeout does not do so earlier. One that cannot be read is left to the upstream.
func (x *Exchange) beginCall() {
	i := x.req.Header.Find(message.ContentType, 0)
	if i < 0 || !isGRPC(x.req.Header.At(i).Value()) {
		return
	}
	x.rpc.call = true
	v, ok := x.req.Header.Get("grpc-timeout")
	if !ok {
		return
	}
	if d, ok := parseGRPCTimeout(v); ok {
		x.expire(x.start+int64(d), DeadlineExceeded)
	}
}

// isGRPC: "application/grpc", alone or followed by "+" and an encoding or by ";". gRPC-Web ("application/grpc-web") is another protocol.
func isGRPC(contentType []byte) bool {
	const kind = "application/grpc"
	if len(contentType) < len(kind) || !message.EqualFold(contentType[:len(kind)], kind) {
		return false
	}
	return len(contentType) == len(kind) || contentType[len(kind)] == '+' || contentType[len(kind)] == ';'
}

// parseGRPCTimeout reads one to eight digits and a unit. The longest, 99999999 hours, is cut to what a Duration holds.
func parseGRPCTimeout(v []byte) (time.Duration, bool) {
	if len(v) < 2 || len(v) > 9 {
		return 0, false
	}
	var n int64
	for _, c := range v[:len(v)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	var unit time.Duration
	switch v[len(v)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	default:
		return 0, false
	}
	const most = 365 * 24 * time.Hour
	if n > int64(most/unit) {
		return most, true
	}
	return time.Duration(n) * unit, true
}

// The status codes that we give ourselves (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md).
const (
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcStatus is what an error is to a gRPC client. Where gRPC says what a client makes of an HTTP status it is that
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md), so that a client that sees either draws the same conclusion: 400, 401, 403, 404, 429, 502,
// 503, 504. The others are ours, by the meaning of the codes: what is too large will stay so (8), a deadline that has passed is one (4), a method that a route does not
// take is not there (12), another connection will do (421: 14).
func grpcStatus(err *Error) int {
	switch {
	case err.Reason == TotalTimeout || err.Reason == DeadlineExceeded:
		return grpcDeadlineExceeded
	case err.Status == 400:
		return grpcInternal
	case err.Status == 401 || err.Status < 400: // a login that no client of gRPC can follow
		return grpcUnauthenticated
	case err.Status == 403:
		return grpcPermissionDenied
	case err.Status == 404 || err.Status == 405:
		return grpcUnimplemented
	case err.Status == 413 || err.Status == 414 || err.Status == 431:
		return grpcResourceExhausted
	case err.Status == 421 || err.Status == 429 || err.Status >= 502 && err.Status <= 504:
		return grpcUnavailable
	}
	return grpcUnknown
}

// grpcName is a status code's name in logs.
func grpcName(code int) string {
	switch code {
	case 0:
		return "OK"
	case 1:
		return "CANCELLED"
	case grpcUnknown:
		return "UNKNOWN"
	case 3:
		return "INVALID_ARGUMENT"
	case grpcDeadlineExceeded:
		return "DEADLINE_EXCEEDED"
	case 5:
		return "NOT_FOUND"
	case 6:
		return "ALREADY_EXISTS"
	case grpcPermissionDenied:
		return "PERMISSION_DENIED"
	case grpcResourceExhausted:
		return "RESOURCE_EXHAUSTED"
	case 9:
		return "FAILED_PRECONDITION"
	case 10:
		return "ABORTED"
	case 11:
		return "OUT_OF_RANGE"
	case grpcUnimplemented:
		return "UNIMPLEMENTED"
	case grpcInternal:
		return "INTERNAL"
	case grpcUnavailable:
		return "UNAVAILABLE"
	case 15:
		return "DATA_LOSS"
	case grpcUnauthenticated:
		return "UNAUTHENTICATED"
	}
	return "INVALID"
}

// failCall answers a gRPC request with an error: status 200 and, in the same head, what else would be trailers ("Trailers-Only"). In the books it has the HTTP status that it
// stands for, or failures of a service that speaks gRPC could not be told from successes.
func (x *Exchange) failCall(err *Error) {
	x.resp.Reset()
	h := &x.resp.Header
	h.Add("Content-Type", "application/grpc")
	code := grpcStatus(err)
	h.Add("Grpc-Status", strconv.Itoa(code))
	h.AddBytes("Grpc-Message", appendGRPCMessage(nil, http1.StatusText(err.Status)+": "+err.Reason.String()+" (request "+string(x.id)+")"))
	switch err.Status {
	case 401, 403:
		x.user.challenge(h)
	case 429:
		x.refusal.addTo(h)
	}
	if x.req.Proto <= message.HTTP11 {
		h.Add("Content-Length", "0")
	}
	x.ours = true
	x.resp.Status, x.resp.Framing = 200, message.None
	x.resp.Reason = []byte("OK")
	x.writeHead(&x.resp, nil, err.Reason == BadRequest || !x.down.DiscardBody())
	x.down.Finish(nil)
	x.status, x.rpc.status = err.Status, grpcName(code)
}

// appendGRPCMessage percent-encodes what is not printable ASCII, and the percent sign (PROTOCOL-HTTP2, "Responses").
func appendGRPCMessage(b []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// hearStatus notes how a call ended by the fields that say so: trailers, or the head where there is nothing else.
func (x *Exchange) hearStatus(h *message.Header) {
	if v, ok := h.Get("grpc-status"); ok {
		code, err := strconv.Atoi(string(bytes.TrimSpace(v)))
		if err != nil {
			code = -1
		}
		x.rpc.status = grpcName(code)
	}
}
