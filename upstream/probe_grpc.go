package upstream

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
)

// grpcServing is the one status that is well (grpc.health.v1.HealthCheckResponse.ServingStatus).
const grpcServing = 1

// probeGRPC asks a target's health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md): Check must answer SERVING. The two messages have one field each,
// so they are written and read by hand.
func (l *link) probeGRPC(ctx context.Context, url string, h HealthOptions) error {
	message := []byte{0, 0, 0, 0, 0} // not compressed, and its length
	if h.Service != "" {
		message = append(binary.AppendUvarint(append(message, 1<<3|2), uint64(len(h.Service))), h.Service...) // field 1, bytes
	}
	binary.BigEndian.PutUint32(message[1:], uint32(len(message)-5))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/grpc.health.v1.Health/Check", bytes.NewReader(message))
	if err != nil {
		return fmt.Errorf("make probe: %w", err)
	}
	request.Host = h.Host
	request.Header = http.Header{"User-Agent": {"weir-health"}, "Content-Type": {"application/grpc"}, "Te": {"trailers"}}
	response, err := l.client.Do(request)
	if err != nil {
		return rootCause(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d is not 200", response.StatusCode)
	}
	status := response.Trailer.Get("Grpc-Status")
	if status == "" {
		status = response.Header.Get("Grpc-Status") // an error says it in the head
	}
	if status != "0" {
		return fmt.Errorf("grpc-status %q", status)
	}
	if got := servingStatus(body); got != grpcServing {
		return fmt.Errorf("health status %d is not SERVING", got)
	}
	return nil
}

// servingStatus reads field 1 of the answer, 0 (UNKNOWN) if it says none.
func servingStatus(body []byte) uint64 {
	if len(body) < 7 || body[0] != 0 || body[5] != 1<<3 { // field 1, varint
		return 0
	}
	status, _ := binary.Uvarint(body[6:])
	return status
}
