package series

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// Family is Counters or Durations.
type Family interface {
	title() title
	// text writes the samples, metrics adds them to output.whole. Both end early when nobody reads.
	text(o *output, openMetrics bool)
	metrics(o *output)
}

// title is what stands above a family.
type title struct {
	name, help string
	kind       dto.MetricType
}

// scrapes is how many scrapes are served at a time: two Prometheus replicas twice over. What is beyond gets 503, so that stuck scrapers cannot pile up.
const scrapes = 4

// Exposition serves families, and what a gatherer has, to scrapers. It is safe for concurrent use and owns no goroutine.
type Exposition struct {
	families []Family // by name
	rest     prometheus.Gatherer
	results  *Counters
	count    [results]*Counter

	places  chan struct{} // one token for each scrape that is being served
	turn    chan struct{} // see output
	outputs chan *output  // what past scrapes have left to be used again: at most as many as can be served
}

// New makes an exposition of these families, which count scrapes in one more, weir_metrics_scrapes_total. No name may be in both families and rest.
func New(rest prometheus.Gatherer, families ...Family) *Exposition {
	e := &Exposition{
		rest: rest, places: make(chan struct{}, scrapes), turn: make(chan struct{}, 1), outputs: make(chan *output, scrapes),
		results: NewCounters(Options{
			Name:   "weir_metrics_scrapes_total",
			Help:   "Scrapes of these metrics, by result: ok, partial (some could not be collected), busy (refused with 503, because too many went on), aborted (the scraper left or read too slowly).",
			Labels: []string{"result"},
		}),
	}
	for r := range e.count {
		e.count[r] = e.results.With(resultNames[r])
	}
	e.families = append(slices.Clone(families), e.results)
	slices.SortFunc(e.families, func(a, b Family) int { return strings.Compare(a.title().name, b.title().name) })
	return e
}

// Gather implements prometheus.Gatherer: what a scrape in protobuf says.
func (e *Exposition) Gather() ([]*dto.MetricFamily, error) {
	var all bytes.Buffer
	o := e.take()
	defer e.giveBack(o)
	failed := e.write(o, &all, answer{format: expfmt.FmtProtoDelim}) // no error of all's: a buffer takes everything
	decode := expfmt.NewDecoder(&all, expfmt.NewFormat(expfmt.TypeProtoDelim))
	var list []*dto.MetricFamily
	for {
		f := new(dto.MetricFamily)
		if err := decode.Decode(f); errors.Is(err, io.EOF) {
			return list, failed
		} else if err != nil {
			return nil, fmt.Errorf("read metrics back: %w", err)
		}
		if len(f.GetMetric()) > 0 {
			list = append(list, f)
		}
	}
}

// answer is how a scraper wants it.
type answer struct {
	format expfmt.Format
	zipped bool
	names  []string // of the families; all when there are none
}

func (a *answer) wants(name string) bool { return len(a.names) == 0 || slices.Contains(a.names, name) }

// write writes all families by name. The error is of collectors, whose others are written; o.err is the scraper's.
func (e *Exposition) write(o *output, to io.Writer, a answer) error {
	rest, failed := e.rest.Gather() // not in turn: a collector that is stuck holds up its own scrape only
	o.begin(to, e.turn, a.zipped)
	defer o.release()
	encoder := expfmt.NewEncoder(o, a.format)
	kind := a.format.FormatType()
	mine := e.families
	for len(rest)+len(mine) > 0 && o.err == nil {
		if len(mine) == 0 || len(rest) > 0 && rest[0].GetName() < mine[0].title().name {
			if f := rest[0]; a.wants(f.GetName()) {
				failed = errors.Join(failed, encoder.Encode(f))
			}
			rest = rest[1:]
			o.more()
			continue
		}
		if f := mine[0]; a.wants(f.title().name) {
			if kind == expfmt.TypeProtoDelim {
				protobuf(f, o)
			} else {
				f.title().write(o, kind == expfmt.TypeOpenMetrics)
				f.text(o, kind == expfmt.TypeOpenMetrics)
			}
		}
		mine = mine[1:]
	}
	if kind == expfmt.TypeOpenMetrics {
		o.buffer = append(o.buffer, "# EOF\n"...)
	}
	o.end()
	return failed
}

// write writes the lines above the samples. To OpenMetrics a counter's name is without its ending.
func (t title) write(o *output, openMetrics bool) {
	name := t.name
	if openMetrics && t.kind == dto.MetricType_COUNTER {
		name = strings.TrimSuffix(name, "_total")
	}
	b := append(append(append(o.buffer, "# HELP "...), name...), ' ')
	b = append(appendEscaped(b, t.help, openMetrics), "\n# TYPE "...)
	o.buffer = append(append(append(append(b, name...), ' '), strings.ToLower(t.kind.String())...), '\n')
}

// take returns an output that nobody uses, giveBack keeps it for the next scrape: most of one is its gzip state of about a megabyte.
func (e *Exposition) take() *output {
	select {
	case o := <-e.outputs:
		return o
	default:
		return new(output)
	}
}

func (e *Exposition) giveBack(o *output) {
	select {
	case e.outputs <- o:
	default:
	}
}
