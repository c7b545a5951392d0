package nginx

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// location makes the routes of one location, for each of the server's sets of hosts.
func (im *importer) location(s *server, l *location, all []*location, hosts [][]string) {
	if l.kind == byName || len(hosts) == 0 {
		return // what leads to a named one marks it
	}
	if l.state == 0 {
		exact(l.directive)
	}
	paths, why := l.patterns(all)
	if why != "" {
		l.lost("%s; what it would take goes to the next location", why)
		l.lostBelow("its location is not translated")
		return
	}
	r, why := im.answer(l)
	if why == "" && (r.service != nil || r.files != nil) { // what nobody may see needs no other guard
		why = im.guards(l, r)
		im.compress(l, r)
	}
	if why != "" {
		r = im.refused(l, why)
	}
	var beside []string
	if len(r.access) > 0 || r.auth != "" {
		beside = l.beside(all)
	}
	if beside == nil && (l.kind == byPrefix || l.kind == byStop) && !strings.HasSuffix(l.path, "/") && !strings.HasPrefix(paths[0], "~") {
		l.note("whole segments: %s and what is below, not %sx", l.path, l.path)
	}
	paths = append(paths, beside...)
	if r.service != nil && l.withoutSlash(all) {
		l.note("asked for without the slash nginx redirects to it; here %s is the next shorter route's", strings.TrimSuffix(l.path, "/"))
	}
	for _, h := range hosts {
		for _, p := range paths {
			one := *r
			one.hosts, one.path = h, p
			im.addRoute(&one, l.directive)
		}
	}
}

// beside is the pattern of what nginx's prefix takes and Weir's does not: /adminx of "location /admin". It matters where the location guards something.
func (l *location) beside(all []*location) []string {
	if l.kind != byPrefix && l.kind != byStop || strings.HasSuffix(l.path, "/") {
		return nil
	}
	if slices.ContainsFunc(all, func(o *location) bool {
		return len(o.path) > len(l.path) && strings.HasPrefix(o.path, l.path) && o.path[len(l.path)] != '/'
	}) {
		return nil
	}
	return []string{"~^" + regexp.QuoteMeta(l.path) + "[^/]"}
}

// withoutSlash reports a prefix that ends with a slash, where the path without it is nobody's.
func (l *location) withoutSlash(all []*location) bool {
	return (l.kind == byPrefix || l.kind == byStop) && len(l.path) > 1 && strings.HasSuffix(l.path, "/") &&
		!slices.ContainsFunc(all, func(o *location) bool { return o.path == strings.TrimSuffix(l.path, "/") })
}

// refused is the route of a location that Weir cannot answer. What it holds is lost with it.
func (im *importer) refused(l *location, why string) *route {
	l.lost("%s: its requests are refused (403)", why)
	for _, c := range l.block {
		if c.state != NotTranslated && c.name != "location" && c.name != "include" {
			c.lost("its location is refused")
			c.lostBelow("its location is refused")
		}
	}
	return &route{access: []string{im.nobody()}, from: []*directive{l.directive}, remarks: []string{"not translated: " + why}}
}

// nobody is the access list that lets nobody pass.
func (im *importer) nobody() string {
	return im.accessNamed("nobody", &accessList{deny: []string{"0.0.0.0/0", "::/0"}, why: "what nginx refuses, and what could not be translated"})
}

// answer is what a location answers with; why, if Weir cannot.
func (im *importer) answer(l *location) (r *route, why string) {
	if d := l.last("internal"); d != nil {
		d.note("403 in place of 404 for clients; X-Accel-Redirect is not followed")
		return im.closed(l, d), ""
	}
	if rules := rulesOf(l.directive); len(rules) > 0 && rules[0].name == "deny" && rules[0].arg(0) == "all" {
		exact(rules[0])
		return im.closed(l, rules[0]), ""
	}
	if d := l.last("return"); d != nil {
		if d.arg(0) == "403" && len(d.args) == 1 {
			exact(d)
			return im.closed(l, d), ""
		}
		im.refusal(d)
		if d.state == Noted {
			return im.closed(l, d), ""
		}
		return nil, "return " + shorten(strings.Join(d.args, " "))
	}
	if d := firstOf(l.directive, "rewrite"); d != nil {
		d.lost("Weir forwards the path as it came")
		return nil, "rewrite"
	}
	if d := firstOf(l.directive, "proxy_pass", "grpc_pass"); d != nil {
		return im.service(l, d)
	}
	if d := firstOf(l.directive, "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "stub_status", "empty_gif", "perl", "mp4", "flv", "dav_methods", "api", "js_content"); d != nil {
		d.lost("Weir speaks HTTP to services and serves files, nothing else")
		return nil, d.name
	}
	for _, c := range l.block {
		if strings.HasSuffix(c.name, "_by_lua_block") || strings.HasSuffix(c.name, "_by_lua_file") || strings.HasSuffix(c.name, "_by_lua") {
			return nil, c.name
		}
	}
	return im.static(l)
}

// closed is the route of a location that nobody may see, in nginx as here.
func (im *importer) closed(l *location, d *directive) *route {
	return &route{access: []string{im.nobody()}, from: []*directive{l.directive, d}}
}

// refusal marks a return of an error, or of what Weir has not.
func (im *importer) refusal(d *directive) {
	switch code := d.arg(0); {
	case code == "403" && len(d.args) == 1:
		exact(d)
	case code == "444" || len(code) == 3 && code[0] == '4' && len(d.args) == 1:
		d.note("403 in place of %s", code)
	case len(code) == 3 && code[0] == '2':
		d.lost("Weir answers no text of its own")
	default:
		d.lost("Weir redirects to https and nowhere else")
	}
}

func firstOf(d *directive, names ...string) *directive {
	for _, c := range d.block {
		if slices.Contains(names, c.name) {
			return c
		}
	}
	return nil
}

// addRoute adds a route, but for hosts that have one of that path already: from another server, on another socket.
func (im *importer) addRoute(r *route, by *directive) {
	hosts := r.hosts
	if r.hosts == nil {
		hosts = []string{""}
	}
	var left []string
	for _, h := range hosts {
		id := h + "\x00" + r.path
		other := im.routesAt[id]
		switch {
		case other == nil:
			im.routesAt[id] = r
			left = append(left, h)
		case !other.same(r):
			by.lost("%s has a route for this path already, from line %d: Weir's routes are the same on all its listeners", orAny(h), other.from[0].line)
		}
	}
	if len(left) == 0 {
		return
	}
	if r.hosts != nil {
		r.hosts = left
	}
	im.doc.routes = append(im.doc.routes, r)
}

func orAny(host string) string {
	if host == "" {
		return "any host"
	}
	return host
}

// same reports routes that do the same to a request.
func (r *route) same(o *route) bool {
	files := func(r *route) files {
		if r.files == nil {
			return files{}
		}
		return *r.files
	}
	return r.service == o.service && files(r) == files(o) && slices.Equal(r.limits, o.limits) && slices.Equal(r.access, o.access) &&
		r.auth == o.auth && r.headers == o.headers && r.maxBody == o.maxBody && r.compress == o.compress
}

// refuseWhereNothing gives the routes that refuse something to name: a route has a service or files, also where nobody comes to them. Without any service and
// files there is nothing to serve, and no route is left.
func (im *importer) refuseWhereNothing() {
	var f *files
	var s *service
	for _, r := range im.doc.routes {
		if f == nil {
			f = r.files
		}
		if s == nil {
			s = r.service
		}
	}
	if f == nil && s == nil {
		im.doc.routes = nil
		return
	}
	for _, r := range im.doc.routes {
		if r.files == nil && r.service == nil {
			if r.service = s; s == nil {
				r.files = f
			}
		}
	}
}

// static makes a route that serves files.
func (im *importer) static(l *location) (*route, string) {
	root, try := l.setting("root"), l.setting("try_files")
	if named := im.tried(l, try); named != nil {
		return im.throughNamed(l, try, named)
	}
	if auto := l.setting("autoindex"); auto.on() {
		auto.lost("Weir lists no folders")
	}
	f := &files{}
	if alias := l.last("alias"); alias != nil {
		// alias names the folder of what follows the location's path; a root is the same where that path is the end of the alias.
		with := strings.TrimSuffix(alias.arg(0), "/") + "/"
		rest, ok := strings.CutSuffix(with, strings.TrimSuffix(l.path, "/")+"/")
		if l.kind != byPrefix && l.kind != byStop || !ok || hasVariable(alias.arg(0)) {
			alias.lost("files are looked up by the whole path below root, as of nginx's root")
			return nil, "alias to a folder of another name"
		}
		exact(alias)
		root = alias
		f.root = im.path(im.prefix, rest+"/")
	} else if root != nil {
		if hasVariable(root.arg(0)) {
			root.lost("a folder has no variables")
			return nil, "root with a variable"
		}
		exact(root)
		f.root = im.path(im.prefix, root.arg(0))
	}
	if root == nil {
		return nil, "neither proxy_pass nor root: nginx has files of its own for it"
	}
	im.index(l, f)
	if try != nil {
		if why := im.tryFiles(l, try, f); why != "" {
			return nil, why
		}
	}
	return &route{files: f, from: []*directive{l.directive, root, try}}, ""
}

// index takes the first page that is a file's name.
func (im *importer) index(l *location, f *files) {
	d := l.setting("index")
	if d == nil {
		return
	}
	for _, name := range d.args {
		if !servable(name) || strings.Contains(name, "/") || strings.HasSuffix(name, ".php") {
			continue
		}
		if name != "index.html" {
			f.index = name
		}
		if len(d.args) == 1 {
			exact(d)
		} else {
			d.note("one index, %s", name)
		}
		return
	}
	d.lost("an index is the name of one file")
}

// servable reports a relative path that files are served by.
func servable(name string) bool {
	return name != "" && !path.IsAbs(name) && path.Clean(name) == name && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.") &&
		!strings.ContainsAny(name, "\\$")
}

// tryFiles reads try_files where all that is tried are files.
func (im *importer) tryFiles(l *location, d *directive, f *files) string {
	last := d.arg(len(d.args) - 1)
	for _, a := range d.args[:max(0, len(d.args)-1)] {
		switch a {
		case "$uri", "$uri/", "$uri/index.html":
		default:
			d.note("%s is not tried: what is asked for, and the index of a folder", shorten(a))
		}
	}
	if last == "=404" {
		exact(d)
		return ""
	}
	page, _, _ := strings.Cut(last, "?")
	if page = strings.TrimPrefix(strings.TrimPrefix(page, "$uri"), "/"); !servable(page) || strings.HasPrefix(last, "=") || strings.HasSuffix(page, ".php") {
		d.lost("what comes last is no page: in place of it clients get 404")
		return ""
	}
	f.fallback = page
	d.note("fallback: the page answers a GET that accepts text/html by name and does not look for an asset; the rest is 404")
	return ""
}

// tried is the named location that try_files ends with, or that of its path.
func (im *importer) tried(l *location, d *directive) *location {
	last := d.arg(max(0, len(argsOf(d))-1))
	if d == nil || !strings.HasPrefix(last, "@") {
		return nil
	}
	for at := l.directive; at != nil; at = at.parent {
		for _, o := range at.all("location") {
			if o.arg(0) == last {
				return &location{directive: o, kind: byName, path: last}
			}
		}
	}
	return nil
}

func argsOf(d *directive) []string {
	if d == nil {
		return nil
	}
	return d.args
}

// throughNamed is a location that tries files and then asks a service: Weir asks the service for all of it.
func (im *importer) throughNamed(l *location, try *directive, named *location) (*route, string) {
	r, why := im.answer(named)
	if why != "" || r.service == nil {
		try.lost("nothing is tried in turn, and what comes last is not translated")
		return nil, "try_files with " + named.path
	}
	exact(named.directive)
	try.lost("nothing is tried in turn: the service is asked for everything. Give the files a location (route) of their own")
	r.from = append([]*directive{l.directive}, r.from...)
	r.remarks = append(r.remarks, "not translated: "+try.text())
	return r, ""
}
