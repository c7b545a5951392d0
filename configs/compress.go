package configs

import (
	"reflect"
	"slices"
	"strings"
)

// Compress has answers compressed on their way to clients that take it so, as a list of codings, compress = ["zstd", "br", "gzip"], or as a table. docs/compression.md has the rest: what
// is never compressed, what becomes of ETag and Vary, and when not to (BREACH).
type Compress struct {
	// Codings, the preferred first: zstd, br or gzip. A client that says which it likes better gets that one.
	Algorithms []string `toml:"algorithms" required:"true" single:"true" enum:"zstd|br|gzip"`
	// Shorter answers are sent as they are; "off": none is too short. Where the length is not known ahead, answers are compressed.
	MinLength Size `toml:"min_length" default:"1KiB"`
	// Media types: "text/html", "text/*", "application/*+json". Default: text, JSON, XML, JavaScript, WebAssembly, SVG, and the formats of fonts and icons that are not packed already. Event streams
	// are never compressed.
	Types []string `toml:"types" single:"true" default:"text/*,application/json,application/*+json,application/xml,application/*+xml,application/javascript,application/x-javascript,application/wasm,application/x-ndjson,application/yaml,application/vnd.ms-fontobject,font/ttf,font/otf,image/svg+xml,image/x-icon,image/bmp"`
}

// compress binds the short form, a list, or the long form, a table.
func (b binder) compress(c *Compress, raw any, path string) {
	v := reflect.ValueOf(c).Elem()
	b.setDefaults(v)
	switch raw := raw.(type) {
	case map[string]any:
		b.table(v, raw, path)
	default:
		b.list(v.FieldByName("Algorithms"), raw, path, b.fields(v.Type())[0])
	}
}

// compressOf checks a route's compression.
func (c checker) compressOf(rt *Route, route string) {
	z, path := rt.Compress, joinKey(route, "compress")
	if z == nil || c.bad(path) {
		return
	}
	list := path
	if long := joinKey(path, "algorithms"); c.pos.has(long) {
		list = long
	}
	if len(z.Algorithms) == 0 && !c.bad(list) {
		c.value(list, "%s is empty: leave compress out to send answers as they are", lastKey(list))
	}
	for i, name := range z.Algorithms {
		if slices.Contains(z.Algorithms[:i], name) {
			c.value(joinIndex(list, i), "%s is there twice", c.quote(joinIndex(list, i), name))
		}
	}
	types := joinKey(path, "types")
	if len(z.Types) == 0 && !c.bad(types) {
		c.value(types, "types is empty; leave it out for the usual ones")
	}
	for i, name := range z.Types {
		if at := joinIndex(types, i); c.pos.has(at) && !c.bad(at) && !isTypePattern(name) {
			c.value(at, "type %s is not a media type in lower case without parameters, as \"text/html\", \"text/*\" or \"application/*+json\"", c.quote(at, name))
		}
	}
}

// isTypePattern reports a media type (RFC 6838 §4.2) in lower case, or all of them with a beginning, or with that and a suffix.
func isTypePattern(name string) bool {
	top, sub, _ := strings.Cut(name, "/")
	if rest, open := strings.CutPrefix(sub, "*"); open {
		sub = "x" + rest
		if rest != "" && rest[0] != '+' {
			return false
		}
	}
	return isToken(top) && isToken(sub) && !strings.Contains(top+sub, "*") && name == strings.ToLower(name)
}
