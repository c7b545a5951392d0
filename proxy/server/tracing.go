package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/trace"
)

// tracing is what outlives a configuration of how requests are traced. Server.mu guards it, but for the tracer.
type tracing struct {
	tracer  trace.Tracer
	current *exporter // nil: none
	// sampler is that of the configuration in force, kept over reloads that do not change its keys: what a second has left is not begun anew.
	sampler *trace.Sampler
	ratio   float64
	most    int
	fading  sync.WaitGroup // exporters that send their last
}

// exporter is one with the keys that it was made of.
type exporter struct {
	config configs.Tracing
	*trace.Exporter
}

// closingTime is how long an exporter that is not wanted any more may take to send what it has. It is meant for a collector that is slow; one that is away fails at once.
const closingTime = 5 * time.Second

// flushTime is the same at the end of the process.
func flushTime(mode admin.StopMode) time.Duration {
	if mode == admin.StopNow {
		return time.Second
	}
	return closingTime
}

// openExporter is the exporter that a configuration wants: the one in force if it is that, else a new one, which opens nothing yet. Under Server.mu.
func (s *Server) openExporter(c *configs.Tracing) (*exporter, error) {
	if c == nil {
		return nil, nil
	}
	keys := *c
	keys.SampleRatio, keys.MaxPerSecond, keys.Parent = 0, 0, "" // the sampler's
	if was := s.tracing.current; was != nil && reflect.DeepEqual(was.config, keys) {
		return was, nil
	}
	o := trace.Options{
		Endpoint: c.Endpoint, GRPC: c.Protocol == "grpc", Plain: c.Compression == "none", Timeout: c.Timeout, Queue: c.Queue, Version: s.options.Version,
		Counters: &s.tracing.tracer.Counters, Logger: s.log, Resource: resourceOf(c, s.options.Version),
	}
	for _, h := range c.Headers {
		o.Headers = append(o.Headers, trace.Attribute{Name: h.Name, Value: h.Value.Reveal()})
	}
	if c.CAPEM != nil {
		o.Roots = x509.NewCertPool()
		o.Roots.AppendCertsFromPEM(c.CAPEM) // configs has parsed them
	}
	e, err := trace.Start(o)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return &exporter{keys, e}, nil
}

// resourceOf says who exports. What the configuration says stands in place of what is found out.
func resourceOf(c *configs.Tracing, version string) []trace.Attribute {
	list := []trace.Attribute{
		{Name: "service.name", Value: c.ServiceName}, {Name: "service.version", Value: version},
		{Name: "telemetry.sdk.name", Value: "weir"}, {Name: "telemetry.sdk.language", Value: "go"}, {Name: "telemetry.sdk.version", Value: version},
	}
	if host, err := os.Hostname(); err == nil {
		list = append(list, trace.Attribute{Name: "host.name", Value: host})
	}
	for _, a := range c.ResourceAttributes {
		stated := false
		for i := range list {
			if list[i].Name == a.Name {
				list[i].Value, stated = a.Value, true
			}
		}
		if !stated {
			list = append(list, trace.Attribute{Name: a.Name, Value: a.Value})
		}
	}
	return list
}

// use puts an exporter in force and lets the one before it send what it has, on a goroutine that ends with that. It cannot fail: it is part of commit. Under Server.mu.
func (t *tracing) use(next *exporter) {
	was := t.current
	if was == next {
		return
	}
	t.current = next
	if next == nil {
		t.tracer.Use(nil)
	} else {
		t.tracer.Use(next.Exporter)
	}
	if was != nil {
		t.fading.Go(func() { was.closeIn(closingTime) })
	}
}

// closeBut ends an exporter unless it is the one in force.
func (e *exporter) closeBut(current *exporter) {
	if e != nil && e != current {
		e.closeIn(0)
	}
}

func (e *exporter) closeIn(d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	e.Close(ctx)
}

// close sends what is left and ends. No request adds anything any more.
func (t *tracing) close(d time.Duration) {
	if t.current != nil {
		t.current.closeIn(d)
	}
	t.fading.Wait()
}

// tracingOf is what requests of a configuration do about traces. Under Server.mu.
func (s *Server) tracingOf(c *configs.Tracing) *proxy.Tracing {
	t := &s.tracing
	if c == nil {
		t.sampler = nil
		return nil
	}
	if t.sampler == nil || t.ratio != c.SampleRatio || t.most != c.MaxPerSecond {
		t.sampler, t.ratio, t.most = trace.NewSampler(c.SampleRatio, float64(c.MaxPerSecond)), c.SampleRatio, c.MaxPerSecond
	}
	callers := map[string]proxy.Callers{"any": proxy.AnyCaller, "trusted": proxy.TrustedCallers, "none": proxy.NoCaller}
	return &proxy.Tracing{Sampler: t.sampler, Tracer: &t.tracer, Callers: callers[c.Parent]}
}

// traceStats tells a scrape what became of traces.
func (s *Server) traceStats() observe.TraceStats {
	c := &s.tracing.tracer.Counters
	stats := observe.TraceStats{Exported: c.Exported.Load(), Dropped: map[string]uint64{}}
	c.Dropped(func(reason string, n uint64) { stats.Dropped[reason] = n })
	return stats
}
