// Package otlptest is an OpenTelemetry collector for the tests of several packages, written with OpenTelemetry's own protocol definitions and gRPC's own server, so that it shares no mistake
// with what it is sent. Nothing but tests imports it (layers_test.go holds that).
package otlptest

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // which collectors understand
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// Test is what a testing.T and a rapid.T have in common.
type Test interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Collector takes exports by OTLP over HTTP and gRPC until the test ends.
type Collector struct {
	HTTP, GRPC string // base URLs
	// Spans are those that were exported, in order. What finds no room is lost.
	Spans chan Span

	collectorpb.UnimplementedTraceServiceServer
}

// Span is one that was exported.
type Span struct {
	*tracepb.Span
	Attributes, Resource map[string]any
	Header               http.Header // of the export; of gRPC its metadata
	Scope                string
}

// TraceID, ID and ParentID are in hex.
func (s Span) TraceID() string  { return hex.EncodeToString(s.TraceId) }
func (s Span) ID() string       { return hex.EncodeToString(s.SpanId) }
func (s Span) ParentID() string { return hex.EncodeToString(s.ParentSpanId) }

// Start begins to listen.
func Start(t Test) *Collector {
	t.Helper()
	c := &Collector{Spans: make(chan Span, 1<<14)}
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("start collector: %v", err)
		}
		return l
	}
	plain, calls := listen(), listen()
	c.HTTP, c.GRPC = "http://"+plain.Addr().String(), "http://"+calls.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", c.post)
	server, rpc := &http.Server{Handler: mux}, grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(rpc, c)
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(plain) }()
	go func() { ended <- rpc.Serve(calls) }()
	t.Cleanup(func() {
		_ = server.Close()
		rpc.Stop()
		<-ended
		<-ended
	})
	return c
}

// Next waits for so many spans; the test fails where they do not come.
func (c *Collector) Next(t Test, n int) (list []Span) {
	t.Helper()
	timer := time.NewTimer(60 * time.Second)
	defer timer.Stop()
	for range n {
		select {
		case s := <-c.Spans:
			list = append(list, s)
		case <-timer.C:
			t.Fatalf("only %d of %d spans were exported", len(list), n)
		}
	}
	return list
}

func (c *Collector) post(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	var q collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &q)
	}
	if err == nil && r.Header.Get("Content-Type") != "application/x-protobuf" {
		err = fmt.Errorf("content type %q", r.Header.Get("Content-Type"))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.take(&q, r.Header)
	answer, _ := proto.Marshal(&collectorpb.ExportTraceServiceResponse{}) // which cannot fail: it is empty
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// Export implements the service of gRPC.
func (c *Collector) Export(ctx context.Context, q *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	h := http.Header{}
	for name, values := range md {
		h[http.CanonicalHeaderKey(name)] = values
	}
	c.take(q, h)
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *Collector) take(q *collectorpb.ExportTraceServiceRequest, h http.Header) {
	for _, r := range q.ResourceSpans {
		for _, s := range r.ScopeSpans {
			for _, span := range s.Spans {
				select {
				case c.Spans <- Span{span, values(span.Attributes), values(r.Resource.GetAttributes()), h, s.Scope.GetName()}:
				default:
				}
			}
		}
	}
}

func values(list []*commonpb.KeyValue) map[string]any {
	m := map[string]any{}
	for _, a := range list {
		switch v := a.Value.GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			m[a.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			m[a.Key] = v.IntValue
		case *commonpb.AnyValue_BoolValue:
			m[a.Key] = v.BoolValue
		default:
			m[a.Key] = v
		}
	}
	return m
}
