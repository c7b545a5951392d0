package series

import (
	"strconv"
	"sync/atomic"

	dto "github.com/prometheus/client_model/go"
)

// Counter counts events. It is safe for concurrent use; the zero value stands at 0 and is exported by nobody.
type Counter struct {
	n atomic.Uint64 // written by whoever counts
	_ [56]byte      // counters of two routes never share a cache line
}

// Inc counts one event.
func (c *Counter) Inc() { c.n.Add(1) }

// Value is how many there were.
func (c *Counter) Value() uint64 { return c.n.Load() }

// Counters is a family of counters.
type Counters struct{ *vec[Counter] }

// NewCounters makes a family without children.
func NewCounters(o Options) *Counters { return &Counters{newVec[Counter](o)} }

func (f *Counters) title() title { return title{f.name, f.help, dto.MetricType_COUNTER} }

func (f *Counters) text(o *output, _ bool) {
	for _, c := range f.children() {
		b := append(append(o.buffer, f.name...), '{')
		b = append(append(b, c.text...), "} "...)
		o.buffer = append(strconv.AppendUint(b, c.value.Value(), 10), '\n')
		if !o.more() {
			return
		}
	}
}
