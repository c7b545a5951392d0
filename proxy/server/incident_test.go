package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// incidents are those that the server lists.
func (s *shop) incidents() (list []admin.IncidentSummary) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.call(http.StatusOK, "GET", "/v1/incidents", "")), &list); err != nil {
		s.t.Fatal(err)
	}
	return list
}

// goBack lets a rollout to a green that fails be rolled back.
func (s *shop) goBack() admin.Rollout {
	s.t.Helper()
	s.start(`{"to":"green"}`)
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	c := s.ask(50, postOnce)
	defer c.end()
	return s.awaits("rolled back", func(r admin.Rollout) bool { return r.State == "rolled_back" })
}

// A rollback leaves what was known of it: evidence, requests of both sides, what changed, how the targets were; on disk, for the process after this one too.
func TestIncident(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, everyNth(3))
	if list := s.incidents(); len(list) != 0 {
		t.Fatalf("before any: %+v", list)
	}
	s.write(strings.Replace(rolloutText(s.dir, s.rollout, s.blue.address, s.green.address), `max_body = "64KiB"`, `max_body = "65KiB"`, 1))
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	r := s.goBack()
	s.scraped(t, `weir_incidents_total{result="kept"} 1`)
	list := s.incidents()
	if len(list) != 1 || list[0].Service != "api" || list[0].To != "green" || list[0].Cause != r.Cause || list[0].Reason != r.Reason || !list[0].At.Equal(*r.Ended) {
		t.Fatalf("%+v of %+v", list, r)
	}
	text := s.call(http.StatusOK, "GET", "/v1/incidents/"+list[0].ID, "")
	var i admin.Incident
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		t.Fatal(err)
	}
	if i.Schema != admin.IncidentSchema || i.Generation != 2 || i.Rollout.State != "rolled_back" || len(i.Rollout.Curve) == 0 || len(i.Rollout.Timeline) == 0 || i.State.Name != "api" || len(i.State.Groups) != 2 {
		t.Errorf("%+v", i)
	}
	if len(i.Changed) != 1 || !strings.Contains(i.Changed[0], "max_body: 64KiB → 65KiB") {
		t.Errorf("changed %q", i.Changed)
	}
	if len(i.Failed) == 0 || len(i.Failed) > admin.IncidentSamples || len(i.Others) == 0 {
		t.Errorf("%d failed requests, %d others", len(i.Failed), len(i.Others))
	}
	for _, f := range i.Failed {
		if f.FailedIn != "green" && (f.Group != "green" || f.Status != http.StatusInternalServerError) {
			t.Errorf("a failed request of green: %+v", f)
		}
	}
	for _, o := range i.Others {
		if o.Group != "blue" || o.Status != http.StatusOK {
			t.Errorf("a request of blue: %+v", o)
		}
	}
	s.stop()
	s.running = run(t, s.dir, rolloutText(s.dir, s.rollout, s.blue.address, s.green.address))
	if again := s.call(http.StatusOK, "GET", "/v1/incidents/"+list[0].ID, ""); again != text {
		t.Errorf("after a restart:\n%s", again)
	}
	info, err := os.Stat(filepath.Join(s.dir, "state", "incidents", list[0].ID+".json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	s.call(http.StatusNotFound, "GET", "/v1/incidents/overlay", "")
	s.call(http.StatusNotFound, "GET", "/v1/incidents/..%2Foverlay", "")
}

// A disk that takes nothing keeps no rollback: it is counted and told. Of many the oldest go, and one that cannot be read hides no other.
func TestIncidentsOnABadDisk(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, everyNth(3))
	folder := filepath.Join(s.dir, "state", "incidents")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.goBack()
	s.scraped(t, `weir_incidents_total{result="failed"} 1`)
	if w := s.weights(); w != "blue=100 green=0" {
		t.Errorf("weights %s", w)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 25 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("20200101T0000%02d.000Z-api.json", n)), []byte(`{"id":"x"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "20200101T000030.000Z-api.json"), []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.goBack()
	s.scraped(t, `weir_incidents_total{result="kept"} 1`)
	files, err := os.ReadDir(folder)
	if err != nil || len(files) != 20 {
		t.Errorf("%d files, %v", len(files), err)
	}
	if list := s.incidents(); len(list) != 19 || list[0].To != "green" { // and one that is half a file
		t.Errorf("%d listed: %+v", len(list), list)
	}
}
