package http1

import "errors"

// Error is a message that breaks the protocol or a limit. As a request it is answered with Status and the connection closes; as an upstream's
// response it is a 502 whatever Status says.
type Error struct {
	Status int    // the answer it deserves (RFC 9110 §15.5)
	Text   string // what is wrong, for the log and the answer's detail
}

// Error makes it an error.
func (e *Error) Error() string { return e.Text }

// The ways to break the protocol. They are values so that refusing an attack allocates nothing.
var (
	errRequestLine   = &Error{400, "malformed request line"}
	errMethod        = &Error{400, "invalid method"}
	errTarget        = &Error{400, "invalid request target"}
	errTargetLong    = &Error{414, "request target too long"}
	errVersion       = &Error{400, "invalid protocol version"}
	errVersionOther  = &Error{505, "unsupported protocol version"}
	errStatusLine    = &Error{502, "malformed status line"}
	errBareLF        = &Error{400, "line feed without carriage return"}
	errBareCR        = &Error{400, "carriage return without line feed"}
	errFold          = &Error{400, "obsolete line folding"}
	errFieldName     = &Error{400, "invalid field name"}
	errFieldValue    = &Error{400, "control byte in a field value"}
	errHeadLarge     = &Error{431, "head too large"}
	errFieldsMany    = &Error{431, "too many fields"}
	errHostMissing   = &Error{400, "missing Host"}
	errHostMany      = &Error{400, "several Host fields"}
	errHost          = &Error{400, "invalid Host"}
	errAuthority     = &Error{400, "Host differs from the target's authority"}
	errLength        = &Error{400, "invalid Content-Length"}
	errLengthMany    = &Error{400, "several Content-Length fields"}
	errCoding        = &Error{400, "Transfer-Encoding other than a single chunked"}
	errCodingOld     = &Error{400, "Transfer-Encoding in an HTTP/1.0 message"}
	errLengthCoding  = &Error{400, "Content-Length beside Transfer-Encoding"}
	errFramingAlias  = &Error{400, "framing field written with an underscore"}
	errExpect        = &Error{417, "unknown expectation"}
	errConnection    = &Error{400, "Connection names a field that may not be dropped"}
	errChunk         = &Error{400, "malformed chunk"}
	errChunkLarge    = &Error{400, "chunk size out of range"}
	errExtensions    = &Error{400, "chunk extensions too large"}
	errTrailerLarge  = &Error{431, "trailers too large"}
	errUpgradeUnsaid = &Error{502, "upgrade that was not asked for"}
)

// ErrIdle says that a kept-alive connection ended, by the client or by the idle timeout, before a byte of another request: nothing to answer, nothing to log.
var ErrIdle = errors.New("connection idle")

// ErrTruncated says that the peer closed its side before the end of a message that it had begun.
var ErrTruncated = errors.New("message truncated")
