package validate_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// labelSet is what labels a vector has.
type labelSet map[string]bool

func setOf(names ...string) labelSet {
	s := labelSet{}
	for _, n := range names {
		s[n] = true
	}
	return s
}

func (s labelSet) with(names ...string) labelSet {
	out := maps.Clone(s)
	for _, n := range names {
		out[n] = true
	}
	return out
}

func (s labelSet) without(names ...string) labelSet {
	out := maps.Clone(s)
	for _, n := range names {
		delete(out, n)
	}
	return out
}

// only leaves those of names that are in s.
func (s labelSet) only(names ...string) labelSet {
	out := labelSet{}
	for _, n := range names {
		out[n] = s[n]
	}
	maps.DeleteFunc(out, func(_ string, in bool) bool { return !in })
	return out
}

func (s labelSet) list() []string { return slices.Sorted(maps.Keys(s)) }

// metrics are the labels of metrics and the values that they had in a real scrape: metric, label, value.
type metrics map[string]map[string]map[string]bool

func (m metrics) add(metric string, pairs map[string]string) {
	if m[metric] == nil {
		m[metric] = map[string]map[string]bool{}
	}
	for label, value := range pairs {
		if m[metric][label] == nil {
			m[metric][label] = map[string]bool{}
		}
		m[metric][label][value] = true
	}
}

// reader walks an expression the way Prometheus evaluates it, and complains of whatever would silently give nothing: a metric that nobody exports, a label that it does not have, a
// value that it never has, two sides that cannot match.
type reader struct {
	known    metrics
	recorded map[string]labelSet
	fired    map[string]labelSet // the labels of alerts, by their names
	faults   []string
}

func (r *reader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// tell reports what was found since the last time.
func (r *reader) tell(t *testing.T, where string) {
	t.Helper()
	for _, f := range r.faults {
		t.Errorf("%s: %s", where, f)
	}
	r.faults = nil
}

// read parses an expression and is the labels of its result.
func (r *reader) read(expr string) labelSet {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		r.fault("%s: %v", expr, err)
		return labelSet{}
	}
	return r.labels(e)
}

func (r *reader) labels(e parser.Expr) labelSet {
	switch e := e.(type) {
	case *parser.VectorSelector:
		return r.selector(e)
	case *parser.MatrixSelector:
		return r.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return r.labels(e.Expr)
	case *parser.ParenExpr:
		return r.labels(e.Expr)
	case *parser.StepInvariantExpr:
		return r.labels(e.Expr)
	case *parser.UnaryExpr:
		return r.labels(e.Expr)
	case *parser.AggregateExpr:
		return r.aggregate(e)
	case *parser.BinaryExpr:
		return r.binary(e)
	case *parser.Call:
		return r.call(e)
	}
	return labelSet{}
}

func (r *reader) selector(e *parser.VectorSelector) labelSet {
	if of, ok := r.recorded[e.Name]; ok {
		for _, m := range e.LabelMatchers {
			if m.Name != model.MetricNameLabel && !of[m.Name] {
				r.fault("%s is recorded without the label %s", e.Name, m.Name)
			}
		}
		return of
	}
	of, ok := r.known[e.Name]
	if !ok {
		r.fault("nobody exports %q", e.Name)
		return labelSet{}
	}
	for _, m := range e.LabelMatchers {
		if m.Name != model.MetricNameLabel {
			r.matcher(e.Name, of, m)
		}
	}
	return setOf(slices.Collect(maps.Keys(of))...)
}

// matcher holds a label and its value against those seen. A value with a variable of Grafana's is not looked at.
func (r *reader) matcher(metric string, of map[string]map[string]bool, m *labels.Matcher) {
	if of[m.Name] == nil {
		r.fault("%s has no label %s, only %q", metric, m.Name, slices.Sorted(maps.Keys(of)))
		return
	}
	if m.Name == "le" && !strings.Contains(m.Value, ".") {
		r.fault(`%s{le=%q}: a whole number is "1" in one format and "1.0" in another`, metric, m.Value)
	}
	if strings.Contains(m.Value, "$") {
		return
	}
	values := []string{m.Value}
	if m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp {
		values = strings.Split(m.Value, "|")
	}
	for _, v := range values {
		if m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp {
			continue // may leave out what is not there
		}
		re := regexp.MustCompile("^(?:" + v + ")$")
		seen := func(value string) bool { return re.MatchString(value) }
		if m.Type == labels.MatchEqual {
			seen = func(value string) bool { return value == v }
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(of[m.Name])), seen) {
			r.fault("%s: no %s is %q, only %q", metric, m.Name, v, slices.Sorted(maps.Keys(of[m.Name])))
		}
	}
}

func (r *reader) aggregate(e *parser.AggregateExpr) labelSet {
	of := r.labels(e.Expr)
	for _, name := range e.Grouping {
		if !of[name] {
			r.fault("%s by %s, which is not among %q", e.Op, name, of.list())
		}
	}
	switch {
	case e.Op == parser.TOPK || e.Op == parser.BOTTOMK:
		return of
	case e.Without:
		return of.without(e.Grouping...)
	}
	return of.only(e.Grouping...)
}

func (r *reader) binary(e *parser.BinaryExpr) labelSet {
	left, right := r.labels(e.LHS), r.labels(e.RHS)
	m := e.VectorMatching
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.RHS.Type() == parser.ValueTypeScalar || m == nil:
		return left
	case m.On:
		for _, name := range m.MatchingLabels {
			if !left[name] || !right[name] {
				r.fault("%s on %s: left %q, right %q", e.Op, name, left.list(), right.list())
			}
		}
	case e.Op == parser.LOR: // both sides whole
	case m.Card == parser.CardManyToOne && len(right.without(m.MatchingLabels...).without(left.list()...)) > 0,
		m.Card == parser.CardOneToMany && len(left.without(m.MatchingLabels...).without(right.list()...)) > 0,
		(m.Card == parser.CardOneToOne || m.Card == parser.CardManyToMany) && !maps.Equal(left.without(m.MatchingLabels...), right.without(m.MatchingLabels...)):
		r.fault("%s cannot match: left %q, right %q", e.Op, left.list(), right.list())
	}
	switch {
	case e.Op == parser.LOR:
		return left.with(right.list()...)
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return left
	case m.Card == parser.CardManyToOne:
		return left.with(m.Include...)
	case m.Card == parser.CardOneToMany:
		return right.with(m.Include...)
	case m.On:
		return left.only(m.MatchingLabels...)
	}
	return left.without(m.MatchingLabels...)
}

func (r *reader) call(e *parser.Call) labelSet {
	switch e.Func.Name {
	case "absent", "absent_over_time":
		r.labels(e.Args[0])
		out := labelSet{}
		if v, ok := e.Args[0].(*parser.VectorSelector); ok {
			for _, m := range v.LabelMatchers {
				if m.Type == labels.MatchEqual && m.Name != model.MetricNameLabel {
					out[m.Name] = true
				}
			}
		}
		return out
	case "histogram_quantile":
		of := r.labels(e.Args[1])
		if !of["le"] {
			r.fault("histogram_quantile without le: %q", of.list())
		}
		return of.without("le")
	case "label_replace", "label_join":
		return r.labels(e.Args[0]).with(e.Args[1].(*parser.StringLiteral).Val)
	}
	for _, arg := range e.Args {
		if k := arg.Type(); k == parser.ValueTypeVector || k == parser.ValueTypeMatrix {
			return r.labels(arg)
		}
	}
	return labelSet{}
}

// TestReaderComplains: the reader finds each of the mistakes that it is there for.
func TestReaderComplains(t *testing.T) {
	known := metrics{}
	for _, code := range []string{"200", "503"} {
		known.add("requests_total", map[string]string{"job": "weir", "route": "api", "code": code})
	}
	known.add("limit", map[string]string{"job": "weir", "route": "api"})
	known.add("seconds_bucket", map[string]string{"job": "weir", "le": "1"})
	for expr, good := range map[string]bool{
		`rate(requests_total{code=~"5.."}[5m])`:                                 true,
		`rate(request_total[5m])`:                                               false,
		`requests_total{status="503"}`:                                          false,
		`requests_total{code="404"}`:                                            false,
		`requests_total{code=~"2..|404"}`:                                       false,
		`requests_total{code!="404"}`:                                           true,
		`requests_total{route=~"$route"}`:                                       true,
		`sum by (route) (requests_total)`:                                       true,
		`sum by (handler) (requests_total)`:                                     false,
		`sum by (code) (sum by (route) (requests_total))`:                       false,
		`requests_total / limit`:                                                false,
		`requests_total / on (job, route) group_left limit`:                     true,
		`sum without (code) (requests_total) / limit`:                           true,
		`sum by (job) (requests_total) > 1 and on (route) limit`:                false,
		`requests_total > 1 and on (route) limit`:                               true,
		`histogram_quantile(0.9, sum by (job, le) (rate(seconds_bucket[5m])))`:  true,
		`histogram_quantile(0.9, sum by (job) (rate(seconds_bucket[5m])))`:      false,
		`seconds_bucket{le="1"}`:                                                false,
		`sum by (route) (recorded)`:                                             false,
		`sum by (job) (recorded)`:                                               true,
		`label_replace(recorded, "x", "$1", "job", "(.*)") unless on (x) limit`: false,
		`sum by (`: false,
	} {
		r := &reader{known: known, recorded: map[string]labelSet{"recorded": setOf("job")}}
		if r.read(expr); (len(r.faults) == 0) != good {
			t.Errorf("%s: good %v, found %q", expr, good, r.faults)
		}
	}
}
