package nginx

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// headersOf gives a route the table of what is done to the fields of its answers: add_header, expires, proxy_hide_header.
func (im *importer) headersOf(l *location, r *route) {
	h := &headerTable{}
	for _, d := range l.inherited("add_header") {
		im.addHeader(h, d)
	}
	if d := l.setting("expires"); d != nil && d.arg(0) != "off" {
		im.expires(h, d, r.files != nil)
	} else {
		exact(d)
	}
	if r.service != nil {
		for _, d := range append(slices.Clone(l.inherited("proxy_hide_header")), l.inherited("grpc_hide_header")...) {
			im.hide(h, d)
		}
	}
	if len(h.set)+len(h.remove) == 0 {
		return
	}
	id := h.id()
	name, ok := im.headersByID[id]
	if !ok {
		want := "site" // what a server or http says is for many locations
		if len(h.from) > 0 && h.from[len(h.from)-1].parent == l.directive {
			want = im.nameFor(l)
		}
		name = im.unique("headers", want)
		h.name = name
		im.headersByID[id] = name
		im.doc.headers = append(im.doc.headers, h)
	}
	r.headers = name
}

func (im *importer) addHeader(h *headerTable, d *directive) {
	name, value := d.arg(0), d.arg(1)
	switch {
	case value == "":
		exact(d) // nginx adds no empty field
		return
	case hasVariable(value):
		d.lost("a field's value is the same for every answer")
		return
	case !ownField(name) || !fieldValue(value) || strings.Contains(value, "{nonce}"):
		d.lost("Weir does not write this field, or not with this value")
		return
	case h.has(name):
		d.lost("%s is there twice: a field is set once", name)
		return
	}
	if slices.Contains(d.args, "always") {
		d.note("in place of the upstream's own %s, not beside it", name)
	} else {
		d.note("on every answer, errors too, and in place of the upstream's own %s", name)
	}
	h.set = append(h.set, [2]string{name, value})
	h.from = append(h.from, d)
}

func (h *headerTable) has(name string) bool {
	return slices.ContainsFunc(h.set, func(p [2]string) bool { return strings.EqualFold(p[0], name) }) ||
		slices.ContainsFunc(h.remove, func(n string) bool { return strings.EqualFold(n, name) })
}

// ownField reports a field that Weir's tables can set or remove.
func ownField(name string) bool {
	switch strings.ToLower(name) {
	case "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "transfer-encoding", "upgrade", "trailer", "content-length", "x-request-id":
		return false
	}
	return isToken(name)
}

// expires sets Cache-Control. nginx writes Expires beside it, which no client needs, and both on some answers only.
func (im *importer) expires(h *headerTable, d *directive, ofFiles bool) {
	value := ""
	switch arg := d.arg(0); {
	case len(d.args) != 1 || hasVariable(arg) || strings.HasPrefix(arg, "@"):
		d.lost("Cache-Control is the same for every answer")
		return
	case arg == "epoch" || strings.HasPrefix(arg, "-"):
		value = "no-cache"
	case arg == "max":
		value = "max-age=315360000"
	default:
		t, ok := parseTime(arg)
		if !ok {
			d.lost("%q is no time", shorten(arg))
			return
		}
		value = fmt.Sprintf("max-age=%d", t/time.Second)
	}
	if h.has("Cache-Control") {
		d.lost("add_header sets Cache-Control already")
		return
	}
	if ofFiles {
		d.note("Cache-Control: %s, without Expires", value)
	} else {
		d.note("Cache-Control: %s, without Expires, in place of the upstream's own and on its errors too", value)
	}
	h.set = append(h.set, [2]string{"Cache-Control", value})
	h.from = append(h.from, d)
}

func (im *importer) hide(h *headerTable, d *directive) {
	name := d.arg(0)
	switch {
	case !ownField(name):
		d.lost("Weir does not take this field out")
	case h.has(name):
		d.note("replaced by what is set")
	default:
		exact(d)
		h.remove = append(h.remove, name)
		h.from = append(h.from, d)
	}
}

// requestFields goes through what nginx sets for the upstream. Weir has its own set of fields and no way to add to it.
func (im *importer) requestFields(l *location, pass *directive, family string) {
	host := false
	for _, d := range l.inherited(family + "set_header") {
		name := strings.ToLower(d.arg(0))
		host = host || name == "host"
		if d.state == Translated { // what auth_request hands on
			continue
		}
		im.requestField(d, name, d.arg(1))
	}
	if !host {
		pass.note("the upstream is sent the client's Host; nginx sends the name in %s", pass.name)
	}
}

func (im *importer) requestField(d *directive, name, value string) {
	value = strings.NewReplacer("{", "", "}", "").Replace(value)
	switch name + " " + value {
	case "host $http_host", "x-real-ip $remote_addr", "x-forwarded-for $remote_addr", "x-forwarded-proto $scheme", "x-forwarded-port $server_port",
		"upgrade $http_upgrade", "connection ", "connection $connection_upgrade", "x-forwarded-host $http_host", "x-request-id $request_id", "te $http_te":
		exact(d)
	case "host $host", "x-forwarded-host $host", "x-forwarded-host $server_name", "host $host:$server_port":
		d.note("as the client sent it, with its port")
	case "host $proxy_host":
		d.lost("the upstream is sent the client's Host")
	case "connection upgrade", "connection Upgrade", "connection $http_connection":
		d.note("where the client asks for an upgrade")
	case "x-forwarded-for $proxy_add_x_forwarded_for":
		d.note("what clients send is replaced, unless they are [client_ip] trusted_proxies")
	case "x-forwarded-proto $http_x_forwarded_proto", "x-forwarded-proto $proxy_x_forwarded_proto", "x-forwarded-proto https":
		d.note("by the listener, or a trusted proxy's word")
	default:
		d.lost("Weir sends Host, X-Forwarded-For, -Proto, -Host and -Port, X-Real-IP and X-Request-ID, and no others of its own")
	}
}
