package nginx

import (
	"slices"
	"strings"
)

// guards puts on a route what a location asks of requests before it answers them; why, if something of it could not be said: what it guards must not be open.
func (im *importer) guards(l *location, r *route) (why string) {
	if why := im.accessOf(l, r); why != "" {
		return why
	}
	if why := im.authOf(l, r); why != "" {
		return why
	}
	if d := l.setting("satisfy"); d.arg(0) == "any" {
		if len(r.access) > 0 && r.auth != "" {
			d.lost("both the address and the login must be good, which lets fewer pass")
		} else {
			exact(d)
		}
	} else {
		exact(d)
	}
	im.limitsOf(l, r)
	im.headersOf(l, r)
	return ""
}

// accessOf reads allow and deny, of which nginx takes the first that matches, and Weir deny before allow. What cannot be said so lets fewer pass, never more.
func (im *importer) accessOf(l *location, r *route) (why string) {
	rules := rulesOf(l.directive)
	if len(rules) == 0 {
		return ""
	}
	list := &accessList{}
	restOf := ""
	for _, d := range rules {
		what := d.arg(0)
		if restOf != "" {
			d.note("no request comes to it")
			continue
		}
		if what == "all" {
			restOf = d.name
			exact(d)
			list.from = append(list.from, d)
			continue
		}
		if what == "unix:" {
			d.note("nobody comes by a unix socket")
			continue
		}
		n, ok := network(what)
		if !ok {
			d.lost("%q is no network", shorten(what))
			return "a rule of access that is not translated"
		}
		exact(d)
		list.from = append(list.from, d)
		if d.name == "allow" {
			list.allow = append(list.allow, n)
			continue
		}
		if i := slices.IndexFunc(list.allow[:min(len(list.allow), 1000)], func(a string) bool { return overlaps(a, n) }); i >= 0 {
			d.note("wins over allow %s, which nginx takes first: fewer may pass", list.allow[i])
		}
		list.deny = append(list.deny, n)
	}
	switch {
	case restOf == "deny" && len(list.allow) == 0:
		r.access = append(r.access, im.nobody())
		return ""
	case restOf == "deny":
	default:
		list.allow = nil // the rest may pass, so allowing says nothing
	}
	if len(list.allow)+len(list.deny) > 0 {
		want := "site"
		if rules[0].parent == l.directive {
			want = im.nameFor(l)
		}
		r.access = append(r.access, im.accessNamed(want, list))
	}
	return ""
}

// rulesOf are the allow and deny in force: they are inherited together.
func rulesOf(d *directive) []*directive {
	for at := d; at != nil; at = at.parent {
		var rules []*directive
		for _, c := range at.block {
			if c.name == "allow" || c.name == "deny" {
				rules = append(rules, c)
			}
		}
		if rules != nil {
			return rules
		}
	}
	return nil
}

// nameFor is what a table made for a location is called.
func (im *importer) nameFor(l *location) string {
	name := l.path
	if l.kind == byRegex || l.kind == byRegexI {
		name = "re-" + name
	}
	return label(strings.ReplaceAll(strings.Trim(name, "/"), "/", "-"), "site")
}

// accessNamed gives the list with these rules, the same one for the same.
func (im *importer) accessNamed(want string, list *accessList) string {
	id := quoteList(list.allow) + quoteList(list.deny)
	if name, ok := im.accessByID[id]; ok {
		return name
	}
	list.name = im.unique("access", want)
	im.accessByID[id] = list.name
	im.doc.access = append(im.doc.access, list)
	return list.name
}

// authOf reads auth_basic and auth_request.
func (im *importer) authOf(l *location, r *route) (why string) {
	basic, request := l.setting("auth_basic"), l.setting("auth_request")
	if basic != nil && basic.arg(0) == "off" {
		exact(basic)
		basic = nil
	}
	if request != nil && request.arg(0) == "off" {
		exact(request)
		request = nil
	}
	if d := foreignGuard(l.directive); d != nil {
		d.lost("Weir has no such guard")
		return d.name
	}
	switch {
	case basic != nil && request != nil:
		request.lost("a route has one auth")
		return "auth_basic and auth_request together"
	case basic != nil:
		return im.basic(l, r, basic)
	case request != nil:
		return im.forward(l, r, request)
	}
	return ""
}

// foreignGuard is what keeps requests from a location in a way that Weir has not: other modules' logins, methods, Lua, signed links.
func foreignGuard(d *directive) *directive {
	for at := d; at != nil; at = at.parent {
		for _, c := range at.block {
			switch {
			case c.arg(0) == "off":
			case c.name == "limit_except", c.name == "secure_link", strings.HasPrefix(c.name, "access_by_lua"):
				return c
			case strings.HasPrefix(c.name, "auth_") && !strings.HasPrefix(c.name, "auth_basic") && !strings.HasPrefix(c.name, "auth_request") && c.name != "auth_delay" && c.name != "auth_http":
				return c
			}
		}
	}
	return nil
}

func (im *importer) basic(l *location, r *route, d *directive) (why string) {
	file := l.setting("auth_basic_user_file")
	if file == nil || hasVariable(file.arg(0)) {
		d.lost("no password file that is known beforehand")
		return "auth_basic without a password file"
	}
	a := &auth{kind: "basic", usersFile: im.path(im.dir, file.arg(0)), from: []*directive{d, file}}
	if realm := d.arg(0); fieldValue(realm) && !hasVariable(realm) && !strings.ContainsAny(realm, `"\`) {
		a.realm = realm
	}
	d.note("over TLS only: without it passwords are refused")
	file.note("entries by DES crypt or in plain text are refused: make them anew with weir hash-password")
	r.auth = im.authNamed(label(a.realm, "users"), a)
	return ""
}

// forward reads auth_request: nginx asks the location named, which must lead to a service.
func (im *importer) forward(l *location, r *route, d *directive) (why string) {
	fail := func(text string) string {
		d.lost("%s", text)
		return "auth_request"
	}
	asked := im.find(l.directive, d.arg(0))
	if asked == nil {
		return fail("no location of that path")
	}
	pass := asked.last("proxy_pass")
	if pass == nil {
		return fail("its location asks no service")
	}
	scheme, host, uri, bad := im.target(&location{directive: asked, path: d.arg(0)}, pass)
	if bad != "" || scheme != "http" && scheme != "https" || im.splits[host] != nil {
		return fail("the address of its service is not one that is known beforehand")
	}
	if uri == "" || uri == "$request_uri" {
		uri = d.arg(0)
	}
	if u := im.upstreams[host]; u != nil {
		server := u.last("server")
		t, ok := plainTarget(server.arg(0), defaultPort(scheme))
		if !ok {
			return fail("no server of its upstream is an address")
		}
		host = t.address + t.dns
		d.note("%s alone is asked, of its upstream's servers", host)
	} else if _, ok := plainTarget(host, "80"); !ok {
		return fail("its service has no address")
	}
	a := &auth{kind: "forward", url: scheme + "://" + host + uri, from: []*directive{d, pass}}
	if !fieldValue(a.url) || strings.ContainsAny(a.url, "#\\ ") {
		return fail("its URL is none")
	}
	exact(pass, asked)
	for _, c := range asked.block {
		switch strings.ToLower(c.name + " " + c.arg(0) + " " + c.arg(1)) {
		case "proxy_pass_request_body off ", "proxy_set_header content-length ", "proxy_set_header x-original-uri $request_uri", "proxy_set_header x-original-method $request_method":
			exact(c)
		}
	}
	d.note("the service is sent X-Original-URI and others (docs/auth.md), and its 401 is the client's")
	im.authFields(l, a)
	r.auth = im.authNamed(label(strings.Trim(d.arg(0), "/="), "verify"), a)
	return ""
}

// authFields are the fields of the answer that auth_request_set and proxy_set_header together hand on.
func (im *importer) authFields(l *location, a *auth) {
	for _, set := range l.inherited("auth_request_set") {
		field, ok := strings.CutPrefix(set.arg(1), "$upstream_http_")
		if !ok {
			set.lost("Weir hands on fields of the answer, nothing else of it")
			continue
		}
		used := false
		for _, h := range l.inherited("proxy_set_header") {
			if h.arg(1) == set.arg(0) && strings.EqualFold(h.arg(0), fieldName(field)) && isToken(h.arg(0)) {
				exact(set, h)
				a.responseHeaders = append(a.responseHeaders, h.arg(0))
				used = true
			}
		}
		if !used {
			set.lost("the upstream is sent a field of the answer under its own name")
		}
	}
}

// find is the location of exactly that path in the server around d.
func (im *importer) find(d *directive, path string) *directive {
	for at := d; at != nil; at = at.parent {
		for _, o := range locationsOf(at, nil) {
			if o.path == path && (o.kind == byExact || o.kind == byPrefix || o.kind == byStop) {
				return o.directive
			}
		}
	}
	return nil
}

func (im *importer) authNamed(want string, a *auth) string {
	id := strings.Join([]string{a.kind, a.realm, a.usersFile, a.url, quoteList(a.responseHeaders)}, "\n")
	if name, ok := im.authsByID[id]; ok {
		return name
	}
	a.name = im.unique("auth", want)
	im.authsByID[id] = a.name
	im.doc.auths = append(im.doc.auths, a)
	return a.name
}
