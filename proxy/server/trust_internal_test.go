package server

import (
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/configs"
)

// A CDN's list that has grown old with the binary is told of, one's own networks and the private ones never are.
func TestOldPresetsAreToldOf(t *testing.T) {
	cfg := &configs.Config{ClientIP: &configs.ClientIP{TrustedProxies: []configs.Proxies{{Name: "cloudflare"}, {Name: "private"}, {}}}}
	if w := presetWarnings(cfg, configs.PresetsOf().Add(presetsAge-time.Hour)); w != nil {
		t.Errorf("%q", w)
	}
	w := presetWarnings(cfg, configs.PresetsOf().Add(presetsAge))
	if len(w) != 1 || !strings.Contains(w[0], "cloudflare") || !strings.Contains(w[0], "2026-09-29") {
		t.Errorf("%q", w)
	}
	if w := presetWarnings(&configs.Config{}, time.Now().AddDate(9, 0, 0)); w != nil {
		t.Errorf("%q", w)
	}
}
