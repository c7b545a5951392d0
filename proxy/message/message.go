package message

// Framing says how a body's end is known (RFC 9112 §6).
type Framing uint8

// The framings. Chunked stands for every stream of unknown length that marks its own end, HTTP/2 DATA frames included.
const (
	None Framing = iota
	Length
	Chunked
	UntilClose // responses only
)

// Proto is an HTTP version, major*10+minor.
type Proto uint8

// The versions spoken.
const (
	HTTP10 Proto = 10
	HTTP11 Proto = 11
	HTTP2  Proto = 20
	HTTP3  Proto = 30
)

// String is the version as logs and metrics name it.
func (p Proto) String() string {
	switch p {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2.0"
	case HTTP3:
		return "HTTP/3.0"
	}
	return "-"
}

// Version is the number alone, as ECS and OpenTelemetry write it: "1.1", "2"; "" where there is none.
func (p Proto) Version() string {
	switch p {
	case HTTP10:
		return "1.0"
	case HTTP11:
		return "1.1"
	case HTTP2:
		return "2"
	case HTTP3:
		return "3"
	}
	return ""
}

// Method is a known method, so that hot code compares a byte. Any other token is MethodOther and kept by name in Request.MethodName.
type Method uint8

// The methods of RFC 9110 §9.3 and PATCH (RFC 5789).
const (
	MethodOther Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	CONNECT
	OPTIONS
	TRACE
	PATCH
)

var methodNames = [...]string{"OTHER", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// String is the method's name; unknown methods are all "OTHER", which bounds metric labels.
func (m Method) String() string { return methodNames[m] }

// MethodOf finds the method of a token. Methods are case-sensitive (RFC 9110 §9.1).
func MethodOf(token []byte) Method {
	switch string(token) { // no allocation: the compiler compares in place
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "DELETE":
		return DELETE
	case "CONNECT":
		return CONNECT
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	case "PATCH":
		return PATCH
	}
	return MethodOther
}

// Idempotent reports whether repeating the request is harmless by definition (RFC 9110 §9.2.2).
func (m Method) Idempotent() bool {
	switch m {
	case GET, HEAD, PUT, DELETE, OPTIONS, TRACE:
		return true
	}
	return false
}

// Safe reports whether the method only reads (RFC 9110 §9.2.1).
func (m Method) Safe() bool { return m == GET || m == HEAD || m == OPTIONS || m == TRACE }

// Request is one request head. Slices point into the connection's buffer and live until the exchange ends.
type Request struct {
	Method     Method
	Proto      Proto
	MethodName []byte
	Target     []byte // as received
	Path       []byte // absolute path as received, percent-encoding intact; "*" for OPTIONS *
	Query      []byte // behind "?", nil when there is none
	Host       []byte // authority: host or host:port, validated, case as received; empty only in HTTP/1.0
	Header     Header

	Framing       Framing
	ContentLength int64 // bytes, when Framing is Length
	Expect        bool  // Expect: 100-continue
	Upgrade       bool  // Connection: upgrade with an Upgrade field
	Close         bool  // the client asked for the connection to end after this exchange
	Nominates     bool  // Connection names further fields: DropNominated removes them
}

// Reset empties the head and keeps its memory.
func (r *Request) Reset() {
	h := r.Header
	h.Reset()
	*r = Request{Header: h}
}

// Response is one response head, interim (1xx) or final.
type Response struct {
	Status int
	Proto  Proto
	Reason []byte // reason phrase, may be empty
	Header Header

	Framing       Framing
	ContentLength int64 // bytes when Framing is Length; for HEAD and 304 what the field said, else -1
	Close         bool  // the sender will close its connection after this message
	Nominates     bool  // Connection names further fields: DropNominated removes them
}

// Reset empties the head and keeps its memory.
func (r *Response) Reset() {
	h := r.Header
	h.Reset()
	*r = Response{Header: h}
}
