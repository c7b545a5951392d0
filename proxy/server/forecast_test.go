package server_test

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestPlan: what a reload of a file would do is said with the numbers of now, and nothing of it is done; what would refuse the reload refuses the plan.
func TestPlan(t *testing.T) {
	dir := shortDir(t)
	defer func() { _ = os.RemoveAll(dir) }()
	blue, green, other := newColour(t, "blue"), newColour(t, "green"), newColour(t, "other")
	defer blue.kill()
	defer green.kill()
	defer other.kill()
	r := run(t, dir, configText(dir, 75, 64, false, []string{blue.address}, green.address))
	defer r.stop()
	r.client.get(t)
	eventually(t, "nothing is in flight any more", func() bool { // a client has its answer before that
		return !slices.ContainsFunc(r.status().Services[0].Groups, func(g admin.Group) bool { return g.Targets[0].InFlight > 0 })
	})
	r.call(http.StatusOK, "PUT", "/v1/services/api/weights", `{"blue":60,"green":40}`)
	next := filepath.Join(dir, "next.toml")
	plan := func(text string) (p admin.Plan) {
		t.Helper()
		if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		body, _ := json.Marshal(admin.PlanRequest{Path: next})
		if err := json.Unmarshal([]byte(r.call(http.StatusOK, "POST", "/v1/plan", string(body))), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}

	if p := plan(configText(dir, 75, 64, false, []string{blue.address}, green.address)); !p.Unchanged || len(p.Changed)+len(p.Effects) > 0 {
		t.Errorf("of the same file: %+v", p)
	}
	before := r.status()
	p := plan(configText(dir, 30, 32, true, []string{blue.address, other.address}, green.address))
	want := []string{
		"listener second: opens at",
		"service api: the file's new weights blue 30, green 70 are not in force before `weir weights api reset`: those set at run time stay",
		"service api, group blue, target " + other.address + ": is new: it gets requests once a probe has found it healthy",
	}
	if diff := cmp.Diff(want, effects(p, "second")); diff != "" {
		t.Errorf("effects (-want +got):\n%s\nchanges %q", diff, p.Changed)
	}
	if !strings.Contains(strings.Join(p.Changed, "\n"), "route[all].max_body: 64KiB → 32KiB") {
		t.Errorf("changes %q", p.Changed)
	}

	p = plan(strings.NewReplacer("group.green", "group.lime", `"first"`, `"main"`).Replace(configText(dir, 75, 64, false, []string{other.address}, green.address)))
	want = []string{
		"listener first: closes: nobody new gets in at " + r.address + ", its connections (1 open) go on until they end by themselves",
		"listener main: opens at",
		"service api: what was set at run time no longer holds: the file has group \"lime\", the overlay has not",
		"service api: the weights become blue 75, lime 25: 40 % of the clients change their group",
		"service api, group blue, target " + blue.address + ": gets no more requests; those in flight, 0 now, are finished",
		"service api, group blue, target " + other.address + ": is new: it gets requests once a probe has found it healthy",
		"service api, group green, target " + green.address + ": gets no more requests; those in flight, 0 now, are finished",
		"service api, group lime, target " + green.address + ": is new: it gets requests once a probe has found it healthy",
	}
	slices.SortFunc(want[4:6], strings.Compare)
	if diff := cmp.Diff(want, effects(p, "main")); diff != "" {
		t.Errorf("effects of other groups (-want +got):\n%s", diff)
	}
	if after := r.status(); after.Generation != before.Generation || after.Config.Version != before.Config.Version || len(after.Listeners) != 1 {
		t.Errorf("a plan was carried out: %+v", after)
	}
	if status, colour := r.client.get(t); status != http.StatusOK || colour == "other" {
		t.Errorf("after plans: %d %s", status, colour)
	}
	r.refusedPlans(next, configText(dir, 75, 64, true, []string{blue.address}, green.address))
}

// effects are a plan's as text; the text of the one with cut in its subject ends before the port.
func effects(p admin.Plan, cut string) (list []string) {
	for _, e := range p.Effects {
		text := e.Text
		if cut != "" && strings.Contains(e.Subject, cut) {
			text, _, _ = strings.Cut(text, " 127.")
		}
		list = append(list, e.Subject+": "+text)
	}
	return list
}

func (r *running) refusedPlans(next, good string) {
	t := r.t
	t.Helper()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer func() { _ = taken.Close() }()
	elsewhere := filepath.Join(shortDir(t), "weir.toml")
	defer func() { _ = os.RemoveAll(filepath.Dir(elsewhere)) }()
	for _, c := range []struct{ path, text, want string }{
		{next, "lisener = 1", "next.toml:1:1: unknown key"},
		{next, good + "[[listener]]\naddress = \"" + taken.Addr().String() + "\"\n", "address already in use"},
		{elsewhere, good, "not beside the running configuration"},
		{filepath.Join(r.dir, "none.toml"), "", "no such file"},
	} {
		if c.text != "" {
			if err := os.WriteFile(c.path, []byte(c.text), 0o600); err != nil {
				t.Fatalf("%v", err)
			}
		}
		body, _ := json.Marshal(admin.PlanRequest{Path: c.path})
		var answer struct {
			Errors []admin.Detail `json:"errors"`
			Detail string         `json:"detail"`
		}
		text := r.call(http.StatusUnprocessableEntity, "POST", "/v1/plan", string(body))
		if err := json.Unmarshal([]byte(text), &answer); err != nil || !strings.Contains(strings.Join(lines(answer.Errors), "\n")+answer.Detail, c.want) {
			t.Fatalf("%s: %s, want %q", c.path, text, c.want)
		}
	}
}

func lines(details []admin.Detail) (list []string) {
	for _, d := range details {
		list = append(list, d.String())
	}
	return list
}
