package observe

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/valor-ivx/weir/proxy/message"
)

// Compression counts what one route compresses. Its methods are safe for concurrent use and allocate nothing.
type Compression struct { // read-only
	responses [message.Codings + 1]prometheus.Counter // the last: of none
	in, out   [message.Codings]prometheus.Counter
}

// Done counts an answer that was compressed, whole or broken off, with the bytes of its body before and behind.
func (c *Compression) Done(coding message.Coding, in, out int64) {
	c.responses[coding].Inc()
	c.in[coding].Add(float64(in))
	c.out[coding].Add(float64(out))
}

// Skipped counts an answer that was not compressed because too many others were.
func (c *Compression) Skipped() { c.responses[message.Codings].Inc() }

// compressionVecs are the series of all routes that compress.
type compressionVecs struct {
	responses, in, out *prometheus.CounterVec

	mu     sync.Mutex // guards routes
	routes map[string]*Compression
}

func newCompressionVecs() *compressionVecs {
	return &compressionVecs{
		routes: map[string]*Compression{},
		responses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_compress_responses_total",
			Help: "Answers that were compressed, by coding. none: would have been, and were sent as they are because as many as may be at a time were.",
		}, []string{"route", "coding"}),
		in: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_compress_input_bytes_total", Help: "Bytes of bodies that were compressed.",
		}, []string{"route", "coding"}),
		out: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_compress_output_bytes_total", Help: "Bytes that they were compressed to.",
		}, []string{"route", "coding"}),
	}
}

func (v *compressionVecs) vecs() []*prometheus.CounterVec {
	return []*prometheus.CounterVec{v.responses, v.in, v.out}
}

// SetCompression makes the series of the routes that compress, at 0 where they are new, and removes those of all others. The handle of each is the same as long as it is named.
func (m *Metrics) SetCompression(routes []string) map[string]*Compression {
	v := m.compression
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.routes {
		if !slices.Contains(routes, name) {
			for _, vec := range v.vecs() {
				vec.DeletePartialMatch(prometheus.Labels{"route": name})
			}
			delete(v.routes, name)
		}
	}
	handles := map[string]*Compression{}
	for _, name := range routes {
		if v.routes[name] == nil {
			c := &Compression{}
			for coding := range message.Codings {
				label := coding.String()
				c.responses[coding], c.in[coding], c.out[coding] = v.responses.WithLabelValues(name, label), v.in.WithLabelValues(name, label), v.out.WithLabelValues(name, label)
			}
			c.responses[message.Codings] = v.responses.WithLabelValues(name, "none")
			v.routes[name] = c
		}
		handles[name] = v.routes[name]
	}
	return handles
}
