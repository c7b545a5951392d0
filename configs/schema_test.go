package configs_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/valor-ivx/weir/configs"
)

// object is a JSON object; encoding/json writes its keys in order.
type object = map[string]any

// schemaMaker turns the types into a schema: what they are by reflection, what they mean by their comments.
type schemaMaker struct {
	comments map[string]structSpec
	defs     object
}

// TestSchemaSaysWhatTheTypesSay: the embedded schema is the one that the types give.
func TestSchemaSaysWhatTheTypesSay(t *testing.T) {
	m := schemaMaker{comments: structsOf(t), defs: object{}}
	root := m.table(reflect.TypeFor[configs.Config]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "weir.toml"
	root["$defs"] = m.defs
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(root); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(configs.JSONSchema(), out.Bytes()) {
		t.Error("configs/schema.json is stale (run go test ./configs -update)")
	}
}

// table is the schema of a struct.
func (m schemaMaker) table(t reflect.Type) object {
	properties, required := object{}, []string{}
	spec := m.comments[t.Name()]
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		p := m.value(f.Type, f.Tag)
		if text := oneLine(commentOf(spec, f.Name)); text != "" {
			p["description"] = text
		}
		if f.Tag.Get("required") == "true" {
			required = append(required, key)
		}
		properties[key] = p
	}
	o := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func commentOf(spec structSpec, field string) string {
	if spec.fields == nil {
		return ""
	}
	for _, f := range spec.fields.List {
		if len(f.Names) == 1 && f.Names[0].Name == field {
			return f.Doc.Text() + f.Comment.Text()
		}
	}
	return ""
}

// value is the schema of one key.
func (m schemaMaker) value(t reflect.Type, tag reflect.StructTag) object {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	text, yesOrNo, tables := configs.Notations(t)
	switch {
	case t == reflect.TypeFor[configs.Target]():
		return either(object{"type": "string"}, m.reference(t))
	case t == reflect.TypeFor[configs.Compress]():
		algorithms, _ := t.FieldByName("Algorithms")
		return either(m.list(algorithms.Type, algorithms.Tag), m.reference(t))
	case yesOrNo:
		return either(object{"type": "boolean"}, object{"type": "string"})
	case t == reflect.TypeFor[configs.Weight]():
		return object{"type": "number", "minimum": 0, "maximum": 100}
	case t == reflect.TypeFor[configs.FieldSet](), t == reflect.TypeFor[configs.SecretSet]():
		return object{"type": "object", "additionalProperties": object{"type": "string"}}
	case t == reflect.TypeFor[time.Duration]():
		return withDefault(referring(object{"type": "string", "pattern": `^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([a-zµμ]+)([0-9.]+[a-zµμ]+)*$|^[+-]?0$`}), tag)
	case tables:
		return object{"type": "object", "additionalProperties": m.reference(t)}
	case text || t.Kind() == reflect.String:
		return withDefault(word(tag), tag)
	case t.Kind() == reflect.Struct:
		return m.reference(t)
	case t.Kind() == reflect.Slice:
		return m.list(t, tag)
	case t.Kind() == reflect.Bool:
		return withDefault(object{"type": "boolean"}, tag)
	case t.Kind() == reflect.Float64:
		return withDefault(bounds(object{"type": "number"}, tag), tag)
	}
	return withDefault(bounds(object{"type": "integer"}, tag), tag)
}

func (m schemaMaker) reference(t reflect.Type) object {
	if _, known := m.defs[t.Name()]; !known {
		m.defs[t.Name()] = nil // a type within itself ends here
		m.defs[t.Name()] = m.table(t)
	}
	return object{"$ref": "#/$defs/" + t.Name()}
}

func (m schemaMaker) list(t reflect.Type, tag reflect.StructTag) object {
	element := t.Elem()
	if _, _, tables := configs.Notations(element); tables {
		return m.value(element, "")
	}
	items := m.value(element, reflect.StructTag(`enum:"`+tag.Get("enum")+`"`))
	list := object{"type": "array", "items": items}
	if tag.Get("single") == "true" {
		return either(items, list)
	}
	return list
}

// word is a string, one of a few where the tag says so, or a reference whose value is not known here.
func word(tag reflect.StructTag) object {
	enum := tag.Get("enum")
	if enum == "" {
		return object{"type": "string"}
	}
	return referring(object{"enum": strings.Split(enum, "|")})
}

func referring(o object) object { return either(o, object{"type": "string", "pattern": `\$\{`}) }

func either(a, b object) object { return object{"anyOf": []object{a, b}} }

func bounds(o object, tag reflect.StructTag) object {
	for _, b := range []struct{ name, text string }{{"minimum", tag.Get("min")}, {"maximum", tag.Get("max")}} {
		if n, err := strconv.ParseFloat(b.text, 64); err == nil {
			o[b.name] = n
		}
	}
	return o
}

func withDefault(o object, tag reflect.StructTag) object {
	text := tag.Get("default")
	switch n, err := strconv.ParseFloat(text, 64); {
	case text == "":
	case o["type"] == "boolean":
		o["default"] = text == "true"
	case (o["type"] == "integer" || o["type"] == "number") && err == nil:
		o["default"] = n
	default:
		o["default"] = text
	}
	return o
}

// TestSchemaAcceptsWhatLoads: every good golden file and the shipped ones; and it refuses what an editor is to underline.
func TestSchemaAcceptsWhatLoads(t *testing.T) {
	if *update {
		return // what is embedded is from before
	}
	s := compiled(t)
	inputs := map[string][]byte{}
	files, err := filepath.Glob("testdata/good/*.txtar")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		inputs[file] = section(archive, "weir.toml").Data
		inputs[file+" (effective)"] = section(archive, "effective.toml").Data
	}
	for _, name := range []string{"minimal.toml", "weir.toml"} {
		if inputs[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range inputs {
		if err := s.Validate(decoded(t, string(data))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{
		"[[listener]]\nadress = \":80\"", "[[listener]]\ntls = true", "listener = 3", "[log]\nlevel = \"loud\"", "[[listener]]\naddress = \":80\"\nidle_timeout = 5",
		"[[listener]]\naddress = \":80\"\nidle_timeout = \"soon\"", "[[listener]]\naddress = \":80\"\nprotocols = [\"spdy\"]", "[service.a.group.b]\nweight = 101\ntargets = [\"127.0.0.1:1\"]",
		"[service.a]\nbalance = 1", "[service.a.retry]\nattempts = 1.5", "[service.a.group.b]\ntargets = [{ adress = \"x\" }]", "[admin]\ntoken = false",
	} {
		if s.Validate(decoded(t, bad)) == nil {
			t.Errorf("accepted: %s", bad)
		}
		if _, err := configs.Parse("weir.toml", []byte(bad), configs.Options{}); err == nil {
			t.Errorf("loaded: %s", bad)
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(configs.JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("urn:weir", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:weir")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decoded is a TOML file as an editor's validator sees it.
func decoded(t *testing.T, text string) any {
	t.Helper()
	var v object
	if _, err := toml.Decode(text, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}
