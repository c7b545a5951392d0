package configs

import (
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Tracing has requests take part in distributed traces: W3C Trace Context is read and written, and the spans of those that are sampled go to an OpenTelemetry collector by OTLP. Without this
// table traceparent and tracestate are forwarded as they came. No request waits for the collector: what it does not take is dropped and counted (weir_traces_dropped_total). The
// variables OTEL_… are not read, but may be named here: "${OTEL_EXPORTER_OTLP_ENDPOINT}".
type Tracing struct {
	// URL of the collector: "http://collector:4318", for gRPC "http://collector:4317", with https:// over TLS. Over HTTP "/v1/traces" is added unless it ends so.
	Endpoint string `toml:"endpoint" required:"true"`
	// How the collector is spoken to: http/protobuf, mostly on port 4318, or grpc, mostly on 4317.
	Protocol string `toml:"protocol" default:"http/protobuf" enum:"http/protobuf|grpc"`
	// Fields sent with every export, as { "Authorization" = "Bearer ${file:token}" }: what the collector knows weir by. Their values are secrets.
	Headers SecretSet `toml:"headers"`
	// PEM file with the roots to trust for https:// instead of the system's.
	CA string `toml:"ca"`
	// How exports are compressed.
	Compression string `toml:"compression" default:"gzip" enum:"gzip|none"`
	// How long one export may take with all its tries.
	Timeout time.Duration `toml:"timeout" default:"10s" min:"100ms" max:"1m"`
	// Sampled requests that may wait for the collector, some kilobytes each; more are dropped.
	Queue int `toml:"queue" default:"2048" min:"16" max:"65536"`
	// What traces call this service: the attribute service.name.
	ServiceName string `toml:"service_name" default:"weir"`
	// Further attributes of the resource, as { "deployment.environment.name" = "production" }.
	ResourceAttributes FieldSet `toml:"resource_attributes"`
	// Share of the requests without a caller's traceparent that are sampled, from 0 to 1, by the trace's id as OpenTelemetry's traceidratio does. With one the caller has decided.
	SampleRatio float64 `toml:"sample_ratio" default:"1" min:"0" max:"1"`
	// Sampled requests per second at most, those that callers want sampled too: anybody can ask for that. A second's worth may come at once. 0: no bound.
	MaxPerSecond int `toml:"max_per_second" default:"100" min:"0" max:"1000000"`
	// Whose traceparent and tracestate are gone on with: any, trusted (of client_ip.trusted_proxies), or none. For others' requests a trace begins here.
	Parent string `toml:"parent" default:"any" enum:"any|trusted|none"`

	CAPEM []byte `toml:"-"` // contents of CA as read at load
}

// SecretSet is fields whose values are secrets, sorted by name.
type SecretSet []SecretField

// SecretField is one of them.
type SecretField struct {
	Name  string
	Value Secret
}

// print gives the fields as a table of the file, secrets redacted unless they are to be revealed.
func (s SecretSet) print(reveal bool) string {
	parts := make([]string, len(s))
	for i, f := range s {
		text := f.Value.String()
		if reveal {
			text = f.Value.Reveal()
		}
		parts[i] = quoteTOML(f.Name) + " = " + quoteTOML(text)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// secretSet binds a table of names and secrets.
func (b binder) secretSet(v reflect.Value, raw any, path string) {
	plain := reflect.New(reflect.TypeFor[FieldSet]()).Elem()
	b.fieldSet(plain, raw, path)
	var set SecretSet
	for _, f := range plain.Interface().(FieldSet) {
		set = append(set, SecretField{f.Name, Secret(f.Value)})
	}
	v.Set(reflect.ValueOf(set))
}

// tracing checks [tracing].
func (c checker) tracing() {
	t := c.cfg.Tracing
	if t == nil {
		return
	}
	c.tracingEndpoint(t)
	c.tracingHeaders(t)
	if at := "tracing.ca"; c.pos.has(at) {
		if data, ok := c.readPEM(at, &t.CA); ok {
			if err := checkChain(data); err != nil {
				c.value(at, "ca %s: %v", c.quote(at, t.CA), err)
			}
			t.CAPEM = data
		}
	}
	if at := "tracing.service_name"; t.ServiceName == "" && !c.bad(at) {
		c.value(at, "service_name is empty")
	}
	for _, a := range t.ResourceAttributes {
		at := joinKey("tracing.resource_attributes", a.Name)
		switch {
		case c.bad(at):
		case a.Name == "" || len(a.Name) > maxField || strings.ContainsFunc(a.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
			c.key(at, "attribute %q: a name is visible ASCII without spaces, as deployment.environment.name", a.Name)
		case a.Name == "service.name":
			c.key(at, "service.name is stated as service_name")
		case a.Value == "" || len(a.Value) > maxField:
			c.value(at, "%s must have from 1 to %d bytes", a.Name, maxField)
		}
	}
}

// tracingEndpoint checks endpoint. Its text is not shown where there could be a password in it.
func (c checker) tracingEndpoint(t *Tracing) {
	const at = "tracing.endpoint"
	if c.bad(at) || !c.pos.has(at) {
		return
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		c.value(at, `endpoint is not an http:// or https:// URL, as "http://127.0.0.1:4318"`)
	case u.User != nil:
		c.value(at, "endpoint has a user in it: what the collector knows weir by belongs into headers")
	case u.RawQuery != "" || u.Fragment != "":
		c.value(at, "endpoint has a query or a fragment: collectors have neither")
	case t.Protocol == "grpc" && strings.Trim(u.Path, "/") != "":
		c.value(at, "endpoint has a path: gRPC's is its own")
	case t.CA != "" && u.Scheme == "http" && !c.bad("tracing.ca"):
		c.value("tracing.ca", "ca has no use: endpoint is not https://")
	}
}

// tracingFields are written by the export itself.
func tracingFields() []string {
	return []string{"content-type", "content-encoding", "host", "te", "grpc-encoding", "grpc-timeout", "user-agent"}
}

func (c checker) tracingHeaders(t *Tracing) {
	seen := map[string]bool{}
	for _, f := range t.Headers {
		at, low := joinKey("tracing.headers", f.Name), strings.ToLower(f.Name)
		wrong := fieldName(f.Name)
		if wrong == "" && slices.Contains(tracingFields(), low) {
			wrong = "is weir's own to write"
		}
		switch {
		case wrong != "":
			c.key(at, "field %q %s", f.Name, wrong)
		case seen[low]:
			c.key(at, "field %q is there twice: letter case makes no other field", f.Name)
		case c.bad(at):
		default:
			if wrong := fieldValue(f.Value.Reveal()); wrong != "" {
				c.value(at, "%s %s", f.Name, wrong)
			}
		}
		seen[low] = true
	}
}
