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
	"time"

	"go.yaml.in/yaml/v3"
)

// mapping are the types of Elasticsearch's fields by their whole names.
func mapping(t *testing.T) map[string]string {
	t.Helper()
	var template struct {
		Patterns []string  `json:"index_patterns"`
		Stream   *struct{} `json:"data_stream"`
		Template struct {
			Mappings struct {
				Dynamic    bool
				Properties map[string]property
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(monitoring, "filebeat", "weir-logs.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &template); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(template.Patterns, []string{"weir-logs*"}) || template.Stream == nil || template.Template.Mappings.Dynamic {
		t.Errorf("the template is for %q, a data stream: %v, dynamic: %v", template.Patterns, template.Stream != nil, template.Template.Mappings.Dynamic)
	}
	types := map[string]string{}
	flatten("", template.Template.Mappings.Properties, types)
	return types
}

type property struct {
	Type       string
	Properties map[string]property
}

func flatten(prefix string, from map[string]property, into map[string]string) {
	for name, p := range from {
		if p.Properties != nil {
			flatten(prefix+name+".", p.Properties, into)
			continue
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
		if in.Type != "filestream" || in.ID == "" || len(in.Paths) == 0 || last == nil {
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
	template, _ := f.Setup["template"].(map[string]any)
	loaded, _ := template["json"].(map[string]any)
	if f.Output["index"] != "weir-logs" || template["pattern"] != "weir-logs*" || loaded["enabled"] != true || loaded["data_stream"] != true || f.Setup["ilm.enabled"] != false {
		t.Errorf("lines go to %v, the template is %v", f.Output["index"], template)
	}
}

// TestLogKeysAreMapped: every key under which the code of the edge logs has a field in the template; of the API's those that filebeat.yml renames, and none is in the way of one.
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
	searches := 0
	for line := range strings.Lines(string(b)) {
		var o struct {
			Type, ID   string
			Attributes struct {
				Title, TimeFieldName  string
				Columns               []string
				KibanaSavedObjectMeta struct{ SearchSourceJSON string }
			}
			References []reference
		}
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		if o.Type == "index-pattern" {
			views[o.ID] = o.Attributes.Title == "weir-logs*" && types[o.Attributes.TimeFieldName] == "date"
			continue
		}
		searches++
		var source struct {
			Query        struct{ Query, Language string }
			IndexRefName string
		}
		if err := json.Unmarshal([]byte(o.Attributes.KibanaSavedObjectMeta.SearchSourceJSON), &source); err != nil {
			t.Errorf("%s: %v", o.ID, err)
		}
		if len(o.References) != 1 || !views[o.References[0].ID] || o.References[0].Name != source.IndexRefName {
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
	if searches == 0 {
		t.Error("no searches")
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
