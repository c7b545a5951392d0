package configs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/BurntSushi/toml"

	"github.com/valor-ivx/weir/configs"
)

const notSupportedYet = "# ---- Not supported yet ----"

// switchOn takes the "#" from settings that are switched off; prose has a space behind it, and what excludes other settings a "~".
func switchOn(data []byte) []byte {
	return regexp.MustCompile(`(?m)^(\s*)#([^~\s])`).ReplaceAll(data, []byte("$1$2"))
}

// switchAllOn is switchOn with what excludes other settings.
func switchAllOn(data []byte) []byte {
	data = regexp.MustCompile(`(?m)^#~`).ReplaceAll(data, []byte("#"))
	return regexp.MustCompile(`(?m)^(\s*)#(\S)`).ReplaceAll(data, []byte("$1$2"))
}

// TestShippedFilesLoad: as they are, so that a newcomer can start from either.
func TestShippedFilesLoad(t *testing.T) {
	for _, name := range []string{"minimal.toml", "weir.toml"} {
		if _, err := configs.Load(name, func(string) (string, bool) { return "", false }); err != nil {
			t.Error(err)
		}
	}
}

// TestReferenceLoadsSwitchedOn: everything built works with every setting switched on.
func TestReferenceLoadsSwitchedOn(t *testing.T) {
	built, _, _ := strings.Cut(reference(t), notSupportedYet)
	pems := newPEMs(t)
	_, err := configs.Parse("weir.toml", switchOn([]byte(built)), configs.Options{
		Stat: func(path string) (fs.FileInfo, error) {
			return fs.Stat(fstest.MapFS{"web/index.html": &fstest.MapFile{}}, path)
		},
		ReadFile: func(path string) ([]byte, error) {
			if path == "cluster.secret" {
				return []byte("tSdXkhEzHA0jDPs1X0fJlPPFsqmyT9IlkEcl6sNoIuY=\n"), nil
			}
			return pems[path], nil
		},
	})
	if err != nil {
		t.Error(err)
	}
}

// TestReferenceStatesEveryKey: each key of the types is in weir.toml, with its default if it has one.
func TestReferenceStatesEveryKey(t *testing.T) {
	built, _, _ := strings.Cut(reference(t), notSupportedYet)
	var tree map[string]any
	if err := toml.Unmarshal(switchAllOn([]byte(built)), &tree); err != nil {
		t.Fatal(err)
	}
	stated := map[string][]string{}
	collect(stated, "", tree)
	keys := keysOf("", reflect.TypeFor[configs.Config]())
	for _, k := range keys {
		values, there := stated[k.path]
		if !there {
			t.Errorf("%s is not in weir.toml", k.path)
		} else if k.fallback != "" && !slices.Contains(values, k.fallback) {
			t.Errorf("%s: default %q is not in weir.toml, only %q", k.path, k.fallback, values)
		}
	}
	if len(keys) < 40 {
		t.Errorf("only %d keys found in the types", len(keys))
	}
}

// TestReferenceNamesWhatIsNotBuilt: each line of the gate is in the marked section, and refused.
func TestReferenceNamesWhatIsNotBuilt(t *testing.T) {
	_, section, found := strings.Cut(reference(t), notSupportedYet)
	if !found {
		t.Fatal("no marked section")
	}
	_, err := configs.Parse("weir.toml", switchOn([]byte(section)), configs.Options{})
	var list configs.Errors
	if !errors.As(err, &list) {
		t.Fatal("loaded, must not")
	}
	refused := map[string]bool{}
	for _, e := range list {
		name, ok := strings.CutSuffix(e.Message, ": not supported yet")
		if ok {
			name, _, _ = strings.Cut(name, " = ")
			refused[name] = true
		}
	}
	for _, name := range configs.NotBuiltNames() {
		name, _, _ = strings.Cut(name, " = ")
		if !refused[name] {
			t.Errorf("%s: not in the section of weir.toml, or not refused:\n%v", name, err)
		}
	}
}

func reference(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("weir.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// key is one key of the language as the types have it; names of tables are "*".
type key struct {
	path, fallback string
}

func keysOf(path string, typ reflect.Type) []key {
	var keys []key
	for i := range typ.NumField() {
		field := typ.Field(i)
		name := field.Tag.Get("toml")
		if name == "-" {
			continue
		}
		inner := strings.TrimPrefix(path+"."+name, ".")
		element := field.Type
		if element.Kind() == reflect.Slice || element.Kind() == reflect.Pointer {
			element = element.Elem()
		}
		if element.Kind() != reflect.Struct || !hasKeys(element) {
			keys = append(keys, key{inner, field.Tag.Get("default")})
			continue
		}
		if isNamed(element) {
			inner += ".*"
		}
		keys = append(keys, keysOf(inner, element)...)
	}
	return keys
}

func hasKeys(t reflect.Type) bool {
	return t.NumField() > 0 && t.Field(t.NumField()-1).Tag.Get("toml") != "" || t.Field(0).Tag.Get("toml") != ""
}

func isNamed(t reflect.Type) bool {
	return t == reflect.TypeFor[configs.Service]() || t == reflect.TypeFor[configs.Group]() || t == reflect.TypeFor[configs.Limit]() || t == reflect.TypeFor[configs.Headers]() ||
		t == reflect.TypeFor[configs.AccessList]() || t == reflect.TypeFor[configs.Auth]() || t == reflect.TypeFor[configs.WAF]()
}

// collect gathers the values of every path of a decoded file, with names of services and groups as "*".
func collect(stated map[string][]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if path == "headers.*.set" || path == "auth.*.require" || path == "auth.*.claim_headers" || path == "tracing.headers" || path == "tracing.resource_attributes" { // its keys are names of fields
			stated[path] = append(stated[path], "")
		}
		for k, inner := range v {
			if path == "service" || path == "service.*.group" || path == "limit" || path == "headers" || path == "access" || path == "auth" || path == "waf" {
				k = "*"
			}
			collect(stated, strings.TrimPrefix(path+"."+k, "."), inner)
		}
	case []map[string]any:
		for _, element := range v {
			collect(stated, path, element)
		}
	case []any:
		var texts []string
		for _, element := range v {
			if table, ok := element.(map[string]any); ok {
				collect(stated, path, table)
				continue
			}
			texts = append(texts, fmt.Sprint(element))
		}
		stated[path] = append(stated[path], strings.Join(texts, ","))
	default:
		stated[path] = append(stated[path], fmt.Sprint(v))
	}
}
