package server_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestCapacityFollowsTheBench: docs/scaling.md plans with what docs/benchmarks.json measured, and not with what it measured once.
func TestCapacityFollowsTheBench(t *testing.T) {
	var bench struct {
		Rows []struct {
			Scenario, Figure string
			Median           map[string]float64
		}
	}
	if err := json.Unmarshal([]byte(read(t, "docs/benchmarks.json")), &bench); err != nil {
		t.Fatal(err)
	}
	figure := func(scenario, name string) float64 {
		for _, r := range bench.Rows {
			if r.Scenario == scenario && r.Figure == name && r.Median["weir"] > 0 {
				return r.Median["weir"]
			}
		}
		t.Fatalf("docs/benchmarks.json: no %s of %s", name, scenario)
		return 0
	}
	page := read(t, "docs/scaling.md")
	holds := func(want string) {
		if !strings.Contains(page, want) {
			t.Errorf("docs/scaling.md does not say\n%s", want)
		}
	}
	const busy, world, box = 0.5, 10e6, 32 // share of a core in use; requests per second; cores
	h2, handshake, log := figure("h2-get", "CPU"), figure("handshake", "CPU"), figure("observed", "CPU observed")-figure("observed", "CPU plain")
	mixed := h2 + log + handshake/10
	for _, row := range []struct {
		traffic string
		micros  float64
	}{
		{"HTTP/1.1, kept alive", figure("h1-get", "CPU")},
		{"the same over TLS 1.3", figure("h1-tls", "CPU")},
		{"HTTP/2, kept alive", h2},
		{"HTTP/2, JSON log, a new connection for every tenth request", mixed},
		{"HTTP/3, kept alive", figure("h3-get", "CPU")},
		{"POST of 64 KiB, HTTP/1.1", figure("post-64k", "CPU")},
		{"a new connection for every request (TLS 1.3, no resumption)", handshake},
	} {
		perCore := busy * 1e6 / row.micros
		holds(fmt.Sprintf("| %s | %.1f | %.0f | %.0f | %.0f |\n", row.traffic, row.micros, perCore, perCore*box, world/perCore))
	}
	cores := world * mixed / 1e6 / busy
	holds(fmt.Sprintf("%.0f cores, about %.0f machines of %d", cores, cores/box, box))
	holds(fmt.Sprintf("costs %.1f KiB in weir", figure("idle-10k", "RSS")))
	holds(fmt.Sprintf("handshakes at %.0f µs each", handshake))
	holds(fmt.Sprintf("%.0f cores busy with nothing else", world/60*handshake/1e6))
}
