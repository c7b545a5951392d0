package message

// Error is a message that breaks HTTP, its protocol's framing of it, or a limit. A request is answered with Status where the protocol leaves a choice.
type Error struct {
	Status int    // the answer it deserves (RFC 9110 §15.5)
	Text   string // what is wrong, for the log and the answer's detail
}

// Error makes it an error.
func (e *Error) Error() string { return e.Text }

// Requests that get an answer. They are values so that refusing an attack allocates nothing.
var (
	errHeadLarge   = &Error{431, "head too large"}
	errFieldsMany  = &Error{431, "too many fields"}
	errTargetLong  = &Error{414, "request target too long"}
	errTarget      = &Error{400, "invalid request target"}
	errHostMissing = &Error{400, "missing authority"}
	errHostMany    = &Error{400, "several Host fields"}
	errHost        = &Error{400, "invalid authority"}
	errAuthority   = &Error{400, "Host differs from :authority"}
	errScheme      = &Error{400, "unknown scheme"}
	errExpect      = &Error{417, "unknown expectation"}
)

// Malformed responses.
var (
	badStatus  = &Error{502, "invalid :status"}
	badInterim = &Error{502, "invalid interim response"}
)

// Malformed requests (RFC 9113 §8.1.1, RFC 9114 §4.1.2): the stream is reset, nobody else hears of it.
var (
	badName       = &Error{400, "invalid field name"}
	badValue      = &Error{400, "invalid field value"}
	badPseudo     = &Error{400, "invalid pseudo-header field"}
	badOrder      = &Error{400, "pseudo-header field behind a regular one"}
	badTwice      = &Error{400, "repeated pseudo-header field"}
	badMissing    = &Error{400, "missing pseudo-header field"}
	badConnection = &Error{400, "connection-specific field"}
	badTE         = &Error{400, "te other than trailers"}
	badLength     = &Error{400, "invalid content-length"}
	badMethod     = &Error{400, "invalid method"}
)
