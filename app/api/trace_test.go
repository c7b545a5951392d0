package api_test

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestTraceInTheLog: every line about a request names the trace that the edge says it belongs to, and nothing that is not one.
func TestTraceInTheLog(t *testing.T) {
	s := start(t, nil)
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for id, c := range map[string]struct {
		value string
		good  bool
	}{
		"good": {"00-" + trace + "-" + parent + "-01", true}, "later": {"cc-" + trace + "-" + parent + "-01-what-else", true},
		"none": {"", false}, "more": {"00-" + trace + "-" + parent + "-01-what-else", false}, "glued": {"cc-" + trace + "-" + parent + "-01what-else", false},
		"upper": {"00-" + strings.ToUpper(trace) + "-" + parent + "-01", false}, "forbidden": {"ff-" + trace + "-" + parent + "-01", false},
		"zeros": {"00-" + strings.Repeat("0", 32) + "-" + parent + "-01", false}, "zero": {"00-" + trace + "-" + strings.Repeat("0", 16) + "-01", false},
		"short": {"00-" + trace + "-" + parent + "-0", false}, "wrong": {"00-" + trace + "_" + parent + "-01", false}, "text": {"00-" + trace + "-" + `00f067aa0ba902b"` + "-01", false},
	} {
		s.send("GET", "/api/runs", "", "Traceparent", c.value, "X-Request-ID", id)
		lines := s.logs.FilterMessage("request").FilterField(zap.String("request_id", id)).All()
		if len(lines) != 1 {
			t.Fatalf("%s: %v", id, lines)
		}
		got, want := lines[0].ContextMap(), c.good
		if _, has := got["trace_id"]; has != want || want && (got["trace_id"] != trace || got["parent_id"] != parent) {
			t.Errorf("%s: %v", id, got)
		}
	}
	s.store.Close()
	s.send("GET", "/api/runs", "", "Traceparent", "00-"+trace+"-"+parent+"-01", "X-Request-ID", "fails")
	if s.logs.FilterMessage("request failed").FilterField(zap.String("request_id", "fails")).FilterField(zap.String("trace_id", trace)).Len() != 1 {
		t.Errorf("log %v", s.logs.All())
	}
}

// TestTwoTraceparents: of two, none can be believed.
func TestTwoTraceparents(t *testing.T) {
	s := start(t, nil)
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/runs", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Traceparent"] = []string{"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-01"}
	res, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := s.logs.FilterMessage("request").All()[0].ContextMap(); got["trace_id"] != nil {
		t.Errorf("%v", got)
	}
}
