package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// binder moves a decoded file onto the types. BurntSushi/toml could do that itself, but it stops at
// the first mismatch, gives it no position and matches keys in any letter case.
type binder struct {
	*report
	schema
}

// table binds a table onto a struct that already holds its defaults.
func (b binder) table(v reflect.Value, table map[string]any, path string) {
	fields := b.fields(v.Type())
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	var strange []string
	for _, k := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, k) {
			strange = append(strange, k)
			b.unknown(joinKey(path, k), k, known)
		}
	}
	for _, f := range fields {
		raw, ok := table[f.key]
		inner := joinKey(path, f.key)
		switch {
		case ok:
			b.value(v.Field(f.index), raw, inner, f)
		case slices.ContainsFunc(strange, func(k string) bool { return nearest(k, []string{f.key}) != "" }):
			// The key is there, misspelt, and that has been said.
			b.fail(inner)
		case f.required:
			b.report.key(path, "%s is missing", f.key)
			b.fail(inner)
		}
	}
}

func (b binder) unknown(path, key string, known []string) {
	near := nearest(key, known)
	if strings.EqualFold(near, key) && near != "" {
		b.key(path, "unknown key %q: keys are case-sensitive, write %q", key, near)
		return
	}
	if here := elsewhere(parentPath(path), key); here != "" {
		b.key(path, "unknown key %q%s", key, here)
		return
	}
	b.key(path, "unknown key %q%s", key, didYouMean(key, known))
}

// value binds one value of any kind onto a field.
func (b binder) value(v reflect.Value, raw any, path string, f field) {
	switch {
	case v.Type() == reflect.TypeFor[*Compress]():
		v.Set(reflect.New(v.Type().Elem()))
		b.compress(v.Interface().(*Compress), raw, path)
	case v.Kind() == reflect.Pointer:
		if table, ok := b.asTable(raw, path); ok {
			inner := reflect.New(v.Type().Elem())
			b.setDefaults(inner.Elem())
			b.table(inner.Elem(), table, path)
			v.Set(inner)
		}
	case v.Type() == reflect.TypeFor[Target]():
		b.target(v.Addr().Interface().(*Target), raw, path)
	case v.Kind() == reflect.Struct && !isText(v):
		if table, ok := b.asTable(raw, path); ok {
			b.table(v, table, path)
		}
	case v.Type() == reflect.TypeFor[FieldSet]():
		b.fieldSet(v, raw, path)
	case v.Type() == reflect.TypeFor[SecretSet]():
		b.secretSet(v, raw, path)
	case v.Kind() == reflect.Slice:
		b.list(v, raw, path, f)
	default:
		b.scalar(v, raw, path, f)
	}
}

// list binds an array, or a table of named tables onto a slice sorted by name.
func (b binder) list(v reflect.Value, raw any, path string, f field) {
	element := v.Type().Elem()
	if named(element) {
		b.named(v, raw, path)
		return
	}
	if _, isString := raw.(string); isString && f.single {
		list := reflect.MakeSlice(v.Type(), 1, 1)
		b.value(list.Index(0), raw, path, f)
		v.Set(list)
		return
	}
	elements, ok := asArray(raw)
	if !ok {
		want := "an array"
		if element.Kind() == reflect.String || isText(reflect.New(element).Elem()) {
			want = `an array of strings, as ["…"]`
		} else if element == reflect.TypeFor[Weight]() {
			want = "an array of numbers, as [5, 50, 100]"
		} else if element != reflect.TypeFor[Target]() {
			want = "an array of tables, as [[" + path + "]]"
		}
		b.report.value(path, "%s must be %s, not %s", lastKey(path), want, kindOf(raw))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(elements), len(elements))
	for i, e := range elements {
		if at := list.Index(i); at.Kind() == reflect.Struct && !isText(at) {
			b.setDefaults(at)
		}
		b.value(list.Index(i), e, joinIndex(path, i), f)
	}
	v.Set(list)
}

func (b binder) named(v reflect.Value, raw any, path string) {
	table, ok := b.tableOf(raw, path, "["+path+".NAME]")
	if !ok {
		return
	}
	names := slices.Sorted(maps.Keys(table))
	list := reflect.MakeSlice(v.Type(), len(names), len(names))
	for i, name := range names {
		b.setDefaults(list.Index(i))
		list.Index(i).FieldByName("Name").SetString(name)
		b.value(list.Index(i), table[name], joinKey(path, name), field{})
	}
	v.Set(list)
}

func (b binder) scalar(v reflect.Value, raw any, path string, f field) {
	// Expansion or the gate has already said what is wrong with it.
	if b.bad(path) {
		return
	}
	text, isString := raw.(string)
	p, isText := v.Addr().Interface().(textParser)
	switch {
	case isText && isBool(v, raw):
	case isText && isString:
		if err := p.parseText(text); err != nil {
			b.report.value(path, "%s %s %v", lastKey(path), b.quote(path, text), err)
		}
	case v.Type() == reflect.TypeFor[Size]():
		b.mismatch(path, `a size in quotes, as "64KiB" or "off"`, raw)
	case v.Type() == reflect.TypeFor[ReportPath]():
		b.mismatch(path, "true, false or a path", raw)
	case isText:
		b.mismatch(path, "a string", raw)
	case isDuration(v.Type()):
		b.duration(v, raw, path, f)
	case v.Kind() == reflect.String && isString:
		b.text(v, text, path, f)
	case v.Kind() == reflect.String:
		b.mismatch(path, "a string", raw)
	case v.Kind() == reflect.Bool:
		if on, ok := raw.(bool); ok {
			v.SetBool(on)
		} else {
			b.mismatch(path, "true or false", raw)
		}
	default:
		b.number(v, raw, path, f)
	}
}

// isBool binds true and false onto a type that takes them beside its text.
func isBool(v reflect.Value, raw any) bool {
	on, ok := raw.(bool)
	p, takes := v.Addr().Interface().(boolParser)
	if ok && takes {
		p.parseBool(on)
	}
	return ok && takes
}

func (b binder) text(v reflect.Value, text, path string, f field) {
	if f.enum != nil && !slices.Contains(f.enum, text) {
		hint := ""
		if strings.ContainsFunc(text, unicode.IsLetter) { // one digit off is no slip but another version
			hint = didYouMean(text, f.enum)
		}
		b.report.value(path, "%s %s is not allowed: must be %s%s",
			lastKey(path), b.quote(path, text), strings.Join(f.enum, " or "), hint)
		return
	}
	// No value of the language has a use for NUL, and files, sockets and headers cut off at it.
	if strings.ContainsRune(text, 0) {
		b.report.value(path, "%s contains a NUL character", lastKey(path))
		return
	}
	v.SetString(text)
}

func (b binder) duration(v reflect.Value, raw any, path string, f field) {
	text, ok := raw.(string)
	if !ok {
		b.mismatch(path, `a duration in quotes, as "500ms", "10s", "2m" or "1h30m"`, raw)
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		b.report.value(path, `%s %s is not a duration: write "500ms", "10s", "2m" or "1h30m"`, lastKey(path), b.quote(path, text))
		return
	}
	v.SetInt(int64(d))
	if wrong := f.outOfRange(v); wrong != "" {
		b.report.value(path, "%s %s %s", lastKey(path), b.quote(path, text), wrong)
	}
}

func (b binder) number(v reflect.Value, raw any, path string, f field) {
	var n float64
	switch raw := raw.(type) {
	case int64:
		n = float64(raw)
	case float64:
		n = raw
	default:
		b.mismatch(path, numberName(v), raw)
		return
	}
	if p, ok := v.Addr().Interface().(numberParser); ok {
		if err := p.parseNumber(n); err != nil {
			b.report.value(path, "%s %v %v", lastKey(path), raw, err)
		}
		return
	}
	whole, isInt := raw.(int64)
	switch {
	case v.Kind() == reflect.Float64:
		v.SetFloat(n)
	case isInt:
		v.SetInt(whole)
	default:
		b.mismatch(path, numberName(v), raw)
		return
	}
	if wrong := f.outOfRange(v); wrong != "" {
		b.report.value(path, "%s %v %s", lastKey(path), raw, wrong)
	}
}

func (b binder) asTable(raw any, path string) (map[string]any, bool) {
	return b.tableOf(raw, path, "["+path+"]")
}

func (b binder) tableOf(raw any, path, header string) (map[string]any, bool) {
	table, ok := raw.(map[string]any)
	if !ok {
		b.mismatch(path, "a table, as "+header, raw)
	}
	return table, ok
}

func (b binder) mismatch(path, want string, raw any) {
	b.report.value(path, "%s must be %s, not %s", lastKey(path), want, kindOf(raw))
}

func asArray(raw any) ([]any, bool) {
	switch raw := raw.(type) {
	case []any:
		return raw, true
	case []map[string]any:
		list := make([]any, len(raw))
		for i := range raw {
			list[i] = raw[i]
		}
		return list, true
	}
	return nil, false
}

func numberName(v reflect.Value) string {
	if v.Kind() == reflect.Int && v.Type() != reflect.TypeFor[Weight]() {
		return "a whole number"
	}
	return "a number"
}

// kindOf names a decoded value's type as TOML does.
func kindOf(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case bool:
		return "a boolean"
	case []any:
		return "an array"
	case []map[string]any:
		return "an array of tables"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}
