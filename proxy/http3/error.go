package http3

import (
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// Code is an error code of RFC 9114 §8.1 or RFC 9204 §6.
type Code uint64

// The codes.
const (
	NoError              Code = 0x100
	GeneralProtocolError Code = 0x101
	InternalError        Code = 0x102
	StreamCreationError  Code = 0x103
	ClosedCriticalStream Code = 0x104
	FrameUnexpected      Code = 0x105
	FrameError           Code = 0x106
	ExcessiveLoad        Code = 0x107
	IDError              Code = 0x108
	SettingsError        Code = 0x109
	MissingSettings      Code = 0x10a
	RequestRejected      Code = 0x10b
	RequestCancelled     Code = 0x10c
	RequestIncomplete    Code = 0x10d
	MessageError         Code = 0x10e
	DecompressionFailed  Code = 0x200
	EncoderStreamError   Code = 0x201
	DecoderStreamError   Code = 0x202
)

// Error is a request to refuse.
type Error = message.Error

// GoneError is why a stream cannot go on: its client reset it, we did, or the connection ended.
type GoneError struct {
	Code   Code // of the stream or of the connection; 0 for a transport error
	Remote bool // the client's doing
	Text   string
}

// Error makes it an error.
func (e *GoneError) Error() string {
	return e.Text + " (code 0x" + strconv.FormatUint(uint64(e.Code), 16) + ")"
}

// connError closes the connection.
type connError struct {
	code Code
	text string
}

func (e *connError) Error() string {
	return e.text + " (code 0x" + strconv.FormatUint(uint64(e.code), 16) + ")"
}

// Bodies that are not what their head said (RFC 9114 §4.1.2).
var (
	errLength   = &Error{Status: 400, Text: "body differs from content-length"}
	errTrailers = &Error{Status: 400, Text: "invalid trailers"}
)

// Ends of connections.
var (
	failUnexpected    = &connError{FrameUnexpected, "frame out of place"}
	failFrame         = &connError{FrameError, "invalid frame"}
	failTruncated     = &connError{FrameError, "stream ends inside a frame"}
	failIdle          = &connError{ExcessiveLoad, "frames that do nothing"}
	failLarge         = &connError{ExcessiveLoad, "frame too large"}
	failCritical      = &connError{ClosedCriticalStream, "critical stream closed"}
	failTwice         = &connError{StreamCreationError, "second stream of a kind that there is one of"}
	failPush          = &connError{StreamCreationError, "push stream from a client"}
	failNoSettings    = &connError{MissingSettings, "first frame is not SETTINGS"}
	failSettings      = &connError{SettingsError, "invalid setting"}
	failID            = &connError{IDError, "invalid identifier"}
	failCompression   = &connError{DecompressionFailed, "invalid field section"}
	failEncoderStream = &connError{EncoderStreamError, "instruction for a table that there is not"}
	failDecoderStream = &connError{DecoderStreamError, "acknowledgement of a table that there is not"}
)

// translate makes the package's errors of quic-go's. io.EOF and errors of ours pass.
func translate(err error) error {
	var refused *Error
	var gone *GoneError
	var stream *quic.StreamError
	var app *quic.ApplicationError
	switch {
	case err == nil, err == io.EOF, errors.As(err, &refused), errors.As(err, &gone):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	case errors.As(err, &stream):
		return &GoneError{Code: Code(stream.ErrorCode), Remote: stream.Remote, Text: "stream reset"}
	case errors.As(err, &app):
		return &GoneError{Code: Code(app.ErrorCode), Remote: app.Remote, Text: "connection closed"}
	}
	return &GoneError{Text: "connection ended: " + err.Error()}
}
