package configs

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Diff says what changes from one configuration to another, one line per change, in the order of the
// types: "service.api.group.blue.weight: 100 → 75", "route[login]: added". Tables are matched by name,
// certificates by their file. No line means that the digests are equal too. Secrets are never shown.
func Diff(old, new *Config) []string {
	d := &differ{schema: schema{}}
	d.table("", reflect.ValueOf(old).Elem(), reflect.ValueOf(new).Elem())
	return d.lines
}

type differ struct {
	schema
	lines []string
}

func (d *differ) add(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *differ) table(path string, old, new reflect.Value) {
	if cert, ok := old.Interface().(Certificate); ok {
		d.contents(path, cert, new.Interface().(Certificate))
	}
	if acme, ok := old.Interface().(ACME); ok && !bytes.Equal(acme.RootPEM, new.Interface().(ACME).RootPEM) {
		d.add("%s.root_ca: contents changed", path)
	}
	if k, ok := old.Interface().(Cluster); ok && !bytes.Equal(k.CAPEM, new.Interface().(Cluster).CAPEM) {
		d.add("%s.ca: contents changed", path)
	}
	if t, ok := old.Interface().(Tracing); ok && !bytes.Equal(t.CAPEM, new.Interface().(Tracing).CAPEM) {
		d.add("%s.ca: contents changed", path)
	}
	if a, ok := old.Interface().(Auth); ok && !bytes.Equal(a.CAPEM, new.Interface().(Auth).CAPEM) {
		d.add("%s.ca: contents changed", path)
	}
	if ca, ok := old.Interface().(ACMECA); ok && !bytes.Equal(ca.RootPEM, new.Interface().(ACMECA).RootPEM) {
		d.add("%s.root_ca: contents changed", path)
	}
	if a, ok := old.Interface().(ClientAuth); ok {
		d.clientAuth(path, a, new.Interface().(ClientAuth))
	}
	if t, ok := old.Interface().(UpstreamTLS); ok {
		d.upstreamTLS(path, t, new.Interface().(UpstreamTLS))
	}
	for _, f := range d.fields(old.Type()) {
		d.field(joinKey(path, f.key), old.Field(f.index), new.Field(f.index))
	}
}

func (d *differ) contents(path string, old, new Certificate) {
	if !bytes.Equal(old.CertPEM, new.CertPEM) {
		d.add("%s.cert: contents changed", path)
	}
	if old.KeyPEM != new.KeyPEM {
		d.add("%s.key: contents changed", path)
	}
}

func (d *differ) upstreamTLS(path string, old, new UpstreamTLS) {
	d.contents(path, Certificate{CertPEM: old.CertPEM, KeyPEM: old.KeyPEM}, Certificate{CertPEM: new.CertPEM, KeyPEM: new.KeyPEM})
	if !bytes.Equal(old.CAPEM, new.CAPEM) {
		d.add("%s.ca: contents changed", path)
	}
}

func (d *differ) clientAuth(path string, old, new ClientAuth) {
	if !bytes.Equal(old.CAPEM, new.CAPEM) {
		d.add("%s.ca: contents changed", path)
	}
	if !bytes.Equal(old.CRLPEM, new.CRLPEM) {
		d.add("%s.crl: contents changed", path)
	}
}

func (d *differ) field(path string, old, new reflect.Value) {
	switch {
	case old.Kind() == reflect.Pointer:
		d.optional(path, old, new)
	case isTable(old.Type()) && old.Kind() == reflect.Slice:
		d.list(path, old, new)
	case isTable(old.Type()):
		d.table(path, old, new)
	case old.Type() == reflect.TypeFor[[]Target]():
		d.list(path, old, new)
	default:
		d.scalar(path, old, new)
	}
}

func (d *differ) optional(path string, old, new reflect.Value) {
	switch {
	case old.IsNil() && new.IsNil():
	case old.IsNil():
		d.add("%s: added", path)
	case new.IsNil():
		d.add("%s: removed", path)
	default:
		d.table(path, old.Elem(), new.Elem())
	}
}

func (d *differ) scalar(path string, old, new reflect.Value) {
	before, after := d.show(old, true), d.show(new, true)
	switch {
	case before == after:
	case old.Type() == reflect.TypeFor[Secret]() || old.Type() == reflect.TypeFor[SecretSet]():
		d.add("%s: changed", path)
	default:
		d.add("%s: %s → %s", path, d.show(old, false), d.show(new, false))
	}
}

// show prints a value for comparison (exact) or for people (bare words unquoted, absence as "none").
func (d *differ) show(v reflect.Value, exact bool) string {
	p := printer{schema: d.schema, reveal: exact}
	text := p.value(v)
	if exact {
		return text
	}
	if isUnset(v) {
		return "none"
	}
	if inner := strings.Trim(text, `"`); v.Kind() != reflect.Slice && !strings.ContainsAny(inner, ` "\`) {
		return strings.ReplaceAll(inner, "$$", "$")
	}
	return text
}

// list matches elements by identity; what both have is compared, and a different order is a change
// of its own, because order decides between regular expressions and picks the default certificate.
func (d *differ) list(path string, old, new reflect.Value) {
	before, after := identities(old), identities(new)
	indexBefore, indexAfter := indexOf(before), indexOf(after)
	for i, id := range before {
		if _, kept := indexAfter[id]; !kept {
			d.add("%s: removed", elementPath(path, old.Index(i), id))
		}
	}
	for i, id := range after {
		at := elementPath(path, new.Index(i), id)
		if j, known := indexBefore[id]; !known {
			d.add("%s: added", at)
		} else if target, ok := old.Index(j).Interface().(Target); ok {
			d.scalar(at+".weight", reflect.ValueOf(target.Weight), new.Index(i).FieldByName("Weight"))
		} else {
			d.table(at, old.Index(j), new.Index(i))
		}
	}
	if !slices.Equal(keep(before, indexAfter), keep(after, indexBefore)) {
		d.add("%s: order changed", path)
	}
}

func indexOf(ids []string) map[string]int {
	index := make(map[string]int, len(ids))
	for i, id := range ids {
		index[id] = i
	}
	return index
}

// keep gives those ids that are in index, in their order.
func keep(ids []string, index map[string]int) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, found := index[id]
		return !found
	})
}

// identities names each element of a list: by Name, by certificate file, or by target.
func identities(list reflect.Value) []string {
	ids := make([]string, list.Len())
	counts := namer{}
	for i := range ids {
		switch e := list.Index(i).Interface().(type) {
		case Certificate:
			// Nothing forbids to name a file twice; the second is then matched with the second.
			ids[i] = counts.unique(e.Cert)
		case ACMECA:
			ids[i] = counts.unique(e.Directory)
		case ClientAuth:
			ids[i] = counts.unique(strings.Join(e.Hosts, " "))
		case Target:
			ids[i] = e.String()
		default:
			ids[i] = list.Index(i).FieldByName("Name").String()
		}
	}
	return ids
}

func elementPath(path string, element reflect.Value, id string) string {
	if named(element.Type()) {
		return joinKey(path, id)
	}
	return path + "[" + id + "]"
}
