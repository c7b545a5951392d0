package configs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/valor-ivx/weir/configs"
)

const (
	referencePage = "../docs/reference.md"
	generatedFrom = "<!-- keys: generated from the types of package configs by `go test ./configs -update` -->\n"
	generatedTo   = "<!-- end -->\n"
)

// sections are the tables of the file in the order a reader meets them.
var sections = []struct{ typ, heading string }{
	{"Admin", "[admin]"}, {"Log", "[log]"}, {"Recorder", "[recorder]"}, {"Tracing", "[tracing]"}, {"ClientIP", "[client_ip]"}, {"Cluster", "[cluster]"}, {"Kubernetes", "[kubernetes]"}, {"TLS", "[tls]"}, {"Certificate", "[[tls.certificate]]"}, {"ClientAuth", "[[tls.client_auth]]"}, {"ACME", "[tls.acme]"},
	{"ACMECA", "[[tls.acme.ca]]"}, {"ACMEDNS", "[tls.acme.dns]"}, {"OnDemand", "[tls.on_demand]"}, {"ECH", "[tls.ech]"},
	{"Listener", "[[listener]]"}, {"Headers", "[headers.NAME]"}, {"Limit", "[limit.NAME]"}, {"AccessList", "[access.NAME]"}, {"Auth", "[auth.NAME]"}, {"AuthAllow", "allow = { … }"}, {"WAF", "[waf.NAME]"}, {"Service", "[service.NAME]"}, {"UpstreamTLS", "[service.NAME.tls]"}, {"Health", "[service.NAME.health]"},
	{"Ejection", "[service.NAME.ejection]"}, {"Retry", "[service.NAME.retry]"}, {"Hedge", "[service.NAME.hedge]"}, {"AdaptiveConcurrency", "[service.NAME.adaptive_concurrency]"}, {"Shadow", "[service.NAME.shadow]"}, {"Breaker", "[service.NAME.breaker]"},
	{"Rollout", "[service.NAME.rollout]"},
	{"Group", "[service.NAME.group.GROUP]"}, {"Match", "[service.NAME.group.GROUP.match]"}, {"Target", "targets = [{ … }]"}, {"Route", "[[route]]"},
	{"RouteFiles", "[route.files]"}, {"Compress", "[route.compress]"},
}

// TestReferencePageSaysWhatTheTypesSay: the tables of docs/reference.md are the doc comments and tags.
func TestReferencePageSaysWhatTheTypesSay(t *testing.T) {
	data, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), generatedFrom)
	old, after, ok2 := strings.Cut(rest, generatedTo)
	if !ok || !ok2 {
		t.Fatal("markers are missing")
	}
	generated := "\n" + keyTables(t) + "\n"
	if *update {
		page := before + generatedFrom + generated + generatedTo + after
		if err := os.WriteFile(referencePage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, generated); diff != "" {
		t.Errorf("docs/reference.md is stale (run go test ./configs -update):\n%s", diff)
	}
}

func keyTables(t *testing.T) string {
	types := structsOf(t)
	var b strings.Builder
	for _, s := range sections {
		spec, ok := types[s.typ]
		if !ok {
			t.Fatalf("no type %s", s.typ)
		}
		delete(types, s.typ)
		fmt.Fprintf(&b, "### `%s`\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", s.heading, summary(spec.doc, s.typ))
		for _, f := range spec.fields.List {
			if row := keyRow(f); row != "" {
				b.WriteString(row)
			}
		}
		b.WriteString("\n")
	}
	delete(types, "Config")
	for name := range types {
		t.Errorf("type %s has keys but no section", name)
	}
	fmt.Fprintf(&b, "### Not supported yet\n\nPart of the language, refused by this version: `%s`.\n",
		strings.Join(configs.NotBuiltNames(), "`, `"))
	return b.String()
}

type structSpec struct {
	doc    string
	fields *ast.FieldList
}

// structsOf finds every struct of the package that has keys.
func structsOf(t *testing.T) map[string]structSpec {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]structSpec{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			decl, ok := d.(*ast.GenDecl)
			if !ok || decl.Tok != token.TYPE || strings.HasSuffix(name, "_test.go") {
				continue
			}
			spec := decl.Specs[0].(*ast.TypeSpec)
			if st, ok := spec.Type.(*ast.StructType); ok && len(st.Fields.List) > 0 && hasTomlTag(st) {
				types[spec.Name.Name] = structSpec{decl.Doc.Text(), st.Fields}
			}
		}
	}
	return types
}

func hasTomlTag(st *ast.StructType) bool {
	for _, f := range st.Fields.List {
		if tagOf(f).Get("toml") != "" {
			return true
		}
	}
	return false
}

func tagOf(f *ast.Field) reflect.StructTag {
	if f.Tag == nil {
		return ""
	}
	return reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
}

// summary is a type's doc comment without the Go name in front: "Listener is one …" → "One …".
func summary(doc, typ string) string {
	text := oneLine(doc)
	for _, verb := range []string{" is ", " "} {
		if rest, ok := strings.CutPrefix(text, typ+verb); ok {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}

func keyRow(f *ast.Field) string {
	tag := tagOf(f)
	name := tag.Get("toml")
	kind := typeName(f.Type)
	if name == "-" || kind == "" {
		return ""
	}
	fallback := ""
	switch {
	case tag.Get("required") != "":
		fallback = "required"
	case kind == "list of numbers":
		fallback = "`[" + strings.ReplaceAll(tag.Get("default"), ",", ", ") + "]`"
	case kind == "list of strings" && tag.Get("default") != "":
		fallback = "`[\"" + strings.ReplaceAll(tag.Get("default"), ",", "\", \"") + "\"]`"
	case tag.Get("default") == "" || strings.Contains("true false", tag.Get("default")) || kind == "whole number" || kind == "number":
		if fallback = tag.Get("default"); fallback != "" {
			fallback = "`" + fallback + "`"
		}
	default:
		fallback = "`\"" + tag.Get("default") + "\"`"
	}
	meaning := oneLine(f.Doc.Text())
	if low, high := tag.Get("min"), tag.Get("max"); low != "" {
		meaning += " From " + low + " to " + high + "."
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, kind, fallback, strings.ReplaceAll(meaning, "|", "\\|"))
}

// typeName words a field's Go type for people; "" for tables, which have sections of their own.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ArrayType:
		if inner := typeName(e.Elt); inner != "" {
			return "list of " + inner + "s"
		}
		return ""
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return strings.ToLower(e.Sel.Name)
	case *ast.Ident:
		return map[string]string{
			"string": "string", "bool": "true or false", "int": "whole number", "float64": "number",
			"Size": "size", "Weight": "number", "Secret": "string (secret)", "Target": "target", "Compress": "list of strings, or table",
			"AdminAddress": "string", "Access": "string", "Balance": "string", "Pattern": "string",
			"CIDR": "string", "Proxies": "string", "Network": "string", "Rate": "string", "FieldSet": "table of strings", "SecretSet": "table of strings (secret)", "LimitKey": "string", "WhenEmpty": "string", "AuthType": "string", "ProxyProtocol": "string", "ReportPath": "true, false or string", "WhenNoneHealthy": "string",
		}[e.Name]
	}
	return ""
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
