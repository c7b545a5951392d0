package series_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

const (
	openMetrics = "application/openmetrics-text;version=1.0.0"
	protobuf    = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	text        = "text/plain;version=0.0.4"
)

// scrape asks h as a scraper does.
func scrape(t fataler, h http.Handler, accept, coding, query string) (body string, head http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/metrics"+query, nil)
	r.Header.Set("Accept", accept)
	r.Header.Set("Accept-Encoding", coding)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("scrape answered %d: %s", w.Code, w.Body)
	}
	var from io.Reader = w.Body
	if w.Header().Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		from = z
	}
	all, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(all), w.Header()
}

// twins are the same families twice: ours, and the library's.
type twins struct {
	counters  *series.Counters
	durations *series.Durations
	mine      *series.Exposition
	library   *prometheus.Registry
	vec       *prometheus.CounterVec
	histogram *prometheus.HistogramVec
}

func newTwins() *twins {
	const help = "Line one\nand \"two\" \\ é."
	t := &twins{
		counters:  series.NewCounters(series.Options{Name: "weir_b_total", Help: help, Labels: []string{"z", "a", "m"}}),
		durations: series.NewDurations(series.Options{Name: "weir_d_seconds", Help: help, Labels: []string{"route"}}),
		library:   prometheus.NewRegistry(),
		vec:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "weir_b_total", Help: help}, []string{"z", "a", "m"}),
		histogram: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_d_seconds", Help: help,
			Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10},
			NativeHistogramBucketFactor: 1.1, NativeHistogramZeroThreshold: 1.0 / (1 << 20),
		}, []string{"route"}),
	}
	rest := prometheus.NewRegistry()
	for i, name := range []string{"weir_a", "weir_c", "weir_e"} { // before, between and after
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		g.Set(float64(i) + .5)
		rest.MustRegister(g)
		t.library.MustRegister(g)
	}
	t.library.MustRegister(t.vec, t.histogram)
	t.mine = series.New(rest, t.counters, t.durations)
	return t
}

// count does the same to both.
func (w *twins) count(labels []string, n int, times []time.Duration) {
	mine, theirs := w.counters.With(labels...), w.vec.WithLabelValues(labels...)
	for range n {
		mine.Inc()
		theirs.Inc()
	}
	d, h := w.durations.With(labels[0]), w.histogram.WithLabelValues(labels[0])
	for _, t := range times {
		d.Observe(t)
		h.Observe(t.Seconds())
	}
}

// genLabel draws what a configuration could have as a name, and worse.
func genLabel() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringMatching(`[a-z]{0,3}`), rapid.String(), rapid.SampledFrom([]string{`"`, `\`, "\n", `a",b="c`, "} 1\n#", "é", "\x00"}))
}

// genTime draws times of all magnitudes, and those at which a bucket ends.
func genTime() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		if rapid.Bool().Draw(t, "edge") {
			power := rapid.IntRange(-9, 22).Draw(t, "power") // 2^-9 s is a whole number of ns
			return time.Duration(math.Ldexp(1e9, power)) + time.Duration(rapid.IntRange(-1, 1).Draw(t, "beside"))
		}
		return time.Duration(math.Exp2(rapid.Float64Range(0, 52).Draw(t, "log2 ns")))
	})
}

func (w *twins) draw(t *rapid.T) {
	for range rapid.IntRange(0, 6).Draw(t, "children") {
		labels := []string{genLabel().Draw(t, "z"), genLabel().Draw(t, "a"), genLabel().Draw(t, "m")}
		w.count(labels, rapid.IntRange(0, 3).Draw(t, "n"), rapid.SliceOfN(genTime(), 0, 20).Draw(t, "times"))
	}
}

// decoded are the families of a body by the library's own decoders, but for the one on scrapes.
func decoded(t fataler, body string, format expfmt.Format) map[string]*dto.MetricFamily {
	t.Helper()
	all := map[string]*dto.MetricFamily{}
	if format.FormatType() == expfmt.TypeTextPlain {
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(body))
		if err != nil {
			t.Fatalf("the scrape does not parse: %v\n%s", err, body)
		}
		all = families
	} else {
		decoder := expfmt.NewDecoder(strings.NewReader(body), format)
		for {
			f := new(dto.MetricFamily)
			if err := decoder.Decode(f); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("the scrape does not parse: %v", err)
			}
			all[f.GetName()] = f
		}
	}
	delete(all, "weir_metrics_scrapes_total")
	for name, f := range all {
		if len(f.GetMetric()) == 0 {
			delete(all, name) // a family without children: the library leaves it out, we say that there is one
		}
	}
	return all
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// rendering is the library's own text of its own families.
func rendering(t fataler, families []*dto.MetricFamily, format expfmt.Format) string {
	t.Helper()
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, format)
	for _, f := range families {
		if f.GetName() == "weir_metrics_scrapes_total" {
			continue
		}
		if err := encoder.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := encoder.(expfmt.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// same compares families without regard to the order of metrics, and without when the library's began to count.
func same(t fataler, what string, want, got map[string]*dto.MetricFamily) {
	t.Helper()
	diff := cmp.Diff(want, got, protocmp.Transform(),
		protocmp.SortRepeatedFields(&dto.MetricFamily{}, "metric"),
		protocmp.IgnoreFields(&dto.Counter{}, "created_timestamp"), protocmp.IgnoreFields(&dto.Histogram{}, "created_timestamp"),
		protocmp.FilterField(&dto.Histogram{}, "sample_sum", cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(a) })))
	if diff != "" {
		t.Fatalf("%s: the library's against ours (-want +got):\n%s", what, diff)
	}
}

// Whatever is counted under whatever labels: each format says to the library's decoders what the library says itself.
func TestFormatsAgreeWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwins()
		w.draw(t)
		families, err := w.library.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []expfmt.Format{expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeProtoDelim)} {
			coding := rapid.SampledFrom([]string{"gzip", "identity"}).Draw(t, "coding")
			accept := map[expfmt.FormatType]string{expfmt.TypeTextPlain: text, expfmt.TypeProtoDelim: protobuf}[format.FormatType()]
			body, _ := scrape(t, w.mine, accept, coding, "")
			same(t, string(format), decoded(t, rendering(t, families, format), format), decoded(t, body, format))
		}
	})
}

// lines are an OpenMetrics text's, with numbers in one spelling. The library has no parser for the format; its own rendering stands in for one.
func lines(body string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			set[line] = true
			continue
		}
		sample, exemplar, _ := strings.Cut(line, " # ")
		at := strings.LastIndexByte(sample, ' ')
		set[sample[:at]+" "+number(sample[at+1:])+exemplarOf(exemplar)] = true
	}
	return set
}

func exemplarOf(s string) string {
	if s == "" {
		return ""
	}
	fields := strings.Fields(s)
	for i := 1; i < len(fields); i++ {
		fields[i] = number(fields[i])
	}
	return " # " + strings.Join(fields, " ")
}

func number(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return strconv.FormatFloat(f, 'g', 14, 64) // the library's times of exemplars have rounding errors behind
}

// OpenMetrics, exemplars and all: line by line what the library makes of the same families, which it has read in protobuf.
func TestOpenMetricsAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwins()
		w.draw(t)
		for i := range rapid.IntRange(0, 5).Draw(t, "traced") {
			trace := [32]byte([]byte(strings.Repeat(strconv.Itoa(i), 32)))
			d := w.durations.With("traced")
			took := genTime().Draw(t, "took")
			d.Observe(took)
			d.Exemplar(took, trace, time.UnixMilli(rapid.Int64Range(1, 1<<41).Draw(t, "at")))
		}
		families, err := w.mine.Gather()
		if err != nil {
			t.Fatal(err)
		}
		body, _ := scrape(t, w.mine, openMetrics, "", "?name[]=weir_a&name[]=weir_b_total&name[]=weir_c&name[]=weir_d_seconds&name[]=weir_e")
		if !strings.HasSuffix(body, "\n# EOF\n") {
			t.Fatalf("no end: %q", body)
		}
		want, got := lines(rendering(t, families, expfmt.FmtOpenMetrics_1_0_0)), lines(body)
		for line := range got { // a family without children has its title nevertheless
			if strings.HasPrefix(line, "# HELP weir_") || strings.HasPrefix(line, "# TYPE weir_") {
				want[line] = true
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("the library's against ours (-want +got):\n%s", diff)
		}
	})
}

// What a frame of a watch says of a route comes from the buckets that scrapers get: a quantile is the end of its bucket, never below the time and at most 9 % above.
func TestTimesQuantile(t *testing.T) {
	var empty series.Times
	if q := empty.Quantile(0.5); q != 0 {
		t.Errorf("of nothing: %v", q)
	}
	rapid.Check(t, func(t *rapid.T) {
		d := series.NewDurations(series.Options{Name: "d"}).With()
		times := func(name string) []time.Duration {
			list := rapid.SliceOfN(rapid.Int64Range(int64(time.Microsecond), int64(100*time.Hour)), 1, 100).Draw(t, name)
			all := make([]time.Duration, len(list))
			for i, n := range list {
				all[i] = time.Duration(n)
				d.Observe(all[i])
			}
			slices.Sort(all)
			return all
		}
		times("before")
		before := d.Times()
		all, now := times("since"), d.Times()
		came := now.Since(&before)
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		exact, got := all[max(1, int(math.Ceil(q*float64(len(all)))))-1], came.Quantile(q)
		if float64(got) < float64(exact)*0.999999 || float64(got) > 1.1*float64(exact) {
			t.Errorf("quantile %g of %v: %v, exact %v", q, all, got, exact)
		}
		if again := before.Since(&now); again != before {
			t.Error("what is forgotten and comes again is not all that there is")
		}
	})
}
