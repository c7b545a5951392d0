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

// source is what the chart is made of: the base with components or without, or an overlay with some.
func source(t *testing.T, base string, components ...string) []byte {
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
	text := "resources: [" + rel(base) + "]\ncomponents:\n"
	for _, c := range components {
		text += "  - " + rel("components/"+c) + "\n"
	}
	if env, found := strings.CutPrefix(base, "overlays/"); found {
		text += "namespace: weir-" + env + "\n"
	}
	writeFile(t, filepath.Join(dir, "kustomization.yaml"), text+"labels: [{ pairs: { app.kubernetes.io/part-of: weir }, includeTemplates: true }]\n")
	return kustomize(t, base+" with "+strings.Join(components, " "), dir)
}

// watchers are what only a chart that watches pods has.
var watchers = []string{"configmap-weir-config-watch.yaml", "networkpolicy-weir-api-server.yaml", "role-weir.yaml", "rolebinding-weir.yaml"}

// wanted is the value that an object of the chart needs to be there; "" for those that always are.
func wanted(o object) string {
	switch {
	case o["kind"] == "ServiceMonitor":
		return ".Values.serviceMonitor.enabled"
	case slices.Contains(watchers, fileOf(o)):
		return ".Values.watch.enabled"
	}
	return ""
}

// ifWatching puts a condition around the last of a list's elements, which components/watch has put there.
func ifWatching(list []any) {
	b, err := yaml.Marshal(list[len(list)-1:])
	if err != nil {
		panic(err) // it came from YAML
	}
	list[len(list)-1] = mark("watch " + string(b))
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
		volumes := at(o, "spec", "template", "spec", "volumes").([]any)
		at(volumes, 0, "configMap").(object)["name"] = mark(`ternary "weir-config-watch" "weir-config" .Values.watch.enabled`)
		ifWatching(volumes)
		ifWatching(container["volumeMounts"].([]any))
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
		file := map[any]string{"weir-config": "weir.toml", "weir-config-watch": "weir-watch.toml"}[at(o, "metadata", "name")]
		at(o, "data").(object)["weir.toml"] = mark(`.Values.config | default (.Files.Get "files/` + file + `") | toJson`)
	case "RoleBinding":
		at(o, "subjects", 0).(object)["namespace"] = mark(".Release.Namespace") // overlays have kustomize for that
	case "NetworkPolicy":
		if at(o, "metadata", "name") == "weir-api-server" {
			at(o, "spec", "egress", 0).(object)["to"] = mark("block .Values.watch.to")
		}
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
	if value := wanted(o); value != "" {
		out.WriteString("{{- if " + value + " }}\n")
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
		case strings.HasPrefix(expression, "watch "):
			text := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(expression, "watch "), "\n"), "\n", "\n"+indent)
			fmt.Fprintf(&out, "%[1]s{{- if .Values.watch.enabled }}\n%[1]s%[2]s\n%[1]s{{- end }}\n", indent, text)
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
	if wanted(o) != "" {
		out.WriteString("{{- end }}\n")
	}
	return out.String()
}

// watching is a configuration that finds by the API what the base's finds by names.
func watching(text string) string {
	return regexp.MustCompile(`\{ dns = "(valor-api-\w+):5002" \}`).ReplaceAllString(text, `{ kubernetes = "$1:http" }`)
}

// TestChartIsGenerated: components/watch's configuration is what the base's is now, and the chart's templates are what the kustomize base is now.
func TestChartIsGenerated(t *testing.T) {
	base := read(t, "configs/deploy/kubernetes/base/edge/weir.toml")
	watch := watching(base)
	want := map[string]string{"files/weir.toml": base, "files/weir-watch.toml": watch, "../../kubernetes/components/watch/weir.toml": watch}
	if *update {
		writeFile(t, filepath.Join(kubernetesDir, "components/watch/weir.toml"), watch) // the templates are made of it
	}
	for _, o := range objects(t, source(t, "base", "prometheus", "watch")) {
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
		"ternary": func(yes, no any, which bool) any {
			if which {
				return yes
			}
			return no
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

// TestChartEqualsBase: with its default values, with what needs Prometheus and with what watches pods switched on, the chart renders to the objects of the kustomize base.
func TestChartEqualsBase(t *testing.T) {
	for components, set := range map[string]object{
		"": {}, "prometheus": {"serviceMonitor": object{"enabled": true}, "requestsPerSecond": object{"enabled": true}}, "watch": {"watch": object{"enabled": true}},
	} {
		want, got := objects(t, source(t, "base", strings.Fields(components)...)), objects(t, render(t, set))
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
			if o["kind"] == "RoleBinding" { // of the release's namespace; where the base goes, overlays say
				if subject := at(o, "subjects", 0).(object); subject["namespace"] != "x" {
					t.Errorf("%v", subject)
				} else {
					delete(subject, "namespace")
				}
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
		"watch": object{"enabled": true, "to": []any{object{"ipBlock": object{"cidr": "192.0.2.7/32"}}}},
	}))
	for want, times := range map[string]int{`"h-1"`: 1, `"c-1 = \"${x}\"\n"`: 2, `"r-1:t-1"`: 1, `"r-2:t-blue"`: 2, `"r-2:t-green"`: 1, "memory: 111Mi": 1, "memory: 222Mi": 2, "minReplicas: 31": 1, "maxReplicas: 32": 1,
		`type: "NodePort"`: 1, "a-1: b-1": 1, "minReplicas: 41": 2, "maxReplicas: 42": 2, `"d-1"`: 2, `"e-1"`: 2, `averageValue: "7k"`: 1, `averageValue: "777"`: 2, "kind: ServiceMonitor": 2,
		"cidr: 192.0.2.7/32": 1, `name: "weir-config-watch"`: 1} {
		if n := strings.Count(text, want); n != times {
			t.Errorf("%s is there %d times, want %d", want, n, times)
		}
	}
}
