package validate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"
)

// mapping are the types of Elasticsearch's fields by their whole names.
func mapping(t *testing.T) map[string]string {
	t.Helper()
	var template struct {
		Patterns []string  `json:"index_patterns"`
		Stream   *struct{} `json:"data_stream"`
		Priority int
		Template struct {
			Settings struct {
				Shards   int `json:"number_of_shards"`
				Replicas int `json:"number_of_replicas"`
				Codec    string
				Fields   int `json:"mapping.total_fields.limit"`
			}
			Lifecycle struct {
				Retention string `json:"data_retention"`
			}
			Mappings struct {
				Meta       struct{ Description string } `json:"_meta"`
				Dynamic    bool
				Dates      bool `json:"date_detection"`
				Properties map[string]property
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(monitoring, "filebeat", "weir-logs.json"))
	if err != nil {
		t.Fatal(err)
	}
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&template); err != nil {
		t.Fatal(err)
	}
	// One node: a replica would have nowhere to be. Elasticsearch's own templates for logs-*-* have the priority 100.
	if s := template.Template; s.Settings.Shards != 1 || s.Settings.Replicas != 0 || s.Settings.Codec != "best_compression" || !strings.HasSuffix(s.Lifecycle.Retention, "d") || s.Mappings.Dates || template.Priority <= 100 {
		t.Errorf("%+v, priority %d", s.Settings, template.Priority)
	}
	if !slices.Equal(template.Patterns, []string{"weir-logs*"}) || template.Stream == nil || template.Template.Mappings.Dynamic {
		t.Errorf("the template is for %q, a data stream: %v, dynamic: %v", template.Patterns, template.Stream != nil, template.Template.Mappings.Dynamic)
	}
	types := map[string]string{}
	flatten("", template.Template.Mappings.Properties, types)
	if most := template.Template.Settings.Fields; len(types) >= most {
		t.Errorf("%d fields of %d", len(types), most)
	}
	return types
}

type property struct {
	Type       string
	Properties map[string]property
	Most       int  `json:"ignore_above"`
	Malformed  bool `json:"ignore_malformed"`
}

func flatten(prefix string, from map[string]property, into map[string]string) {
	for name, p := range from {
		if p.Properties != nil {
			flatten(prefix+name+".", p.Properties, into)
			continue
		}
		// A line with a long word or a wrong address is kept all the same: Lucene takes no term above 32766 bytes, and would refuse the line.
		if long := p.Type == "keyword" || p.Type == "wildcard"; long != (p.Most > 0) || p.Most > 32766/4 && p.Type == "keyword" || (p.Type == "ip") != p.Malformed {
			p.Type = "unsafe " + p.Type
		}
		into[prefix+name] = p.Type
	}
}

// takes tells whether Elasticsearch stores a value in a field of that type.
func takes(kind string, value any) bool {
	text, isText := value.(string)
	number, isNumber := value.(json.Number)
	switch kind {
	case "long":
		_, err := strconv.ParseInt(number.String(), 10, 64)
		return isNumber && err == nil
	case "double":
		return isNumber
	case "boolean":
		_, ok := value.(bool)
		return ok
	case "ip":
		_, err := netip.ParseAddr(text)
		return isText && err == nil
	case "date":
		_, err := time.Parse(time.RFC3339Nano, text)
		return isText && err == nil
	case "keyword":
		switch value := value.(type) {
		case []any: // a list of keywords is as good as one
			return !slices.ContainsFunc(value, func(v any) bool { return !takes(kind, v) })
		case map[string]any:
			return false
		}
		return true
	case "match_only_text", "wildcard":
		return isText
	}
	return false
}

// filebeat is what is read of its configuration. Fields that it does not know are refused.
type filebeat struct {
	Inputs []struct {
		Type     string                      `yaml:"type"`
		ID       string                      `yaml:"id"`
		Paths    []string                    `yaml:"paths"`
		Symlinks bool                        `yaml:"prospector.scanner.symlinks"`
		Parsers  []map[string]map[string]any `yaml:"parsers"`
	} `yaml:"filebeat.inputs"`
	Processors []map[string]any `yaml:"processors"`
	Output     map[string]any   `yaml:"output.elasticsearch"`
	Setup      map[string]any   `yaml:"setup"`
	Queue      map[string]any   `yaml:"queue.mem"`
	Logging    map[string]any   `yaml:"logging"`
}

func loadFilebeat(t *testing.T) *filebeat {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(monitoring, "filebeat", "filebeat.yml"))
	if err != nil {
		t.Fatal(err)
	}
	f := new(filebeat)
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// renames are the names that filebeat.yml gives to valor-api's fields.
func (f *filebeat) renames(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	for _, p := range f.Processors {
		then, _ := p["then"].([]any)
		for _, step := range then {
			rename, _ := step.(map[string]any)["rename"].(map[string]any)
			pairs, _ := rename["fields"].([]any)
			for _, pair := range pairs {
				from, to := pair.(map[string]any)["from"].(string), pair.(map[string]any)["to"].(string)
				names[from] = to
			}
		}
	}
	if len(names) < 10 {
		t.Fatalf("renames: %v", names)
	}
	return names
}

// TestFilebeatTakesLineByLine: each input reads containers' envelopes first and then one object a line, its fields at the top; nothing joins lines; lines go where the template is for.
func TestFilebeatTakesLineByLine(t *testing.T) {
	f := loadFilebeat(t)
	if len(f.Inputs) != 2 {
		t.Fatalf("%d inputs", len(f.Inputs))
	}
	for _, in := range f.Inputs {
		last := in.Parsers[len(in.Parsers)-1]["ndjson"]
		if in.Type != "filestream" || in.ID == "" || len(in.Paths) == 0 || last == nil || len(last) != 4 || last["ignore_decoding_error"] != true {
			t.Errorf("%s: %+v", in.ID, in)
		}
		for _, p := range in.Parsers {
			if p["multiline"] != nil {
				t.Errorf("%s joins lines", in.ID)
			}
		}
		// Without expand_keys "http.request.id" would be one name with dots beside Filebeat's own objects; without overwrite_keys @timestamp would be when the line was read.
		if last["target"] != "" || last["expand_keys"] != true || last["overwrite_keys"] != true {
			t.Errorf("%s: ndjson %v", in.ID, last)
		}
	}
	// Docker and Kubernetes keep what programs write in envelopes of their own; /var/log/containers has links.
	if c := f.Inputs[0]; len(c.Parsers) != 2 || fmt.Sprint(c.Parsers[0]["container"]) != "map[format:auto stream:all]" || !c.Symlinks || len(f.Inputs[1].Parsers) != 1 {
		t.Errorf("%+v", f.Inputs)
	}
	for key, want := range map[string]any{"hosts": []any{"${ELASTICSEARCH_HOSTS:http://elasticsearch:9200}"}, "username": "${ELASTICSEARCH_USERNAME:elastic}", "password": "${ELASTICSEARCH_PASSWORD:}"} {
		if fmt.Sprint(f.Output[key]) != fmt.Sprint(want) {
			t.Errorf("%s is %v", key, f.Output[key])
		}
	}
	if f.Setup["dashboards.enabled"] != false || len(f.Setup) != 3 {
		t.Errorf("setup %v", f.Setup)
	}
	template, _ := f.Setup["template"].(map[string]any)
	loaded, _ := template["json"].(map[string]any)
	if f.Output["index"] != "weir-logs" || template["pattern"] != "weir-logs*" || loaded["enabled"] != true || loaded["data_stream"] != true || loaded["path"] != "/usr/share/filebeat/weir-logs.json" || loaded["name"] != "weir-logs" || template["name"] != "weir-logs" || template["enabled"] != true || f.Setup["ilm.enabled"] != false {
		t.Errorf("lines go to %v, the template is %v", f.Output["index"], template)
	}
}

// TestFilebeatRenames: lines of the API are known by the keys that all of them have, get their own time and their data set, and what has none is dropped.
func TestFilebeatRenames(t *testing.T) {
	f := loadFilebeat(t)
	if len(f.Processors) != 2 || fmt.Sprint(f.Processors[0]["if"]) != "map[has_fields:[msg time level]]" || fmt.Sprint(f.Processors[1]) != "map[drop_event:map[when:map[not:map[has_fields:[event.dataset]]]]]" {
		t.Fatalf("%v", f.Processors)
	}
	steps, _ := f.Processors[0]["then"].([]any)
	if len(steps) != 4 {
		t.Fatalf("%v", steps)
	}
	stamp := steps[0].(map[string]any)["timestamp"].(map[string]any)
	layout, sample := fmt.Sprint(stamp["layouts"].([]any)[0]), fmt.Sprint(stamp["test"].([]any)[0])
	if _, err := time.Parse(layout, sample); err != nil || stamp["field"] != "time" || layout != time.RFC3339Nano { // which is what app logs with
		t.Errorf("%v: %v", stamp, err)
	}
	for i, want := range []string{"map[add_fields:map[fields:map[dataset:valor-api] target:event]]", "map[drop_fields:map[fields:[time] ignore_missing:true]]"} {
		if got := fmt.Sprint(steps[i+1]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if rename := steps[3].(map[string]any)["rename"].(map[string]any); rename["ignore_missing"] != true || rename["fail_on_error"] != false {
		t.Errorf("a line that lacks a field would be kept as it is: %v", rename)
	}
}

// TestLogKeysAreMapped: every key under which the code of the edge logs has a field in the template; of the API's those that filebeat.yml renames, which are all but those of few lines, and none is in the
// way of one.
func TestLogKeysAreMapped(t *testing.T) {
	types := mapping(t)
	renames := loadFilebeat(t).renames(t)
	edge := logKeys(t, "proxy", "tls", "upstream", "cmd/weir")
	api := logKeys(t, "app", "cmd/valor-api")
	if len(edge) < 40 || len(api) < 10 {
		t.Fatalf("keys found: %q, %q", edge, api)
	}
	for key, where := range edge {
		if types[key] == "" {
			t.Errorf("%s logs %s, which the template has no field for", where, key)
		}
	}
	var rare []string
	for key := range api {
		if renames[key] == "" {
			rare = append(rare, key)
		}
	}
	slices.Sort(rare)
	if want := strings.Fields("deadline document for not_after panic provider type"); !slices.Equal(rare, want) {
		t.Errorf("not renamed are %q, want %q", rare, want)
	}
	for from := range renames {
		if api[from] == "" && from != "msg" && from != "level" && from != "error" { // zap's own
			t.Errorf("filebeat.yml renames %s, which nobody logs", from)
		}
	}
	for key, where := range api {
		to := renames[key]
		if to != "" && types[to] == "" {
			t.Errorf("filebeat.yml renames %s to %s, which the template has no field for", key, to)
		}
		for name := range types {
			if to == "" && strings.HasPrefix(name, key+".") {
				t.Errorf("%s logs %s, which the template has as an object (%s): the line would be refused", where, key, name)
			}
		}
	}
}

// logKeys are the keys of zap's fields in the code below some folders, with a file that has each, and the constants of proxy/observe.
func logKeys(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	keys := map[string]string{}
	set := token.NewFileSet()
	for _, folder := range folders {
		err := fs.WalkDir(os.DirFS(root), folder, func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := goparser.ParseFile(set, filepath.Join(root, name), nil, goparser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if key := keyOf(n); key != "" {
					keys[key] = name
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// keyOf is the key of a call of zap's such as zap.String("weir.mode", …), or of a constant such as KeyMethod = "…".
func keyOf(n ast.Node) string {
	literal := func(e ast.Expr) string {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			s, _ := strconv.Unquote(l.Value) // the compiler has read it
			return s
		}
		return ""
	}
	switch n := n.(type) {
	case *ast.CallExpr:
		called, ok := n.Fun.(*ast.SelectorExpr)
		if !ok || len(n.Args) != 2 {
			return ""
		}
		if of, ok := called.X.(*ast.Ident); ok && of.Name == "zap" {
			return literal(n.Args[0])
		}
	case *ast.ValueSpec:
		if len(n.Names) == 1 && strings.HasPrefix(n.Names[0].Name, "Key") && len(n.Values) == 1 && n.Type == nil {
			if s := literal(n.Values[0]); strings.Contains(s, ".") || s == "message" || s == "@timestamp" {
				return s
			}
		}
	}
	return ""
}

// TestKibanaObjectsHoldTogether: the saved searches are of the data view that is saved with them, and show fields that the template has.
func TestKibanaObjectsHoldTogether(t *testing.T) {
	types := mapping(t)
	b, err := os.ReadFile(filepath.Join(monitoring, "kibana", "weir.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	type reference struct{ ID, Name, Type string }
	views := map[string]bool{}
	searches := map[string]string{}
	for line := range strings.Lines(string(b)) {
		var o struct {
			Type, ID   string
			Attributes struct {
				Title, Name, Description, TimeFieldName                string
				Columns                                                []string
				Sort                                                   [][2]string
				Grid                                                   struct{}
				AllowNoIndex, HideChart, IsTextBasedQuery, TimeRestore bool
				KibanaSavedObjectMeta                                  struct{ SearchSourceJSON string }
			}
			References []reference
			Managed    bool
		}
		strict := json.NewDecoder(strings.NewReader(line))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&o); err != nil {
			t.Fatal(err)
		}
		if o.Type == "index-pattern" {
			views[o.ID] = o.Attributes.Title == "weir-logs*" && types[o.Attributes.TimeFieldName] == "date"
			continue
		}
		var source struct {
			Query        struct{ Query, Language string }
			Filter       []struct{}
			IndexRefName string
		}
		if err := json.Unmarshal([]byte(o.Attributes.KibanaSavedObjectMeta.SearchSourceJSON), &source); err != nil {
			t.Errorf("%s: %v", o.ID, err)
		}
		if o.Type != "search" || o.Attributes.Title == "" || o.Attributes.Description == "" || len(o.Attributes.Columns) < 3 || !slices.Equal(o.Attributes.Sort, [][2]string{{"@timestamp", "desc"}}) || source.Query.Language != "kuery" {
			t.Errorf("%s: %+v", o.ID, o)
		}
		searches[o.ID] = source.Query.Query
		if len(o.References) != 1 || o.References[0].Type != "index-pattern" || !views[o.References[0].ID] || o.References[0].Name != source.IndexRefName {
			t.Errorf("%s: of %+v by %q, there is %v", o.ID, o.References, source.IndexRefName, views)
		}
		for _, m := range regexp.MustCompile(`([a-z_.]+) *(?::|>=)`).FindAllStringSubmatch(source.Query.Query, -1) {
			o.Attributes.Columns = append(o.Attributes.Columns, m[1])
		}
		for _, field := range o.Attributes.Columns {
			if types[field] == "" {
				t.Errorf("%s: the template has no field %s", o.ID, field)
			}
		}
	}
	if want := map[string]string{"weir-requests": `event.dataset : "weir.access"`, "weir-failures": `event.dataset : "weir.access" and (http.response.status_code >= 500 or weir.reason : *)`,
		"weir-own": `event.dataset : "weir.log"`, "weir-both": "http.request.id : *"}; !maps.Equal(searches, want) {
		t.Errorf("%q", searches)
	}
}

// TestAlloyReadsTheLines: the blocks are closed, every name that something is forwarded to is declared, what becomes a label is extracted before, and no label is one that clients fill.
func TestAlloyReadsTheLines(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(monitoring, "loki", "config.alloy"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^\s*//.*$`).ReplaceAllString(string(b), "")
	bare := regexp.MustCompile(`"(?:[^"\\]|\\.)*"`).ReplaceAllString(text, `""`)
	for _, pair := range []string{"{}", "[]"} {
		if strings.Count(bare, pair[:1]) != strings.Count(bare, pair[1:]) {
			t.Errorf("%s do not match", pair)
		}
	}
	// Alloy refuses a name that it does not know; these are the ones that it does.
	var blocks, attributes []string
	for _, m := range regexp.MustCompile(`(?m)^\s*([a-z_.]+)(?: "\w+")? \{`).FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*([a-z_]+)\s+= (?:"|\[|\{$|local|loki)`).FindAllStringSubmatch(regexp.MustCompile(`(?s)= \{.*?\}`).ReplaceAllString(text, "= {\n"), -1) {
		attributes = append(attributes, m[1])
	}
	if want := "local.file_match loki.source.file loki.process stage.match stage.docker stage.json stage.template stage.drop stage.timestamp stage.labels stage.structured_metadata loki.write endpoint"; strings.Join(blocks, " ") != want {
		t.Errorf("blocks %q, want %s", blocks, want)
	}
	if want := "path_targets targets forward_to selector expressions source template source expression drop_counter_reason source format values values forward_to url"; strings.Join(attributes, " ") != want {
		t.Errorf("attributes %q, want %s", attributes, want)
	}
	declared := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_.]+) "(\w+)" \{`).FindAllStringSubmatch(text, -1) {
		declared[m[1]+"."+m[2]] = true
	}
	used := regexp.MustCompile(`\b((?:local|loki)\.[a-z_.]+\.\w+)\.(?:targets|receiver)\b`).FindAllStringSubmatch(text, -1)
	if len(declared) != 4 || len(used) != 3 {
		t.Errorf("declared %v, used %v", declared, used)
	}
	for _, m := range used {
		if !declared[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	extracted := alloyMap(text, "expressions")
	for _, m := range regexp.MustCompile(`\bsource\s+= "(\w+)"`).FindAllStringSubmatch(text, -1) {
		if extracted[m[1]] == "" {
			t.Errorf("a stage reads %s, which is not extracted", m[1])
		}
	}
	if kept := slices.Sorted(maps.Keys(alloyMap(text, "stage.structured_metadata"))); !slices.Equal(kept, strings.Fields("group reason request route status trace")) {
		t.Errorf("kept beside the line: %q", kept)
	}
	checkAlloyDataset(t, text)
	types := mapping(t)
	for name, expr := range extracted {
		quoted := regexp.MustCompile(`^"\\"([^"\\]+)\\""|^"\\"([^"\\]+)\\" \|\| \w+"|^"(color)"$`).FindStringSubmatch(expr)
		if quoted == nil || quoted[1]+quoted[2] != "" && types[quoted[1]+quoted[2]] == "" {
			t.Errorf("%s = %s: a name with dots stands in quotes in JMESPath, and is one that is logged", name, expr)
		}
	}
	if labels := slices.Sorted(maps.Keys(alloyMap(text, "stage.labels"))); !slices.Equal(labels, []string{"dataset", "level", "service"}) {
		t.Errorf("labels %q: each is a stream per value", labels)
	}
	for _, block := range []string{"stage.labels", "stage.structured_metadata"} {
		for name := range alloyMap(text, block) {
			if extracted[name] == "" {
				t.Errorf("%s takes %s, which is not extracted", block, name)
			}
		}
	}
}

// checkAlloyDataset: a line of the edge keeps its data set, one of the API gets its own, any other is dropped.
func checkAlloyDataset(t *testing.T, text string) {
	t.Helper()
	made, drop := regexp.MustCompile(`\btemplate = "(.+)"`).FindStringSubmatch(text), regexp.MustCompile(`\bexpression\s+= "(.+)"`).FindStringSubmatch(text)
	if made == nil || drop == nil {
		t.Fatal("no template, or nothing is dropped")
	}
	for want, line := range map[string]map[string]string{"weir.access": {"dataset": "weir.access"}, "valor-api": {"color": "blue"}, "none": {}} {
		var got strings.Builder
		if err := template.Must(template.New("").Parse(made[1])).Execute(&got, line); err != nil || got.String() != want || regexp.MustCompile(drop[1]).MatchString(want) != (want == "none") {
			t.Errorf("%v: %s, %v; dropped is %s", line, got.String(), err, drop[1])
		}
	}
	if !strings.Contains(text, `format = "RFC3339Nano"`) || !strings.Contains(text, `selector = "{job=\"containers\"}"`) {
		t.Error("another format of time, or of containers")
	}
}

// alloyMap are the pairs of the first map behind a word.
func alloyMap(text, word string) map[string]string {
	_, text, _ = strings.Cut(text, word)
	pairs := map[string]string{}
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "}" {
			break
		}
		if name, value, ok := strings.Cut(line, " = "); ok && !strings.Contains(value, "{") {
			pairs[strings.TrimSpace(name)] = strings.TrimSuffix(strings.TrimSpace(value), ",")
		}
	}
	return pairs
}

// checkLines: every line is one object whose fields the template has and can take.
func checkLines(t *testing.T, lines string, names map[string]string) (seen map[string]bool) {
	t.Helper()
	types := mapping(t)
	seen = map[string]bool{}
	for line := range strings.Lines(lines) {
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		fields := map[string]any{}
		if err := decoder.Decode(&fields); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("not an object on a line of its own: %v in %q", err, line)
			continue
		}
		for key, value := range fields {
			if names != nil && key == "time" {
				key = "@timestamp"
			} else if to := names[key]; to != "" {
				key = to
			}
			seen[key] = true
			if kind := types[key]; !takes(kind, value) {
				t.Errorf("%s = %v does not go into a field of type %q", key, fmt.Sprint(value), kind)
			}
		}
	}
	return seen
}
