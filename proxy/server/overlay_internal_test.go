package server

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// TestOverlayVersions: a file of version 1 is read, one of this version comes back as it was written, and a reset keeps what cookies must not outlive.
func TestOverlayVersions(t *testing.T) {
	f := overlayFile{filepath.Join(t.TempDir(), "overlay.json")}
	one := `{"version":1,"services":{"api":{"weights":{"blue":7500,"green":2500},"since":"2026-11-22T12:00:00Z","by":"ann"}}}`
	if err := os.WriteFile(f.path, []byte(one), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := f.load()
	shares, void := o.shares("api", []balancer.Share{{Name: "blue", Weight: 10000}, {Name: "green"}})
	if err != nil || void != "" || shares[0].Weight != 7500 || shares[1].Weight != 2500 || o.Services["api"].epoch() != 1 {
		t.Fatalf("%v %q %v", err, void, shares)
	}
	set := o.Services["api"]
	when := time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC)
	set.Groups = map[string]mark{"green": {Round: 1, Since: when, By: "bob"}}
	set.Targets = map[string]map[string]mark{"blue": {"127.0.0.1:1": {Evicted: true, Since: when, By: "bob"}}}
	set.Pause, set.Round, set.Epoch = &pause{MaxWaiting: 3, Timeout: time.Second, Since: when, By: "bob"}, 1, set.epoch()+1
	o = o.with("api", set)
	if err := f.save(o); err != nil {
		t.Fatal(err)
	}
	if back, err := f.load(); err != nil || !reflect.DeepEqual(back, o) {
		t.Errorf("%v\n%+v\n%+v", err, back, o)
	}
	o = o.reset("api")
	if kept := o.Services["api"]; o.Services["api"].epoch() != 3 || kept.Round != 1 || kept.Weights != nil || kept.Groups != nil || kept.Targets != nil || kept.Pause != nil {
		t.Errorf("epoch %d, %+v", o.Services["api"].epoch(), kept)
	}
	if o = o.reset("api"); o.Services["api"].epoch() != 3 {
		t.Errorf("a second reset: epoch %d", o.Services["api"].epoch())
	}
}
