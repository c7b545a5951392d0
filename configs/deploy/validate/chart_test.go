package validate_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"
)

const chartDir = "../helm/weir"

var update = flag.Bool("update", false, "write the chart's templates anew from the kustomize base")

// object is a manifest as data.
type object = map[string]any

// at is the value at a path of keys and indexes.
func at(o any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			o = o.(object)[p]
		case int:
			o = o.([]any)[p]
		}
	}
	return o
}

// objects are the manifests of a text, in the order of their kinds and names.
func objects(t *testing.T, text []byte) (list []object) {
	t.Helper()
	for _, doc := range documents(text) {
		var o object
		if err := yaml.UnmarshalStrict(doc, &o); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if len(o) > 0 {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b object) int { return strings.Compare(fileOf(a), fileOf(b)) })
	return list
}

// fileOf is the name of an object's template.
func fileOf(o object) string {
	return strings.ToLower(o["kind"].(string)) + "-" + at(o, "metadata", "name").(string) + ".yaml"
}

// source is what the chart is made of: the base, and the component for Prometheus with it or not.
func source(t *testing.T, prometheus bool) []byte {
	t.Helper()
	dir := t.TempDir()
	rel := func(name string) string {
		t.Helper()
		abs, err := filepath.Abs(filepath.Join(kubernetesDir, name))
		if err == nil {
			dir, err = filepath.EvalSymlinks(dir)
		}
		r, err2 := filepath.Rel(dir, abs)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		return r
	}
	text := "resources: [" + rel("base") + "]\n"
	if prometheus {
		text += "components: [" + rel("components/prometheus") + "]\n"
	}
	writeFile(t, filepath.Join(dir, "kustomization.yaml"), text+"labels: [{ pairs: { app.kubernetes.io/part-of: weir }, includeTemplates: true }]\n")
	return kustomize(t, dir)
}

// mark is what stands for a template's expression until the manifest is text, in letters that YAML neither quotes nor breaks; marks of several lines begin with "block".
func mark(expression string) string { return "mark" + hex.EncodeToString([]byte(expression)) + "mark" }

// parametrize puts the chart's values where they belong.
func parametrize(o object) {
	colour, _ := at(o, "metadata", "labels", "weir.dev/colour").(string)
	if at(o, "metadata", "labels") == nil {
		at(o, "metadata").(object)["labels"] = object{}
	}
	maps.Copy(at(o, "metadata", "labels").(object), object{"app.kubernetes.io/managed-by": mark(".Release.Service"), "helm.sh/chart": mark(`printf "%s-%s" .Chart.Name .Chart.Version`)})
	of := "weir"
	if colour != "" {
		of = "api"
	}
	image := func(of, which string) string {
		return mark(".Values."+of+".image.repository") + ":" + mark(".Values."+which+".tag | default .Chart.AppVersion")
	}
	switch o["kind"] {
	case "Deployment":
		container := at(o, "spec", "template", "spec", "containers", 0).(object)
		container["resources"] = mark("block .Values." + of + ".resources")
		for _, v := range container["env"].([]any) {
			for name, value := range map[string]string{"EDGE_HOST": ".Values.host", "VALOR_DATABASE": ".Values.api.database", "VALOR_CACHE": ".Values.api.cache"} {
				if v.(object)["name"] == name {
					v.(object)["value"] = mark(value)
				}
			}
		}
		if colour != "" {
			container["image"] = image("api", "api."+colour)
			break
		}
		container["image"] = image("weir", "weir.image")
		at(o, "spec", "template", "spec", "initContainers", 0).(object)["image"] = image("api", "api.blue")
	case "HorizontalPodAutoscaler":
		spec := at(o, "spec").(object)
		spec["minReplicas"], spec["maxReplicas"] = mark(".Values."+of+".autoscaling.minReplicas"), mark(".Values."+of+".autoscaling.maxReplicas")
		spec["metrics"].([]any)[2] = mark("requests " + of) // the component's
	case "Service":
		if at(o, "metadata", "name") == "weir" {
			at(o, "spec").(object)["type"] = mark(".Values.weir.service.type")
			at(o, "metadata").(object)["annotations"] = mark("block .Values.weir.service.annotations")
		}
	case "ConfigMap":
		at(o, "data").(object)["weir.toml"] = mark(`.Values.config | default (.Files.Get "files/weir.toml") | toJson`)
	}
}

// templated is an object as a template of the chart.
func templated(t *testing.T, o object) string {
	t.Helper()
	parametrize(o)
	b, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("{{- /* Generated from configs/deploy/kubernetes: cd configs/deploy/validate && go test -run Chart -update . */}}\n")
	if o["kind"] == "ServiceMonitor" {
		out.WriteString("{{- if .Values.serviceMonitor.enabled }}\n")
	}
	marked := regexp.MustCompile(`mark([0-9a-f]+)mark`)
	for line := range strings.Lines(string(b)) {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		list := marked.FindAllStringSubmatch(line, -1)
		if len(list) == 0 {
			out.WriteString(line)
			continue
		}
		for _, m := range list {
			expression, err := hex.DecodeString(m[1])
			if err != nil {
				t.Fatal(err)
			}
			m[1] = string(expression)
		}
		key, _, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch expression := list[0][1]; {
		case strings.HasPrefix(expression, "requests "):
			of := strings.TrimPrefix(expression, "requests ")
			metric := map[string]string{"weir": "weir", "api": "valor"}[of] + "_http_requests_per_second"
			fmt.Fprintf(&out, "%[1]s{{- if .Values.requestsPerSecond.enabled }}\n%[1]s- pods:\n%[1]s    metric:\n%[1]s      name: %[2]s\n%[1]s    target:\n"+
				"%[1]s      averageValue: {{ .Values.requestsPerSecond.%[3]s | quote }}\n%[1]s      type: AverageValue\n%[1]s  type: Pods\n%[1]s{{- end }}\n", indent, metric, of)
		case strings.HasPrefix(expression, "block "):
			fmt.Fprintf(&out, "%[1]s{{- with %[2]s }}\n%[1]s%[3]s:\n%[1]s  {{- toYaml . | nindent %[4]d }}\n%[1]s{{- end }}\n", indent, strings.TrimPrefix(expression, "block "), key, len(indent)+2)
		case len(list) == 2: // an image
			fmt.Fprintf(&out, "%s%s: \"{{ %s }}:{{ %s }}\"\n", indent, key, expression, list[1][1])
		case strings.HasSuffix(expression, "Replicas"), strings.HasSuffix(expression, "toJson"):
			fmt.Fprintf(&out, "%s%s: {{ %s }}\n", indent, key, expression)
		default:
			fmt.Fprintf(&out, "%s%s: {{ %s | quote }}\n", indent, key, expression)
		}
	}
	if o["kind"] == "ServiceMonitor" {
		out.WriteString("{{- end }}\n")
	}
	return out.String()
}

// TestChartIsGenerated: the chart's templates are what the kustomize base is now.
func TestChartIsGenerated(t *testing.T) {
	want := map[string]string{"files/weir.toml": read(t, "configs/deploy/kubernetes/base/edge/weir.toml")}
	for _, o := range objects(t, source(t, true)) {
		name := "templates/" + fileOf(o)
		want[name] = templated(t, o)
	}
	have, err := filepath.Glob(filepath.Join(chartDir, "templates/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range have {
		if name := "templates/" + filepath.Base(file); want[name] == "" {
			if !*update {
				t.Errorf("%s is of nothing in the base", name)
			} else if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range want {
		if *update {
			writeFile(t, filepath.Join(chartDir, name), text)
		} else if b, err := os.ReadFile(filepath.Join(chartDir, name)); err != nil || string(b) != text {
			t.Errorf("%s is not what the base is (go test -run Chart -update .): %v", name, err)
		}
	}
}

// chartFiles is .Files of a chart.
type chartFiles struct{ t *testing.T }

// Get is a file's text; "" where there is none, as in Helm.
func (f chartFiles) Get(name string) string {
	b, err := os.ReadFile(filepath.Join(chartDir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.t.Fatal(err)
	}
	return string(b)
}

// render is the chart as Helm renders it. The templates use few functions, and here each does what Helm's does; a template that uses another one fails. Helm itself is run
// by GitHub Actions: its library is a thousand packages.
func render(t *testing.T, set object) []byte {
	t.Helper()
	values, chart := object{}, object{}
	if err := yaml.UnmarshalStrict([]byte(chartFiles{t}.Get("values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(chartFiles{t}.Get("Chart.yaml")), &chart); err != nil {
		t.Fatal(err)
	}
	merge(t, values, set)
	data := object{"Values": values, "Files": chartFiles{t}, "Release": object{"Service": "Helm", "Namespace": "x", "Name": "y"},
		"Chart": object{"Name": chart["name"], "Version": chart["version"], "AppVersion": chart["appVersion"]}}
	var out bytes.Buffer
	files, err := filepath.Glob(filepath.Join(chartDir, "templates/*"))
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := template.New(filepath.Base(file)).Option("missingkey=error").Funcs(helmFunctions(t)).Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		var one bytes.Buffer
		if err := tmpl.Execute(&one, data); err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) == ".yaml" {
			fmt.Fprintf(&out, "\n---\n%s", one.Bytes())
		}
	}
	return out.Bytes()
}

func helmFunctions(t *testing.T) template.FuncMap {
	return template.FuncMap{
		"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"default": func(fallback, v any) any {
			if v == nil || reflect.ValueOf(v).IsZero() {
				return fallback
			}
			return v
		},
		"nindent": func(n int, text string) string {
			pad := strings.Repeat(" ", n)
			return "\n" + pad + strings.ReplaceAll(text, "\n", "\n"+pad)
		},
		"toYaml": func(v any) string {
			b, err := yaml.Marshal(v)
			if err != nil {
				t.Error(err)
			}
			return strings.TrimSuffix(string(b), "\n")
		},
		"toJson": func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Error(err)
			}
			return string(b)
		},
	}
}

// merge is --set and -f: maps into maps, everything else replaced; what values.yaml does not have is a mistake.
func merge(t *testing.T, into, from object) {
	t.Helper()
	for k, v := range from {
		inner, isMap := v.(object)
		old, known := into[k]
		if !known && len(into) > 0 {
			t.Errorf("values.yaml has no %s", k)
		}
		if was, both := old.(object); isMap && both && len(was) > 0 {
			merge(t, was, inner)
			continue
		}
		into[k] = v
	}
}

// TestChartEqualsBase: with its default values, and with what needs Prometheus switched on, the chart renders to the objects of the kustomize base.
func TestChartEqualsBase(t *testing.T) {
	on := object{"serviceMonitor": object{"enabled": true}, "requestsPerSecond": object{"enabled": true}}
	for prometheus, set := range map[bool]object{false: {}, true: on} {
		want, got := objects(t, source(t, prometheus)), objects(t, render(t, set))
		manifests(t, render(t, set)) // strictly
		if len(want) != len(got) || len(got) < 15 {
			t.Errorf("%d objects, the base has %d", len(got), len(want))
			continue
		}
		for i, o := range got {
			labels := at(o, "metadata", "labels").(object)
			if labels["app.kubernetes.io/managed-by"] != "Helm" || labels["helm.sh/chart"] != "weir-0.1.0" {
				t.Errorf("%s: labels %v", fileOf(o), labels)
			}
			delete(labels, "app.kubernetes.io/managed-by")
			delete(labels, "helm.sh/chart")
			if !reflect.DeepEqual(o, want[i]) {
				a, _ := yaml.Marshal(o) // they came from YAML
				b, _ := yaml.Marshal(want[i])
				t.Errorf("%s: the chart has\n%s\nand the base\n%s", fileOf(o), a, b)
			}
		}
	}
}

// TestChartValues: each value of values.yaml arrives.
func TestChartValues(t *testing.T) {
	text := string(render(t, object{
		"host": "h-1", "config": "c-1 = \"${x}\"\n",
		"weir": object{"image": object{"repository": "r-1", "tag": "t-1"}, "resources": object{"limits": object{"memory": "111Mi"}}, "autoscaling": object{"minReplicas": 31, "maxReplicas": 32},
			"service": object{"type": "NodePort", "annotations": object{"a-1": "b-1"}}},
		"api": object{"image": object{"repository": "r-2"}, "blue": object{"tag": "t-blue"}, "green": object{"tag": "t-green"}, "resources": object{"limits": object{"memory": "222Mi"}},
			"autoscaling": object{"minReplicas": 41, "maxReplicas": 42}, "database": "d-1", "cache": "e-1"},
		"serviceMonitor": object{"enabled": true}, "requestsPerSecond": object{"enabled": true, "weir": "7k", "api": "777"},
	}))
	for want, times := range map[string]int{`"h-1"`: 1, `"c-1 = \"${x}\"\n"`: 1, `"r-1:t-1"`: 1, `"r-2:t-blue"`: 2, `"r-2:t-green"`: 1, "memory: 111Mi": 1, "memory: 222Mi": 2, "minReplicas: 31": 1, "maxReplicas: 32": 1,
		`type: "NodePort"`: 1, "a-1: b-1": 1, "minReplicas: 41": 2, "maxReplicas: 42": 2, `"d-1"`: 2, `"e-1"`: 2, `averageValue: "7k"`: 1, `averageValue: "777"`: 2, "kind: ServiceMonitor": 2} {
		if n := strings.Count(text, want); n != times {
			t.Errorf("%s is there %d times, want %d", want, n, times)
		}
	}
}
