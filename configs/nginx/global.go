package nginx

import (
	"path"
	"slices"
	"strings"
)

// global reads what there is one of for the whole edge: logs and trusted proxies.
func (im *importer) global() {
	im.accessLog()
	im.errorLog()
	im.realIP()
}

// everywhere gives the directives of a name in the tree, those of http first.
func (im *importer) everywhere(name string) (list []*directive) {
	var walk func(*directive)
	walk = func(d *directive) {
		list = append(list, d.all(name)...)
		for _, c := range d.block {
			walk(c)
		}
	}
	walk(im.root)
	return list
}

// accessLog takes the first access log: there is one.
func (im *importer) accessLog() {
	var taken *directive
	for _, d := range append(slices.Clone(im.http.all("access_log")), im.everywhere("access_log")...) {
		switch file := d.arg(0); {
		case d == taken:
		case file == "off" && d.parent == im.http:
			exact(d)
			taken = d
			im.doc.log.access = "off"
		case file == "off":
			d.lost("there is one access log, of all requests; [log] sample thins it")
		case taken != nil:
			d.lost("there is one access log, of all requests: that of line %d", taken.line)
		case hasVariable(file):
			d.lost("a log's path has no variables")
		default:
			taken = d
			im.logTo(d, file)
		}
	}
	if taken != nil {
		im.doc.log.from = append(im.doc.log.from, taken)
	}
}

func (im *importer) logTo(d *directive, file string) {
	im.doc.log.access = "combined"
	switch format := d.arg(1); format {
	case "", "combined":
		exact(d)
	case "main":
		d.note("main is not translated: combined has all of it but X-Forwarded-For")
	default:
		im.doc.log.access = "json"
		d.note("a format of your own: JSON with ECS names, which has every field")
	}
	for _, p := range d.args[min(2, len(d.args)):] {
		d.note("%s: Weir decides by itself when lines are written", shorten(p))
	}
	switch {
	case file == "/dev/stdout":
		im.doc.log.accessOutput = "stdout"
	case file == "/dev/stderr":
		im.doc.log.accessOutput = "stderr"
	case len(file) > 7 && file[:7] == "syslog:":
		d.note("to standard output: the journal or a shipper takes it to syslog")
	default:
		im.doc.log.accessOutput = im.path(im.prefix, file)
		d.note("Weir must be able to write %s", path.Base(file))
	}
}

// errorLog takes the level of the first; lines go to standard output.
func (im *importer) errorLog() {
	for _, d := range im.everywhere("error_log") {
		if len(im.doc.log.level) > 0 || d.parent != im.root && d.parent != im.http {
			d.note("one log for all: [log] level and output")
			continue
		}
		level := d.arg(1)
		im.doc.log.level = map[string]string{"debug": "debug", "info": "info", "notice": "info", "warn": "warn"}[level]
		if im.doc.log.level == "" {
			im.doc.log.level = "error"
		}
		d.note("level %s, to standard output, where the journal takes it: [log] output names a file", im.doc.log.level)
		im.doc.log.from = append(im.doc.log.from, d)
	}
}

// realIP takes over whose word about a client's address is taken.
func (im *importer) realIP() {
	header := im.http.last("real_ip_header")
	for _, s := range im.servers {
		if header == nil {
			header = s.last("real_ip_header")
		}
	}
	field := strings.ToLower(orDefault(header.arg(0), "X-Real-IP"))
	for _, d := range im.everywhere("real_ip_header") {
		switch strings.ToLower(d.arg(0)) {
		case "x-forwarded-for":
			exact(d)
		case "proxy_protocol":
			d.note("proxy_protocol of the listener says who may send it")
		default:
			d.lost("Weir reads X-Forwarded-For, and a proxy that does not write that must not be trusted with it")
		}
	}
	for _, d := range im.everywhere("real_ip_recursive") {
		if d.on() {
			exact(d)
		} else {
			d.note("as with on: from right to left up to the first address that is no trusted proxy's")
		}
	}
	for _, d := range im.everywhere("set_real_ip_from") {
		n, ok := network(d.arg(0))
		switch {
		case !ok:
			d.lost("%q is no network", shorten(d.arg(0)))
		case prefix(n).Bits() == 0:
			d.lost("everybody: an address that everybody may state is nobody's")
		case field == "proxy_protocol":
			exact(d)
		case field != "x-forwarded-for":
			d.lost("trusted for %s, which Weir does not read", shorten(field))
		case d.parent != im.http:
			d.note("trusted for all servers")
			im.trust(n, d)
		default:
			exact(d)
			im.trust(n, d)
		}
	}
}

func (im *importer) trust(n string, d *directive) {
	if !slices.Contains(im.doc.trusted, n) {
		im.doc.trusted = append(im.doc.trusted, n)
	}
	if im.doc.trustedBy == nil {
		im.doc.trustedBy = d
	}
}
