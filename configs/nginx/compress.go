package nginx

import (
	"math"
	"slices"
	"strings"
)

// compress translates gzip and its relatives of other modules. What nginx compresses without being told types is text/html alone.
func (im *importer) compress(l *location, r *route) {
	var algorithms, types []string
	least := int64(math.MaxInt64)
	for _, a := range []struct{ name, module string }{{"zstd", "zstd"}, {"br", "brotli"}, {"gzip", "gzip"}} {
		on := l.setting(a.module)
		if on == nil || on.arg(0) != "on" {
			exact(on)
			continue
		}
		on.note("for requests that came through a proxy too, at a level of Weir's own, and always with Vary")
		r.from = append(r.from, on)
		algorithms = append(algorithms, a.name)
		if d := l.setting(a.module + "_types"); d != nil {
			types = slices.Concat(types, typesOf(d))
		}
		least = min(least, leastOf(l.setting(a.module+"_min_length")))
	}
	if len(algorithms) == 0 {
		return
	}
	types = append([]string{"text/html"}, types...)
	slices.Sort(types[1:])
	r.compress = "{ algorithms = " + quoteList(algorithms) + ", min_length = " + quote(size(least)) + ", types = " + quoteList(slices.Compact(types)) + " }"
}

// typesOf are the media types of a list. A "*" would have images and archives compressed once more.
func typesOf(d *directive) (types []string) {
	exact(d)
	for _, t := range d.args {
		top, sub, ok := strings.Cut(strings.ToLower(t), "/")
		switch {
		case t == "*":
			d.note("Weir's usual types in place of all")
			types = append(types, "text/*", "application/*+json", "application/*+xml", "application/javascript", "application/json", "application/wasm", "application/xml", "font/otf", "font/ttf", "image/svg+xml")
		case !ok || top == "" || sub == "" || strings.Trim(top+sub, "abcdefghijklmnopqrstuvwxyz0123456789!#$&^_.+-") != "":
			d.note("without %q, which is no media type", shorten(t))
		case top+"/"+sub != "text/html": // which is always there
			types = append(types, top+"/"+sub)
		}
	}
	return types
}

// leastOf is the length from which on a module compresses.
func leastOf(d *directive) int64 {
	const usual = 20 // all three modules'
	if d == nil {
		return usual
	}
	n, ok := parseSize(d.arg(0))
	if !ok {
		d.lost("%q is no size", shorten(d.arg(0)))
		return usual
	}
	exact(d)
	return n
}
