package nginx

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// writer makes the text of a document.
type writer struct {
	strings.Builder
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// table begins a table, with the places that it comes from.
func (w *writer) table(header string, from ...*directive) {
	w.line("")
	w.line("%s%s", header, origin(from))
}

// origin is the comment that names where something was said.
func origin(from []*directive) string {
	var places []string
	seen := map[string]bool{}
	for _, d := range from {
		if d == nil {
			continue
		}
		at := oneLine(filepath.Base(d.file)) + ":" + strconv.Itoa(d.line)
		if !seen[at] && len(places) < 6 {
			places = append(places, at)
		}
		seen[at] = true
	}
	if len(places) == 0 {
		return ""
	}
	return " # " + strings.Join(places, ", ")
}

func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s = %s", key, quote(value))
	}
}

func (w *writer) list(key string, values []string) {
	if len(values) > 0 {
		w.line("%s = %s", key, quoteList(values))
	}
}

func (w *writer) timeouts(list []timeout) {
	for _, t := range list {
		w.line("%s = %s", t.key, quote(duration(t.value)))
	}
}

// write gives the whole file. Tables are in the order of the annotated example.
func (doc *document) write(head string) []byte {
	w := &writer{}
	w.WriteString(head)
	doc.writeGlobal(w)
	for _, l := range doc.listeners {
		l.write(w)
	}
	doc.writeTLS(w)
	for _, l := range doc.limits {
		l.write(w)
	}
	for _, h := range doc.headers {
		h.write(w)
	}
	for _, a := range doc.access {
		a.write(w)
	}
	for _, a := range doc.auths {
		a.write(w)
	}
	for _, s := range doc.services {
		s.write(w)
	}
	for _, r := range doc.routes {
		r.write(w)
	}
	return []byte(w.String())
}

func (doc *document) writeGlobal(w *writer) {
	if len(doc.log.from) > 0 {
		w.table("[log]", doc.log.from...)
		w.text("level", doc.log.level)
		w.text("access", doc.log.access)
		w.text("access_output", doc.log.accessOutput)
	}
	if len(doc.trusted) > 0 {
		w.table("[client_ip]", doc.trustedBy)
		w.list("trusted_proxies", doc.trusted)
	}
}

func (doc *document) writeTLS(w *writer) {
	if doc.tls.minVersion != "" {
		w.table("[tls]", doc.tls.from)
		w.text("min_version", doc.tls.minVersion)
	}
	for _, c := range doc.tls.certs {
		w.table("[[tls.certificate]]", c.from)
		w.text("cert", c.cert)
		w.text("key", c.key)
	}
	for _, c := range doc.tls.clientAuth {
		w.table("[[tls.client_auth]]", c.from)
		w.list("hosts", c.hosts)
		w.text("ca", c.ca)
		w.text("crl", c.crl)
		w.text("mode", c.mode)
	}
}

func (l *listener) write(w *writer) {
	w.table("[[listener]]", l.from...)
	w.text("address", l.address)
	if l.tls {
		w.line("tls = true")
	}
	if l.redirect {
		w.text("redirect", "https")
	}
	w.list("protocols", l.protocols)
	w.list("proxy_protocol", l.proxyProtocol)
	w.text("headers", "off")
	w.timeouts(l.timeouts)
	w.text("max_header", l.maxHeader)
	w.text("max_uri", l.maxURI)
}

func (l *limit) write(w *writer) {
	w.table("[limit."+l.name+"]", l.from)
	w.text("rate", l.rate)
	if l.burst > 0 {
		w.line("burst = %d", l.burst)
	}
	if l.concurrency > 0 {
		w.line("concurrency = %d", l.concurrency)
	}
	w.text("key", l.key)
	if l.dryRun {
		w.line("dry_run = true")
	}
}

func (h *headerTable) write(w *writer) {
	w.table("[headers."+h.name+"]", h.from...)
	w.text("preset", "off")
	if len(h.set) > 0 {
		pairs := make([]string, len(h.set))
		for i, p := range h.set {
			pairs[i] = quote(p[0]) + " = " + quote(p[1])
		}
		w.line("set = { %s }", strings.Join(pairs, ", "))
	}
	w.list("remove", h.remove)
}

func (a *accessList) write(w *writer) {
	w.table("[access."+a.name+"]", a.from...)
	if a.why != "" {
		w.line("# %s", a.why)
	}
	w.list("allow", a.allow)
	w.list("deny", a.deny)
}

func (a *auth) write(w *writer) {
	w.table("[auth."+a.name+"]", a.from...)
	w.text("type", a.kind)
	w.text("realm", a.realm)
	w.text("users_file", a.usersFile)
	w.text("url", a.url)
	w.list("response_headers", a.responseHeaders)
}

func (s *service) write(w *writer) {
	w.table("[service."+s.name+"]", s.from...)
	w.text("balance", s.balance)
	w.text("sticky", s.sticky)
	w.text("protocol", s.protocol)
	w.text("proxy_protocol", s.proxy)
	w.timeouts(s.timeouts)
	if s.attempts > 0 {
		w.line("retry = { attempts = %d }", s.attempts)
	}
	if e := s.ejection; e != nil {
		if e.off {
			w.line("ejection = { max_ejected = 0 }")
		} else {
			w.line("ejection = { consecutive = %d, base = %s }", e.consecutive, quote(duration(e.base)))
		}
	}
	if s.tls != (upstreamTLS{}) {
		w.table("[service." + s.name + ".tls]")
		w.text("ca", s.tls.ca)
		w.text("server_name", s.tls.serverName)
		w.text("cert", s.tls.cert)
		w.text("key", s.tls.key)
		if s.tls.insecure {
			w.line("insecure_skip_verify = true # as nginx without proxy_ssl_verify: whoever is on the way can read and change everything")
		}
	}
	for _, g := range s.groups {
		w.table("[service."+s.name+".group."+g.name+"]", g.from)
		if g.weight != "" {
			w.line("weight = %s", g.weight)
		}
		g.write(w)
	}
}

func (g *group) write(w *writer) {
	w.line("targets = [")
	for _, t := range g.targets {
		var value string
		switch {
		case t.srv != "":
			value = "{ srv = " + quote(t.srv) + " }"
		case t.dns != "":
			value = "{ dns = " + quote(t.dns) + weightOf(t) + " }"
		case t.weight > 1:
			value = "{ address = " + quote(t.address) + weightOf(t) + " }"
		default:
			value = quote(t.address)
		}
		w.line("  %s,", value)
	}
	w.line("]")
}

func weightOf(t target) string {
	if t.weight <= 1 {
		return ""
	}
	return fmt.Sprintf(", weight = %d", t.weight)
}

func (r *route) write(w *writer) {
	w.table("[[route]]", r.from...)
	for _, remark := range r.remarks {
		w.line("# %s", oneLine(remark))
	}
	w.list("host", r.hosts)
	w.text("path", r.path)
	if r.service != nil {
		w.text("service", r.service.name)
	}
	if f := r.files; f != nil {
		parts := []string{"root = " + quote(f.root)}
		if f.index != "" {
			parts = append(parts, "index = "+quote(f.index))
		}
		if f.fallback != "" {
			parts = append(parts, "fallback = "+quote(f.fallback))
		}
		w.line("files = { %s }", strings.Join(parts, ", "))
	}
	w.list("limits", r.limits)
	w.list("access", r.access)
	w.text("auth", r.auth)
	w.text("headers", r.headers)
	w.text("max_body", r.maxBody)
	if r.compress != "" {
		w.line("compress = %s", r.compress)
	}
}

// quote writes a string of TOML that stands for s after Weir has replaced references: "$" is doubled where it would begin one. What has backslashes is a
// literal string where it can be, so that regular expressions stay readable.
func quote(s string) string {
	s = strings.ToValidUTF8(s, "?")
	var b strings.Builder
	for i := range len(s) {
		if s[i] == '$' && i+1 < len(s) && (s[i+1] == '$' || s[i+1] == '{') {
			b.WriteByte('$')
		}
		b.WriteByte(s[i])
	}
	s = b.String()
	control := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
	if strings.Contains(s, `\`) && !control && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	b.Reset()
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func quoteList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = quote(v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// duration is d in the units that Weir reads, without the zeros that time.Duration writes behind.
func duration(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "m0s")
	if s != d.String() {
		s += "m"
	}
	if t, ok := strings.CutSuffix(s, "h0m"); ok {
		s = t + "h"
	}
	return s
}
