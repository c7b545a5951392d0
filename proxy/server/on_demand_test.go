package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestOnDemandEndToEnd: a route without host and an endpoint that knows the names are all it takes; who is not known there gets no handshake; results are counted,
// and /v1/certificates shows the name.
func TestOnDemandEndToEnd(t *testing.T) {
	i := newInstance(t)
	ask := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("domain") != "shop.customer.test" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer ask.Close()
	i.extra = fmt.Sprintf("[tls.on_demand]\nask = %q\nlimit = \"5/h\"\n[[route]]\nservice = \"api\"\n", ask.URL)
	i.write("", "route.example.test")
	i.run()
	i.await("valid", "route.example.test")
	// A handshake waits for ten seconds at most: on a machine that takes longer to obtain a certificate a later one finds it.
	eventually(t, "a certificate on demand", func() bool { return i.offered("shop.customer.test") != "" })
	serial := i.serial("shop.customer.test")
	if i.serial("shop.customer.test") != serial {
		t.Error("another certificate for every handshake")
	}
	if _, err := i.client().Get("https://nobody.customer.test/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that nobody knows: %v", err)
	}
	if c := i.await("valid", "shop.customer.test")["shop.customer.test"]; c.Serial != serial {
		t.Errorf("listed as %+v", c)
	}
	var metrics string
	eventually(t, "the handshake counted as one without a certificate", func() bool { // its client had the alert before
		i.ask("GET", "/metrics", &metrics)
		return regexp.MustCompile(`(?m)^weir_tls_handshakes_total\{.*result="no_certificate".*\} 1$`).MatchString(metrics)
	})
	for _, want := range []string{`result="obtained"} 1`, `result="refused"} 1`, `result="no_answer"} 0`, `result="limited"} 0`, `result="busy"} 0`, `result="failed"} 0`} {
		if !strings.Contains(metrics, "weir_tls_on_demand_total{"+want) {
			t.Errorf("no metric with %s", want)
		}
	}
	i.stop()
	i.ca.Down(true)
	i.run()
	if i.serial("shop.customer.test") != serial {
		t.Error("not served after a restart")
	}
	var result map[string]any
	i.extra = ""
	i.write("", "route.example.test")
	if status := i.ask("POST", "/v1/reload", &result); status != http.StatusOK {
		t.Fatalf("reload: %d %v", status, result)
	}
	if _, err := i.client().Get("https://shop.customer.test/"); err == nil {
		t.Error("served though on_demand is gone")
	}
}
