package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// TOML prints the effective configuration: every key with its value, defaults included, references
// expanded, secrets redacted. Read back, it gives the same configuration, secrets aside: those that
// are checked (cluster.redis, cluster.secret) must be put back first.
func (c *Config) TOML() []byte { return c.print(false) }

func (c *Config) print(reveal bool) []byte {
	p := printer{schema: schema{}, reveal: reveal}
	p.table(reflect.ValueOf(c).Elem(), "")
	return []byte(strings.TrimPrefix(p.out.String(), "\n"))
}

type printer struct {
	schema
	out    strings.Builder
	reveal bool // secrets as they are: for digests, never for people
}

// table prints the plain values of a struct first: in TOML they would else belong to the last table.
func (p *printer) table(v reflect.Value, path string) {
	fields := p.fields(v.Type())
	if a, ok := v.Interface().(Auth); ok { // read back, a key of another type would be refused
		fields = slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return foreign(a.Type, f.key) })
	}
	for _, f := range fields {
		if at := v.Field(f.index); !isTable(at.Type()) && !isUnset(at) && !(f.min != "" && at.IsZero() && f.outOfRange(at) != "") {
			fmt.Fprintf(&p.out, "%s = %s\n", f.key, p.value(at))
		}
	}
	for _, f := range fields {
		at, inner := v.Field(f.index), joinKey(path, f.key)
		switch {
		case !isTable(at.Type()) || isUnset(at):
		case at.Kind() == reflect.Slice:
			p.tables(at, inner)
		default:
			fmt.Fprintf(&p.out, "\n[%s]\n", inner)
			p.table(reflect.Indirect(at), inner)
		}
	}
}

func (p *printer) tables(list reflect.Value, path string) {
	for i := range list.Len() {
		element := list.Index(i)
		if named(element.Type()) {
			inner := joinKey(path, element.FieldByName("Name").String())
			fmt.Fprintf(&p.out, "\n[%s]\n", inner)
			p.table(element, inner)
			continue
		}
		fmt.Fprintf(&p.out, "\n[[%s]]\n", path)
		p.table(element, path)
	}
}

// named reports whether a list's elements are tables with names of their own, [service.NAME].
func named(t reflect.Type) bool {
	return t == reflect.TypeFor[Service]() || t == reflect.TypeFor[Group]() || t == reflect.TypeFor[Limit]() || t == reflect.TypeFor[Headers]() ||
		t == reflect.TypeFor[AccessList]() || t == reflect.TypeFor[Auth]() || t == reflect.TypeFor[WAF]()
}

// isTable reports whether a type prints as [tables] of its own rather than as key = value.
func isTable(t reflect.Type) bool {
	if t == reflect.TypeFor[FieldSet]() || t == reflect.TypeFor[SecretSet]() {
		return false
	}
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, isText := reflect.New(t).Interface().(textParser)
	return t.Kind() == reflect.Struct && !isText && t != reflect.TypeFor[Target]()
}

// isUnset: what a file can only leave out, because its zero value cannot be written.
func isUnset(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil()
	case reflect.Slice:
		return v.Len() == 0
	case reflect.String:
		return v.Len() == 0
	}
	return v.Type() == reflect.TypeFor[Rate]() && v.IsZero()
}

// value prints one value as TOML.
func (p *printer) value(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case Secret:
		if p.reveal {
			return quoteTOML(value.Reveal())
		}
		return quoteTOML(value.String())
	case time.Duration:
		return quoteTOML(shortDuration(value))
	case Weight:
		return value.String()
	case Target:
		return printTarget(value)
	case SecretSet:
		return value.print(p.reveal)
	case FieldSet:
		return value.String()
	case fmt.Stringer:
		return quoteTOML(value.String())
	case float64:
		return printFloat(value)
	}
	switch v.Kind() {
	case reflect.String:
		return quoteTOML(v.String())
	case reflect.Slice:
		elements := make([]string, v.Len())
		for i := range elements {
			elements[i] = p.value(v.Index(i))
		}
		return "[" + strings.Join(elements, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}

func printTarget(t Target) string {
	switch {
	case t.SRV != "":
		return "{ srv = " + quoteTOML(t.SRV) + " }"
	case t.DNS != "":
		return fmt.Sprintf("{ dns = %s, weight = %d }", quoteTOML(t.DNS), t.Weight)
	case t.Kubernetes != "":
		return fmt.Sprintf("{ kubernetes = %s, weight = %d }", quoteTOML(t.Kubernetes), t.Weight)
	}
	return fmt.Sprintf("{ address = %s, weight = %d }", quoteTOML(t.Address), t.Weight)
}

func printFloat(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// shortDuration prints 60s as "1m" and 1h30m as "1h30m", without the zeros of time.Duration.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// quoteTOML prints a basic string (TOML 1.0 "String") in which no "$" is a reference any more.
func quoteTOML(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.ReplaceAll(s, "$", "$$") {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f || r == utf8.RuneError:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
