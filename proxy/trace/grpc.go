package trace

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// A unary call of gRPC is a POST over HTTP/2: a message behind five bytes, and a status in the trailers. net/http speaks that; what else a gRPC library does (names, balancing, its own
// reconnecting) one collector has no use for.

// framePrefix is a byte that says whether the message is compressed and its length in four.
const framePrefix = 5

// frame fills in the prefix of b.
func frame(b []byte, compressed bool) {
	if compressed {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:framePrefix], uint32(len(b)-framePrefix))
}

// grpcTimeout is the field's value: at most eight digits and a unit.
func grpcTimeout(d time.Duration) string {
	return strconv.FormatInt(max(1, d.Milliseconds()), 10) + "m"
}

// Status codes of gRPC after which a call may be tried again (OTLP 1.x, "Failures"). RESOURCE_EXHAUSTED is not among them: it may only be with a RetryInfo, which comes in a detail.
const (
	grpcOK               = 0
	grpcCancelled        = 1
	grpcDeadlineExceeded = 4
	grpcAborted          = 10
	grpcOutOfRange       = 11
	grpcUnavailable      = 14
	grpcDataLoss         = 15
)

// grpcVerdict judges the answer to a call.
func grpcVerdict(resp *http.Response, answer []byte) (int, *sendError) {
	text, message := resp.Trailer.Get("Grpc-Status"), resp.Trailer.Get("Grpc-Message")
	if text == "" { // an answer of trailers alone
		text, message = resp.Header.Get("Grpc-Status"), resp.Header.Get("Grpc-Message")
	}
	code, err := strconv.Atoi(text)
	if err != nil {
		return 0, &sendError{err: fmt.Errorf("the endpoint answered %s without a gRPC status: is it a collector's?", resp.Status), again: resp.StatusCode >= 500}
	}
	switch code {
	case grpcOK:
		message, err := unframe(answer, resp.Header.Get("Grpc-Encoding"))
		if err != nil {
			return 0, &sendError{err: fmt.Errorf("read answer of the collector: %w", err)}
		}
		return partly(message)
	case grpcCancelled, grpcDeadlineExceeded, grpcAborted, grpcOutOfRange, grpcUnavailable, grpcDataLoss:
		return 0, &sendError{err: fmt.Errorf("the collector answered with gRPC status %d: %s", code, excerpt([]byte(message))), again: true}
	}
	return 0, &sendError{err: fmt.Errorf("the collector answered with gRPC status %d: %s", code, excerpt([]byte(message))), refused: true}
}

// unframe is the message of an answer. Servers compress as they were spoken to, though nobody said that they may.
func unframe(answer []byte, encoding string) ([]byte, error) {
	if len(answer) == 0 {
		return nil, nil
	}
	if len(answer) < framePrefix || uint64(binary.BigEndian.Uint32(answer[1:framePrefix])) != uint64(len(answer)-framePrefix) {
		return nil, errors.New("it is not one message")
	}
	message := answer[framePrefix:]
	switch {
	case answer[0] == 0:
		return message, nil
	case encoding != "gzip":
		return nil, fmt.Errorf("it is compressed by %q", encoding)
	}
	unzip, err := gzip.NewReader(bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(unzip, mostAnswer))
}

// partly reads an ExportTraceServiceResponse: field 1 is a message whose field 1 is how many spans were refused.
func partly(answer []byte) (refused int, failed *sendError) {
	success, ok := lastField(answer, protowire.BytesType)
	if !ok {
		return 0, &sendError{err: fmt.Errorf("the collector's answer is no ExportTraceServiceResponse")}
	}
	inner, _ := protowire.ConsumeBytes(success)
	count, ok := lastField(inner, protowire.VarintType)
	if !ok {
		return 0, &sendError{err: fmt.Errorf("the collector's answer is no ExportTraceServiceResponse")}
	}
	n, _ := protowire.ConsumeVarint(count)
	return int(min(n, mostRefused)), nil
}

// mostRefused is more spans than a batch can have; what a hostile answer says beyond it is no number.
const mostRefused = 1 << 20

// lastField finds field 1 of a message, encoded as it came, which is empty where there is none. false: it is no message, or the field is of another type.
func lastField(b []byte, want protowire.Type) (value []byte, ok bool) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(number, kind, b)
		if size < 0 || number == 1 && kind != want {
			return nil, false
		}
		if number == 1 {
			value = b[:size]
		}
		b = b[size:]
	}
	return value, true
}
