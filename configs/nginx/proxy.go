package nginx

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// service makes a route to a service out of a location with proxy_pass or grpc_pass.
func (im *importer) service(l *location, pass *directive) (r *route, why string) {
	family := strings.TrimSuffix(pass.name, "pass") // "proxy_" or "grpc_"
	scheme, host, uri, why := im.target(l, pass)
	if why != "" {
		pass.lost("%s", why)
		return nil, why
	}
	if uri != "" && uri != l.path && uri != "$request_uri" {
		pass.lost("replaces the location's path by %s; Weir forwards the path as it came", shorten(uri))
		return nil, "proxy_pass to another path"
	}
	s := &service{protocol: protocols(scheme), from: []*directive{pass}}
	name, why := im.groups(l, s, host, defaultPort(scheme))
	if why != "" {
		pass.lost("%s", why)
		return nil, why
	}
	exact(pass)
	if uri != "" && uri != "$request_uri" {
		pass.note("the service is sent the path as the client wrote it; nginx decodes it and encodes it anew")
	}
	im.serviceTimeouts(l, s, family)
	im.retries(l, s, family)
	if s.protocol == "https" || s.protocol == "h2" {
		im.upstreamTLS(l, pass, s, family)
	}
	if d := l.setting("proxy_bind"); d != nil {
		d.lost("Weir leaves the address that it connects from to the system")
	}
	im.requestFields(l, pass, family)
	r = &route{service: im.serviceNamed(label(name, "service"), s), from: []*directive{l.directive, pass}}
	im.maxBody(l, r)
	return r, ""
}

func protocols(scheme string) string {
	return map[string]string{"https": "https", "grpc": "h2c", "grpcs": "h2"}[scheme]
}

func defaultPort(scheme string) string {
	if scheme == "https" || scheme == "grpcs" {
		return "443"
	}
	return "80"
}

// target reads the URL of a proxy_pass. Variables that set gives one text are replaced by it; a lone one left as host is a split_clients.
func (im *importer) target(l *location, pass *directive) (scheme, host, uri, why string) {
	text := im.constants(l.directive, pass.arg(0))
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		if pass.name != "grpc_pass" {
			return "", "", "", "its address is known only when a request comes"
		}
		scheme, rest = "grpc", text
	}
	host = rest
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		host, uri = rest[:i], rest[i:]
	} else if before, found := strings.CutSuffix(rest, "$request_uri"); found {
		host, uri = before, "$request_uri"
	}
	switch {
	case strings.HasPrefix(host, "unix:"):
		return "", "", "", "a unix socket: Weir's targets are addresses and names"
	case hasVariable(host) && im.splits[host] == nil:
		return "", "", "", "its address is known only when a request comes"
	case hasVariable(uri) && uri != "$request_uri":
		return "", "", "", "its path has variables"
	case scheme != "http" && scheme != "https" && scheme != "grpc" && scheme != "grpcs":
		return "", "", "", "unknown scheme " + shorten(scheme)
	case host == "":
		return "", "", "", "no host"
	}
	return scheme, host, uri, ""
}

// constants replaces variables that a block around d sets to one text, outside of any if.
func (im *importer) constants(d *directive, text string) string {
	if !hasVariable(text) {
		return text
	}
	for at := d; at != nil; at = at.parent {
		for _, s := range at.all("set") {
			name := s.arg(0)
			if !strings.HasPrefix(name, "$") || hasVariable(s.arg(1)) || im.setTwice(name) || !strings.Contains(text, name) && !strings.Contains(text, "${"+name[1:]+"}") {
				continue
			}
			after := strings.ReplaceAll(text, "${"+name[1:]+"}", s.arg(1))
			if i := strings.Index(after, name); i >= 0 && (i+len(name) == len(after) || !isWordByte(after[i+len(name)])) {
				after = after[:i] + s.arg(1) + after[i+len(name):]
			}
			if after != text {
				s.note("its text is written out where it is used")
				text = after
			}
		}
	}
	return text
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// setTwice reports a variable that has more than one value somewhere.
func (im *importer) setTwice(name string) bool {
	values := map[string]bool{}
	var walk func(*directive)
	walk = func(d *directive) {
		for _, c := range d.block {
			if c.name == "set" && c.arg(0) == name {
				values[c.arg(1)] = true
			}
			walk(c)
		}
	}
	walk(im.root)
	return len(values) > 1
}

// serviceTimeouts takes over the waits. nginx's 60 s for an answer are written out, because Weir's default is half of that.
func (im *importer) serviceTimeouts(l *location, s *service, family string) {
	connect, read := l.setting(family+"connect_timeout"), l.setting(family+"read_timeout")
	if connect != nil {
		t, ok := parseTime(connect.arg(0))
		switch {
		case !ok || t < time.Millisecond:
			connect.lost("%q is no time that Weir takes", shorten(connect.arg(0)))
		case t > 5*time.Minute:
			connect.lost("connect_timeout is at most 5m")
		default:
			exact(connect)
			s.timeouts = append(s.timeouts, timeout{"connect_timeout", t})
		}
	}
	wait := timeout{"response_timeout", time.Minute}
	if read != nil {
		t, ok := parseTime(read.arg(0))
		switch {
		case !ok || t < time.Millisecond || t > 24*time.Hour:
			read.lost("response_timeout and idle_timeout are from 1ms to 24h")
		default:
			read.note("response_timeout to the head, idle_timeout between pieces of the body")
			wait.value = t
			s.timeouts = append(s.timeouts, wait, timeout{"idle_timeout", t})
			return
		}
	}
	s.timeouts = append(s.timeouts, wait)
}

// retries takes over proxy_next_upstream.
func (im *importer) retries(l *location, s *service, family string) {
	if d := l.setting(family + "next_upstream"); d != nil {
		switch {
		case slices.Contains(d.args, "off"):
			exact(d)
			s.attempts = 1
		default:
			d.note("Weir tries again what is safe to repeat, when no answer has come; a status alone is no reason")
		}
	}
	if d := l.setting(family + "next_upstream_tries"); d != nil {
		n, err := strconv.Atoi(d.arg(0))
		switch {
		case err != nil || n < 0 || n > 10:
			d.lost("attempts are from 1 to 10")
		case n == 0:
			d.note("attempts = 2, Weir's default")
		default:
			exact(d)
			if s.attempts == 0 {
				s.attempts = n
			}
		}
	}
}

// upstreamTLS takes over how TLS is spoken. nginx verifies nothing unless told to.
func (im *importer) upstreamTLS(l *location, pass *directive, s *service, family string) {
	verify := l.setting(family + "ssl_verify")
	file := func(name string) string {
		d := l.setting(family + name)
		if d == nil || hasVariable(d.arg(0)) {
			d.mark(NotTranslated, "a file's name has no variables")
			return ""
		}
		exact(d)
		return im.path(im.dir, d.arg(0))
	}
	if verify.on() {
		exact(verify)
		s.tls.ca = file("ssl_trusted_certificate")
	} else {
		s.tls.insecure = true
		pass.note("insecure_skip_verify = true, because nginx verifies no certificate without %sssl_verify on: take it out if the certificates are good", family)
		exact(verify)
	}
	if d := l.setting(family + "ssl_name"); d != nil {
		if name := d.arg(0); hostName(name) && !strings.HasPrefix(name, "*") {
			exact(d)
			s.tls.serverName = name
		} else {
			d.lost("a name without variables")
		}
	}
	if d := l.setting(family + "ssl_server_name"); d != nil {
		d.note("Weir always sends the name")
	}
	if l.setting(family+"ssl_certificate") != nil && l.setting(family+"ssl_certificate_key") != nil {
		s.tls.cert, s.tls.key = file("ssl_certificate"), file("ssl_certificate_key")
	}
}

// maxBody is written out also where nginx has its default, which is a tenth of Weir's.
func (im *importer) maxBody(l *location, r *route) {
	d := l.setting("client_max_body_size")
	r.maxBody = "1MiB"
	if d == nil {
		return
	}
	n, ok := parseSize(d.arg(0))
	switch {
	case !ok:
		d.lost("%q is no size", shorten(d.arg(0)))
	case n == 0:
		exact(d)
		r.maxBody = "off"
	default:
		exact(d)
		r.maxBody = size(n)
	}
}

// serviceNamed gives the service with these settings, the same one for the same.
func (im *importer) serviceNamed(name string, s *service) *service {
	w := &writer{}
	bare := *s
	bare.from = nil
	bare.groups = nil
	bare.write(w)
	for _, g := range s.groups {
		w.line("%s %s", g.name, g.weight)
		g.write(w)
	}
	s.id = name + "\n" + w.String()
	for _, o := range im.doc.services {
		if o.id == s.id {
			return o
		}
	}
	s.name = im.unique("service", name)
	if s.name != name {
		s.from[0].note("a service of its own, %s: the same targets with other settings", s.name)
	}
	im.doc.services = append(im.doc.services, s)
	return s
}

// plainTarget is a target out of HOST or HOST:PORT; false for what is no address and no name.
func plainTarget(text, port string) (t target, ok bool) {
	host := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return t, false
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.IsUnspecified() || ip.IsMulticast() || ip.Zone() != "" {
			return t, false
		}
		return target{address: netip.AddrPortFrom(ip, uint16(n)).String(), weight: 1}, true
	}
	if !hostName(host) || strings.HasPrefix(host, "*") {
		return t, false
	}
	return target{dns: host + ":" + port, weight: 1}, true
}
