package trace

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	// schemaURL is the version of the semantic conventions whose names the attributes have.
	schemaURL = "https://opentelemetry.io/schemas/1.37.0"
	scopeName = "github.com/valor-ivx/weir"
)

// Attribute is a name and a text.
type Attribute struct{ Name, Value string }

// encoder makes spans of requests. It never changes.
type encoder struct {
	resource *resourcepb.Resource
	scope    *commonpb.InstrumentationScope
}

func newEncoder(version string, resource []Attribute) *encoder {
	e := &encoder{resource: &resourcepb.Resource{}, scope: &commonpb.InstrumentationScope{Name: scopeName, Version: version}}
	for _, a := range resource {
		e.resource.Attributes = append(e.resource.Attributes, text(a.Name, a.Value))
	}
	return e
}

// batch is what is sent of some requests. On the wire it is an ExportTraceServiceRequest, which has the same one field under the same number; the package of that one links gRPC and a gateway.
func (e *encoder) batch(requests []*Request) *tracepb.TracesData {
	spans := make([]*tracepb.Span, 0, 6*len(requests))
	for _, r := range requests {
		spans = spansOf(spans, r)
	}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: e.resource, SchemaUrl: schemaURL,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: e.scope, SchemaUrl: schemaURL, Spans: spans}},
	}}}
}

// Flags of a span beside those of its context.
const (
	hasRemote = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	isRemote  = uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
)

// requestSpans makes the spans of one request: the server's, and below it what it waited for and its attempts, each with its own parts.
type requestSpans struct {
	r     *Request
	spans []*tracepb.Span
}

func spansOf(to []*tracepb.Span, r *Request) []*tracepb.Span {
	s := &requestSpans{r, to}
	s.server()
	for _, w := range r.Waits {
		s.add(r.Span, w.Name, w.From, w.To)
	}
	for i, a := range r.Attempts {
		s.attempt(a, i)
	}
	return s.spans
}

// add adds a child within us; its ends are put right where a clock was read twice for one moment.
func (s *requestSpans) add(parent SpanID, name string, from, to int64) *tracepb.Span {
	id := NewSpanID()
	span := &tracepb.Span{
		TraceId: s.r.Context.Trace[:], SpanId: id[:], ParentSpanId: parent[:], TraceState: s.r.State, Flags: uint32(s.r.Context.Flags|FlagSampled) | hasRemote,
		Name: name, Kind: tracepb.Span_SPAN_KIND_INTERNAL, StartTimeUnixNano: s.unix(from), EndTimeUnixNano: s.unix(max(from, to)),
	}
	s.spans = append(s.spans, span)
	return span
}

// unix turns the proxy's clock into the world's.
func (s *requestSpans) unix(at int64) uint64 {
	return uint64(s.r.Wall.Add(time.Duration(at - s.r.Clock)).UnixNano())
}

func (s *requestSpans) server() {
	r := s.r
	span := s.add(r.Context.Span, r.method(), r.Start, r.End)
	span.SpanId, span.Kind = r.Span[:], tracepb.Span_SPAN_KIND_SERVER
	if r.Context.Span == (SpanID{}) {
		span.ParentSpanId = nil
	} else {
		span.Flags |= isRemote
	}
	if r.Pattern != "" {
		span.Name += " " + r.Pattern
	}
	scheme := "http"
	if r.Secure {
		scheme = "https"
	}
	span.Attributes = append(r.methodAttributes(), text("url.scheme", scheme))
	for _, a := range [...]Attribute{
		{"url.path", r.Path}, {"http.route", r.Pattern}, {"network.protocol.version", r.Proto.Version()}, {"user_agent.original", r.UserAgent}, {"client.address", address(r.Client)},
		{"network.peer.address", address(r.Source)}, {"error.type", r.errorType()}, {"weir.request_id", r.ID}, {"weir.listener", r.Listener}, {"weir.route", r.Route},
		{"weir.service", r.Service}, {"weir.group", r.Group},
	} {
		if a.Value != "" {
			span.Attributes = append(span.Attributes, text(a.Name, a.Value))
		}
	}
	span.Attributes = appendAuthority(span.Attributes, r.Host)
	span.Attributes = append(span.Attributes, number("http.request.body.size", r.BytesIn), number("http.response.body.size", r.BytesOut))
	if r.Status > 0 {
		span.Attributes = append(span.Attributes, number("http.response.status_code", int64(r.Status)))
	}
	if r.Failed {
		span.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: r.Reason}
	}
}

// attempt is one asking of a target, resent after so many others.
func (s *requestSpans) attempt(a *Attempt, resent int) {
	r := s.r
	span := s.add(r.Span, r.method(), a.Began, a.End)
	span.SpanId, span.Kind = a.Span[:], tracepb.Span_SPAN_KIND_CLIENT
	scheme := "http://"
	if a.Secure {
		scheme = "https://"
	}
	span.Attributes = append(r.methodAttributes(), text("url.full", scheme+a.Address+r.Path), text("weir.group", a.Group))
	span.Attributes = appendAuthority(span.Attributes, a.Address)
	if resent > 0 {
		span.Attributes = append(span.Attributes, number("http.request.resend_count", int64(resent)))
	}
	if a.Status > 0 {
		span.Attributes = append(span.Attributes, number("http.response.status_code", int64(a.Status)))
	}
	for _, f := range [...]struct {
		name string
		on   bool
	}{{"weir.hedge", a.Hedge}, {"weir.outrun", a.Outrun}, {"weir.connection_reused", a.Reused}} {
		if f.on {
			span.Attributes = append(span.Attributes, &commonpb.KeyValue{Key: f.name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}})
		}
	}
	if kind := a.errorType(); kind != "" {
		span.Attributes = append(span.Attributes, text("error.type", kind))
	}
	if a.Failed || a.Status >= 400 {
		span.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: a.Reason}
	}
	if a.DialBegan > 0 {
		s.add(a.Span, "connect", a.DialBegan, a.DialEnded)
	}
	switch {
	case a.Head > 0:
		s.add(a.Span, "header", a.Said, a.Head)
		s.add(a.Span, "body", a.Head, a.End)
	case a.Said > 0:
		s.add(a.Span, "header", a.Said, a.End)
	}
}

// method is the name of a span, and the value of http.request.method but for "HTTP", which stands for methods that are not known.
func (r *Request) method() string {
	if r.Method == message.MethodOther {
		return "HTTP"
	}
	return r.Method.String()
}

func (r *Request) methodAttributes() []*commonpb.KeyValue {
	if r.Method == message.MethodOther {
		return []*commonpb.KeyValue{text("http.request.method", "_OTHER"), text("http.request.method_original", r.MethodName)}
	}
	return []*commonpb.KeyValue{text("http.request.method", r.Method.String())}
}

// errorType is the reason, else a status that is an error's.
func (r *Request) errorType() string {
	if r.Reason == "" && r.Status >= 500 {
		return strconv.Itoa(r.Status)
	}
	return r.Reason
}

func (a *Attempt) errorType() string {
	if a.Reason == "" && a.Status >= 400 {
		return strconv.Itoa(a.Status)
	}
	return a.Reason
}

// appendAuthority appends the host and the port of host or host:port.
func appendAuthority(list []*commonpb.KeyValue, authority string) []*commonpb.KeyValue {
	if authority == "" {
		return list
	}
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		return append(list, text("server.address", strings.Trim(authority, "[]")))
	}
	list = append(list, text("server.address", host))
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		list = append(list, number("server.port", int64(n)))
	}
	return list
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.WithZone("").String()
}

// text is an attribute. What a client sent need not be UTF-8, which protobuf insists on: one such byte would cost a whole batch.
func text(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.ToValidUTF8(value, "\uFFFD")}}}
}

func number(name string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}
