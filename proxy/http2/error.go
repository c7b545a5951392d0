package http2

import (
	"errors"
	"strconv"

	"github.com/valor-ivx/weir/proxy/message"
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

// Error is a request to refuse.
type Error = message.Error

// GoneError is why a stream cannot go on: its client reset it, or the connection ended.
type GoneError struct {
	Code   Code
	Remote bool // the client's doing
	Text   string
	Cause  error // ErrSlowReader or ErrWriteTimeout, where a bound on writing was what ended it; else nil
}

// Unwrap gives the cause.
func (e *GoneError) Unwrap() error { return e.Cause }

// Error makes it an error.
func (e *GoneError) Error() string {
	return e.Text + " (code " + strconv.Itoa(int(e.Code)) + ")"
}

// ErrClosed says that the connection ended under a stream.
var ErrClosed = errors.New("connection closed")

// ErrWriteTimeout says that the client took nothing for WriteTimeout: no byte, or no frame of a stream that has something to say.
var ErrWriteTimeout = errors.New("client takes nothing")

// ErrSlowReader says that a client opened its windows more slowly than MinSendRate asks for.
var ErrSlowReader = errors.New("client reads too slowly")

// errTruncated says that a request's body broke off.
var errTruncated = errors.New("body broke off")

// connError ends the connection with GOAWAY.
type connError struct {
	code Code
	text string
}

func (e *connError) Error() string { return e.text + " (code " + strconv.Itoa(int(e.code)) + ")" }

// Responses that must not be forwarded.
var (
	badData    = &Error{Status: 502, Text: "DATA before the response's head"}
	errInterim = &Error{Status: 502, Text: "too many interim responses"}
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
	failSlowReader   = &connError{EnhanceYourCalm, "windows opened too slowly"}
)
