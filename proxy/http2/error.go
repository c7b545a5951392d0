package http2

import (
	"errors"
	"strconv"
)

// Code is an error code of RFC 9113 §7.
type Code uint32

// The codes.
const (
	NoError Code = iota
	ProtocolError
	InternalError
	FlowControlError
	SettingsTimeout
	StreamClosed
	FrameSizeError
	RefusedStream
	Cancel
	CompressionError
	ConnectError
	EnhanceYourCalm
	InadequateSecurity
	HTTP11Required
)

// Error is a request that keeps to HTTP/2 but not to HTTP or to a limit. It is answered with Status. It has the shape of http1.Error.
type Error struct {
	Status int    // the answer it deserves (RFC 9110 §15.5)
	Text   string // what is wrong, for the log and the answer's detail
}

// Error makes it an error.
func (e *Error) Error() string { return e.Text }

// GoneError is why a stream cannot go on: its client reset it, or the connection ended.
type GoneError struct {
	Code   Code
	Remote bool // the client's doing
	Text   string
}

// Error makes it an error.
func (e *GoneError) Error() string {
	return e.Text + " (code " + strconv.Itoa(int(e.Code)) + ")"
}

// ErrClosed says that the connection ended under a stream.
var ErrClosed = errors.New("connection closed")

// errTruncated says that a request's body broke off.
var errTruncated = errors.New("body broke off")

// connError ends the connection with GOAWAY.
type connError struct {
	code Code
	text string
}

func (e *connError) Error() string { return e.text + " (code " + strconv.Itoa(int(e.code)) + ")" }

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

// Malformed requests (RFC 9113 §8.1.1): the stream is reset with PROTOCOL_ERROR, nobody else hears of it.
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

// Responses that must not be forwarded.
var (
	badStatus  = &Error{502, "invalid :status"}
	badInterim = &Error{502, "invalid interim response"}
	badData    = &Error{502, "DATA before the response's head"}
	errInterim = &Error{502, "too many interim responses"}
)

// errSilent ends a connection whose upstream does not answer.
var errSilent = errors.New("ping not answered")

// Ends of connections.
var (
	failPreface      = &connError{ProtocolError, "invalid preface"}
	failVersion      = &connError{ProtocolError, "the peer speaks HTTP/1"}
	failFirst        = &connError{ProtocolError, "first frame is not SETTINGS"}
	failFrameLarge   = &connError{FrameSizeError, "frame too large"}
	failFrameSize    = &connError{FrameSizeError, "wrong frame size"}
	failStreamZero   = &connError{ProtocolError, "frame on the wrong kind of stream"}
	failStreamID     = &connError{ProtocolError, "invalid stream identifier"}
	failIdle         = &connError{ProtocolError, "frame on an idle stream"}
	failClosed       = &connError{StreamClosed, "frame on a closed stream"}
	failPadding      = &connError{ProtocolError, "padding too long"}
	failContinuation = &connError{ProtocolError, "CONTINUATION out of place"}
	failPush         = &connError{ProtocolError, "PUSH_PROMISE"}
	failCompression  = &connError{CompressionError, "invalid header block"}
	failWindow       = &connError{FlowControlError, "window exceeded"}
	failIncrement    = &connError{ProtocolError, "window increment of 0"}
	failSetting      = &connError{ProtocolError, "invalid setting"}
	failSettingSize  = &connError{FlowControlError, "invalid initial window"}
	failSettingsAck  = &connError{SettingsTimeout, "settings not acknowledged"}
	failBlock        = &connError{EnhanceYourCalm, "header block too large"}
	failSlow         = &connError{EnhanceYourCalm, "frame took too long"}
	failBacklog      = &connError{EnhanceYourCalm, "control frames not read"}
	failFlood        = &connError{EnhanceYourCalm, "flood"}
)
