package validate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// dashboard is what is held to account of a dashboard's file.
type dashboard struct {
	file string

	ID         *int             `json:"id"`
	UID        string           `json:"uid"`
	Title      string           `json:"title"`
	Schema     int              `json:"schemaVersion"`
	Inputs     json.RawMessage  `json:"__inputs"`
	Requires   json.RawMessage  `json:"__requires"`
	Wrapped    json.RawMessage  `json:"dashboard"` // the form of the HTTP API, which provisioning does not read
	Panels     []dashboardPanel `json:"panels"`
	Templating struct {
		List []struct {
			Name       string
			Type       string
			Query      any
			Definition string
			Datasource *dataSource
		}
	}
}

type dataSource struct{ Type, UID string }

type dashboardPanel struct {
	ID                       int
	Type, Title, Description string
	Datasource               *dataSource
	GridPos                  struct{ H, W, X, Y int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct {
		RefID, Expr, LegendFormat string
		Datasource                *dataSource
	}
}

func dashboards(t *testing.T) (list []dashboard) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(monitoring, "grafana", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d := dashboard{file: filepath.Base(file)}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, d)
	}
	return list
}

// unquoted are the variables that Grafana puts in where PromQL would not parse, with what they may be.
var unquoted = strings.NewReplacer("$__rate_interval", "1m", "$__interval", "15s", "$__range", "1h")

// TestDashboardsAreProvisioned: the files are in the form that Grafana reads from a folder, and every panel says what it shows, in what unit, from the data source that is chosen.
func TestDashboardsAreProvisioned(t *testing.T) {
	uids := map[string]string{}
	for _, d := range dashboards(t) {
		fault := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s: "+format, append([]any{d.file}, args...)...)
		}
		switch {
		case d.Wrapped != nil, d.Inputs != nil, d.Requires != nil:
			fault("an export for sharing, which provisioning shows empty")
		case d.ID != nil:
			fault("id %d: the database gives one", *d.ID)
		case d.UID == "" || uids[d.UID] != "" || d.UID+".json" != d.file:
			fault("uid %q, also that of %q", d.UID, uids[d.UID])
		case d.Title == "" || d.Schema < 36: // 36 is Grafana 9's, since which a data source is an object
			fault("title %q, schemaVersion %d", d.Title, d.Schema)
		}
		uids[d.UID] = d.file
		variables := map[string]bool{}
		for _, v := range d.Templating.List {
			variables[v.Name] = true
		}
		if !variables["datasource"] {
			fault("no variable for the data source")
		}
		taken := map[[2]int]string{}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if at := [2]int{x, y}; x >= 24 || taken[at] != "" {
						fault("%s lies on %q", p.Title, taken[at])
					} else {
						taken[at] = p.Title
					}
				}
			}
			if p.GridPos.H < 1 || p.GridPos.W < 1 || !slices.Contains([]string{"row", "timeseries", "stat", "bargauge"}, p.Type) {
				fault("%s is a %s of %d by %d", p.Title, p.Type, p.GridPos.W, p.GridPos.H)
			}
			if ids[p.ID] || p.ID == 0 || p.Title == "" {
				fault("panel %q has id %d", p.Title, p.ID)
			}
			ids[p.ID] = true
			if p.Type != "row" {
				checkPanel(t, d.file, &p, variables)
			}
		}
	}
}

func checkPanel(t *testing.T, file string, p *dashboardPanel, variables map[string]bool) {
	t.Helper()
	chosen := func(d *dataSource) bool { return d != nil && d.Type == "prometheus" && d.UID == "${datasource}" }
	if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || !chosen(p.Datasource) {
		t.Errorf("%s: %s: description %q, unit %q, %d targets, data source %v", file, p.Title, p.Description, p.FieldConfig.Defaults.Unit, len(p.Targets), p.Datasource)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.RefID == "" || !chosen(target.Datasource) || target.LegendFormat == "" {
			t.Errorf("%s: %s: target %+v", file, p.Title, target)
		}
		refs[target.RefID] = true
		of, named := regexp.MustCompile(`^(?:.*\()?histogram_quantile\(0\.(\d+)`).FindStringSubmatch(target.Expr), regexp.MustCompile(`\bp(\d+)\b`).FindStringSubmatch(target.LegendFormat)
		if of != nil && named != nil && named[1] != of[1] && named[1] != of[1]+"0" {
			t.Errorf("%s: %s: %s is called %s", file, p.Title, target.Expr, target.LegendFormat)
		}
		for _, v := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
			if !variables[v[1]] && !strings.HasPrefix(v[1], "__") {
				t.Errorf("%s: %s: there is no variable %s", file, p.Title, v[1])
			}
		}
	}
}

// checkDashboards: every expression of every panel reads what is exported or recorded, legends quote labels that the result has, and variables ask for labels that exist.
func checkDashboards(t *testing.T, r *reader, foreign func(expr string) bool) {
	quoted := regexp.MustCompile(`\{\{(\w+)\}\}`)
	values := regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
	for _, d := range dashboards(t) {
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			m := values.FindStringSubmatch(v.Definition)
			if m == nil {
				t.Errorf("%s: variable %s: %q", d.file, v.Name, v.Definition)
				continue
			}
			if of := r.read(m[1]); !of[m[2]] {
				t.Errorf("%s: variable %s: no label %s among %q", d.file, v.Name, m[2], of.list())
			}
			r.tell(t, fmt.Sprintf("%s: variable %s", d.file, v.Name))
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if foreign(target.Expr) {
					continue
				}
				of := r.read(unquoted.Replace(target.Expr))
				r.tell(t, d.file+": "+p.Title)
				for _, q := range quoted.FindAllStringSubmatch(target.LegendFormat, -1) {
					if !of[q[1]] {
						t.Errorf("%s: %s: its legend quotes %s, its labels are %q", d.file, p.Title, q[1], of.list())
					}
				}
			}
		}
	}
}

// TestGrafanaFindsThem: the provisioning files point to where the dashboards are mounted, and name the data source that the dashboards begin with.
func TestGrafanaFindsThem(t *testing.T) {
	var provider struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type string
			FolderUID          string `yaml:"folderUid"`
			Kept               bool   `yaml:"disableDeletion"`
			Changed            bool   `yaml:"allowUiUpdates"`
			Seconds            int    `yaml:"updateIntervalSeconds"`
			Options            struct{ Path string }
		} `yaml:"providers"`
	}
	decodeYAML(t, filepath.Join(monitoring, "grafana/provisioning/dashboards/weir.yml"), &provider)
	if provider.APIVersion != 1 || len(provider.Providers) != 1 || provider.Providers[0].Type != "file" || provider.Providers[0].Options.Path != "/var/lib/grafana/dashboards" {
		t.Fatalf("%+v", provider)
	}
	// What is changed in the browser would be gone with the next start: it is not let be changed there.
	if p := provider.Providers[0]; p.Name == "" || p.Folder != "Weir" || p.FolderUID != "weir" || !p.Kept || p.Changed || p.Seconds < 10 {
		t.Errorf("%+v", p)
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			Default                      bool `yaml:"isDefault"`
			Editable                     *bool
			JSONData                     struct {
				Method   string `yaml:"httpMethod"`
				Interval string `yaml:"timeInterval"`
			} `yaml:"jsonData"`
		}
	}
	decodeYAML(t, filepath.Join(monitoring, "grafana/provisioning/datasources/weir.yml"), &sources)
	if sources.APIVersion != 1 || len(sources.Datasources) != 2 {
		t.Fatalf("%+v", sources)
	}
	for i, kind := range []string{"prometheus", "loki"} {
		if d := sources.Datasources[i]; d.Name == "" || d.UID != kind || d.Type != kind || d.Access != "proxy" || d.Default != (i == 0) || d.Editable == nil || *d.Editable {
			t.Errorf("%+v", d)
		}
	}
	// $__rate_interval is four times what Grafana takes for the interval of scrapes.
	if j := sources.Datasources[0].JSONData; j.Method != "POST" || !strings.Contains(read(t, "configs/deploy/monitoring/prometheus.yml"), "\n  scrape_interval: "+j.Interval+"\n") {
		t.Errorf("%+v", j)
	}
}

// decodeYAML reads YAML, all of it well formed, with no key that is not asked for.
func decodeYAML(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
