package series

import (
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Durations is a family of histograms of times in seconds.
type Durations struct {
	*vec[Duration]
	// ends are what follows the labels of each bucket, in the text format and in OpenMetrics, which wants a point in numbers that are labels.
	ends [2][len(bounds) + 1]string
}

// NewDurations makes a family without children.
func NewDurations(o Options) *Durations {
	f := &Durations{vec: newVec[Duration](o)}
	for i, b := range bounds {
		le := strconv.FormatFloat(float64(b)/1e9, 'g', -1, 64)
		f.ends[0][i] = `,le="` + le + `"} `
		if !strings.ContainsAny(le, ".e") {
			le += ".0"
		}
		f.ends[1][i] = `,le="` + le + `"} `
	}
	f.ends[0][len(bounds)], f.ends[1][len(bounds)] = `,le="+Inf"} `, `,le="+Inf"} `
	return f
}

func (f *Durations) title() title { return title{f.name, f.help, dto.MetricType_HISTOGRAM} }

func (f *Durations) text(o *output, openMetrics bool) {
	bucket, sum, count := f.name+"_bucket{", f.name+"_sum{", f.name+"_count{"
	ends := &f.ends[0]
	if openMetrics {
		ends = &f.ends[1]
	}
	for _, c := range f.children() {
		counts := c.value.counts()
		b := o.buffer
		for i, n := range counts {
			b = append(append(b, bucket...), c.text...)
			b = strconv.AppendUint(append(b, ends[i]...), n, 10)
			if e := c.value.exemplar(i); e != nil && openMetrics {
				b = e.text(b)
			}
			b = append(b, '\n')
		}
		b = append(append(append(b, sum...), c.text...), "} "...)
		b = append(strconv.AppendFloat(b, c.value.seconds(), 'g', -1, 64), '\n')
		b = append(append(append(b, count...), c.text...), "} "...)
		o.buffer = append(strconv.AppendUint(b, counts[len(counts)-1], 10), '\n')
		if !o.more() {
			return
		}
	}
}

// text writes the exemplar as OpenMetrics wants it behind a value.
func (e *exemplar) text(b []byte) []byte {
	b = append(append(append(b, ` # {`+traceLabel+`="`...), e.trace[:]...), `"} `...)
	b = append(strconv.AppendFloat(b, e.took.Seconds(), 'g', -1, 64), ' ')
	return strconv.AppendFloat(b, float64(e.at.UnixMilli())/1e3, 'f', 3, 64)
}
