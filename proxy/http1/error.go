package http1

import (
	"errors"

	"github.com/valor-ivx/weir/proxy/message"
)

// Error is a message that breaks the protocol or a limit. As a request it is answered with Status and the connection closes; as an upstream's
// response it is a 502 whatever Status says.
type Error = message.Error

// The ways to break the protocol. They are values so that refusing an attack allocates nothing.
var (
	errRequestLine   = &Error{Status: 400, Text: "malformed request line"}
	errMethod        = &Error{Status: 400, Text: "invalid method"}
	errTarget        = &Error{Status: 400, Text: "invalid request target"}
	errTargetLong    = &Error{Status: 414, Text: "request target too long"}
	errVersion       = &Error{Status: 400, Text: "invalid protocol version"}
	errVersionOther  = &Error{Status: 505, Text: "unsupported protocol version"}
	errStatusLine    = &Error{Status: 502, Text: "malformed status line"}
	errBareLF        = &Error{Status: 400, Text: "line feed without carriage return"}
	errBareCR        = &Error{Status: 400, Text: "carriage return without line feed"}
	errFold          = &Error{Status: 400, Text: "obsolete line folding"}
	errFieldName     = &Error{Status: 400, Text: "invalid field name"}
	errFieldValue    = &Error{Status: 400, Text: "control byte in a field value"}
	errHeadLarge     = &Error{Status: 431, Text: "head too large"}
	errFieldsMany    = &Error{Status: 431, Text: "too many fields"}
	errHostMissing   = &Error{Status: 400, Text: "missing Host"}
	errHostMany      = &Error{Status: 400, Text: "several Host fields"}
	errHost          = &Error{Status: 400, Text: "invalid Host"}
	errAuthority     = &Error{Status: 400, Text: "Host differs from the target's authority"}
	errLength        = &Error{Status: 400, Text: "invalid Content-Length"}
	errLengthMany    = &Error{Status: 400, Text: "several Content-Length fields"}
	errCoding        = &Error{Status: 400, Text: "Transfer-Encoding other than a single chunked"}
	errCodingOld     = &Error{Status: 400, Text: "Transfer-Encoding in an HTTP/1.0 message"}
	errLengthCoding  = &Error{Status: 400, Text: "Content-Length beside Transfer-Encoding"}
	errFramingAlias  = &Error{Status: 400, Text: "framing field written with an underscore"}
	errExpect        = &Error{Status: 417, Text: "unknown expectation"}
	errConnection    = &Error{Status: 400, Text: "Connection names a field that may not be dropped"}
	errChunk         = &Error{Status: 400, Text: "malformed chunk"}
	errChunkLarge    = &Error{Status: 400, Text: "chunk size out of range"}
	errExtensions    = &Error{Status: 400, Text: "chunk extensions too large"}
	errTrailerLarge  = &Error{Status: 431, Text: "trailers too large"}
	errUpgradeUnsaid = &Error{Status: 502, Text: "upgrade that was not asked for"}
)

// ErrIdle says that a kept-alive connection ended, by the client or by the idle timeout, before a byte of another request: nothing to answer, nothing to log.
var ErrIdle = errors.New("connection idle")

// ErrTruncated says that the peer closed its side before the end of a message that it had begun.
var ErrTruncated = errors.New("message truncated")
