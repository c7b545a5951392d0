package nginx

import (
	"slices"
	"strings"
)

// server is one server block.
type server struct {
	*directive
	listens []listen
	names   []string // hosts as routes name them
	unnamed bool     // no server_name, or one that stands for none
	skipped bool     // nothing of it is in the result
	// toHTTPS says that all it does is to redirect to https; onPlain that it does so for requests that came without TLS.
	toHTTPS, onPlain bool
	byDefault        bool // says of itself that it is the default server of a socket
	first            bool // is the default server of a socket because it is the first
}

func (im *importer) newServer(d *directive) *server {
	s := &server{directive: d}
	exact(d)
	for _, x := range d.all("listen") {
		if l := parseListen(x); l.ok {
			s.listens = append(s.listens, l)
			s.byDefault = s.byDefault || l.byDefault
		}
	}
	if len(d.all("listen")) == 0 {
		l := listen{from: d, ok: true}
		l.address("80")
		s.listens = append(s.listens, l)
	}
	if ssl := d.setting("ssl"); ssl != nil { // before 1.25: all of the server's sockets
		ssl.note("as of listen … ssl")
		for i := range s.listens {
			s.listens[i].tls = s.listens[i].tls || ssl.on()
		}
	}
	im.serverNames(s)
	s.toHTTPS, s.onPlain = s.redirect()
	return s
}

// serverNames reads server_name. A name that no route can have is lost by itself; without any other the server is.
func (im *importer) serverNames(s *server) {
	given := 0
	for _, d := range s.all("server_name") {
		exact(d)
		for _, n := range d.args {
			given++
			n = strings.ToLower(n)
			switch {
			case n == "_" || n == "" || n == `""`:
				given--
			case strings.HasPrefix(n, "."):
				im.addName(s, d, n[1:])
				im.addName(s, d, "*"+n)
			default:
				im.addName(s, d, n)
			}
		}
	}
	s.unnamed = given == 0
	if given > 0 && len(s.names) == 0 {
		s.skip("none of its names can be a route's host")
	}
}

func (im *importer) addName(s *server, d *directive, name string) {
	switch {
	case strings.HasPrefix(name, "~"):
		d.lost("%s: a host is a name or *.name, no regular expression", shorten(name))
	case strings.HasSuffix(name, ".*"):
		d.lost("%s: a host is a name or *.name: write out the names that it stands for", shorten(name))
	case !hostName(name):
		d.lost("%s is no host name", shorten(name))
	case !slices.Contains(s.names, name):
		s.names = append(s.names, name)
	}
}

// skip leaves a server out, with all that it holds.
func (s *server) skip(why string) {
	if s.skipped {
		return
	}
	s.skipped = true
	s.lost("%s", why)
	s.lostBelow("its server is not translated")
}

// planes finds the servers that can be in one configuration. Weir's routes are the same on all its listeners, so servers that have no socket in
// common, or that only this machine can reach, would be opened to the clients of the others.
func (im *importer) planes() {
	root := make([]int, len(im.servers))
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			i = root[i]
		}
		return i
	}
	seen := map[string]int{}
	for i, s := range im.servers {
		for _, k := range s.planeKeys() {
			if j, ok := seen[k]; ok {
				root[find(i)] = find(j)
			} else {
				seen[k] = i
			}
		}
	}
	for i, s := range im.servers {
		for j, o := range im.servers {
			// What redirects belongs to what it redirects to. Others of one name may be there to show more on another port.
			if s.toHTTPS && o.hasTLS() && slices.ContainsFunc(s.names, func(n string) bool { return slices.Contains(o.names, n) }) {
				root[find(i)] = find(j)
			}
		}
	}
	members := map[int]int{}
	best := -1
	for i, s := range im.servers {
		if s.skipped || len(s.listens) == 0 {
			continue
		}
		p := find(i)
		members[p]++
		if !s.local() {
			members[p] += 1 << 20 // those that others can reach come first
		}
	}
	for i := range im.servers {
		if p := find(i); members[p] > 0 && (best < 0 || members[p] > members[best]) {
			best = p
		}
	}
	for i, s := range im.servers {
		switch {
		case len(s.listens) == 0:
			s.skip("none of its sockets could be translated")
		case best >= 0 && find(i) != best:
			s.skip("Weir's routes are the same on all its listeners, so it would be reached through those of the others too: put it into a file of its own, for a second weir")
		case best >= 0 && s.local() && members[best] >= 1<<20:
			s.skip("only this machine reaches it, and Weir's routes are the same on all its listeners: put it into a file of its own, for a second weir")
		}
	}
}

// planeKeys are what makes servers belong together: sockets, and the two ports of the web on one address.
func (s *server) planeKeys() (keys []string) {
	for _, l := range s.listens {
		keys = append(keys, l.key())
		if p := l.addr.Port(); p == 80 || p == 443 {
			of := "every address"
			if !l.addr.Addr().IsUnspecified() {
				of = l.addr.Addr().String()
			}
			keys = append(keys, "web on "+of)
		}
	}
	return keys
}

// local reports a server that only this machine can reach.
func (s *server) local() bool {
	return len(s.listens) > 0 && !slices.ContainsFunc(s.listens, func(l listen) bool { return !l.loopback() })
}

// hasTLS reports a server with a TLS socket.
func (s *server) hasTLS() bool {
	return slices.ContainsFunc(s.listens, func(l listen) bool { return l.tls })
}

// redirect reports a server that redirects to the same on https: all of it, or what comes without TLS.
func (s *server) redirect() (all, onPlain bool) {
	onPlain = slices.ContainsFunc(s.all("if"), func(d *directive) bool {
		return s.toSame(d.last("return")) && isPlainCondition(d.args)
	})
	if s.hasTLS() {
		return false, onPlain
	}
	switch ret := s.last("return"); {
	case s.toSame(ret):
		return true, false
	case slices.ContainsFunc(s.all("rewrite"), s.rewritesToSame):
		return true, false
	case s.certbot():
		return true, false
	case ret != nil:
		return false, false
	}
	if onPlain { // with nothing but plain sockets
		return true, false
	}
	found := false
	for _, l := range s.all("location") {
		switch {
		case l.arg(0) == "/" && s.toSame(l.last("return")):
			found = true
		case l.arg(0) == "/" && slices.ContainsFunc(l.all("rewrite"), s.rewritesToSame):
			found = true
		case isChallenge(l):
		default:
			return false, false
		}
	}
	return found, false
}

// certbot reports what certbot writes: if ($host = NAME) { return 301 https://… } for every name, and return 404.
func (s *server) certbot() bool {
	ret := s.last("return")
	if ret != nil && ret.arg(0) != "404" {
		return false
	}
	named := map[string]bool{}
	for _, d := range s.all("if") {
		words := conditionWords(d.args)
		if len(words) != 3 || words[0] != "$host" || words[1] != "=" || !s.toSame(d.last("return")) {
			return false
		}
		named[strings.ToLower(words[2])] = true
	}
	return len(s.names) > 0 && !slices.ContainsFunc(s.names, func(n string) bool { return !named[n] })
}

// conditionWords are the words between the parentheses of an if.
func conditionWords(args []string) []string {
	text := strings.Join(args, " ")
	text = strings.TrimSuffix(strings.TrimPrefix(text, "("), ")")
	return strings.Fields(text)
}

func isPlainCondition(args []string) bool {
	words := conditionWords(args)
	if len(words) != 3 {
		return false
	}
	switch words[0] + words[1] + strings.ToLower(words[2]) {
	case "$scheme=http", "$scheme!=https", "$https!=on", "$server_port=80", "$server_port!=443":
		return true
	}
	return false
}

func isChallenge(l *directive) bool {
	return strings.HasPrefix(l.arg(len(l.args)-1), "/.well-known/acme-challenge")
}

// toSame reports a return that redirects to the same host and address on https.
func (s *server) toSame(d *directive) bool {
	if d == nil {
		return false
	}
	target := d.arg(0)
	switch target {
	case "301", "302", "303", "307", "308":
		target = d.arg(1)
	}
	rest, ok := s.sameHost(target)
	return ok && (rest == "$request_uri" || rest == "$uri$is_args$args")
}

// rewritesToSame reports a rewrite that does.
func (s *server) rewritesToSame(d *directive) bool {
	rest, ok := s.sameHost(d.arg(1))
	if !ok {
		return false
	}
	switch d.arg(0) {
	case "^", "^.*", "^.*$", ".*":
		return rest == "$request_uri" || rest == "$request_uri?" || rest == "$uri"
	case "^(.*)", "^(.*)$", "(.*)", "^/(.*)$", "^/(.*)":
		return rest == "$1" || rest == "/$1" || rest == "$request_uri" || rest == "$request_uri?"
	}
	return false
}

// sameHost cuts "https://" and the client's own host off a target. The host can be written out where the server has no other name.
func (s *server) sameHost(target string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(target, "https://")
	if !ok {
		return "", false
	}
	for _, h := range []string{"$host", "$http_host", "$server_name", "${host}"} {
		if after, found := strings.CutPrefix(rest, h); found && (after == "" || after[0] == '$' || after[0] == '/') {
			return after, h != "$server_name" || len(s.names) <= 1
		}
	}
	if len(s.names) == 1 {
		return strings.CutPrefix(rest, s.names[0])
	}
	return "", false
}

// redirects reports a socket on which nothing is done but redirecting to https, whatever else is refused there.
func (k *socket) redirects() bool {
	some := false
	for _, s := range k.servers {
		if s.toHTTPS || s.onPlain {
			some = true
		} else if !s.refusesAll() {
			return false
		}
	}
	return some && !k.tls
}

// refusesAll reports a server that answers nothing but an error, as a default server for strangers does.
func (s *server) refusesAll() bool {
	d := s.last("return")
	return d != nil && len(d.arg(0)) == 3 && d.arg(0)[0] == '4'
}

// redirects marks what redirects to https: a listener does it for all its hosts, or not at all.
func (im *importer) redirects(sockets []*socket, target bool) {
	for _, k := range sockets {
		for _, s := range k.servers {
			if !s.toHTTPS && !s.onPlain {
				continue
			}
			for _, d := range s.redirecting() {
				switch {
				case k.tls:
				case !target:
					d.lost("there is no TLS listener that could be redirected to")
				case !k.redirects():
					d.lost("another server on this socket serves without TLS, and a listener of Weir's redirects all its hosts or none: these hosts are served without TLS too")
				default:
					d.note(`redirect = "https" in the listener: 308, which keeps the method, for what a route serves, and 404 for the rest`)
				}
			}
		}
	}
}

// redirecting are the directives that do it.
func (s *server) redirecting() (list []*directive) {
	add := func(block *directive) {
		for _, d := range block.block {
			if d.name == "return" || d.name == "rewrite" && s.rewritesToSame(d) {
				list = append(list, d)
			}
		}
	}
	if s.toHTTPS {
		add(s.directive)
	}
	for _, d := range s.all("if") {
		if s.toSame(d.last("return")) {
			list = append(list, d)
			add(d)
		}
	}
	for _, l := range s.all("location") {
		if s.toHTTPS && l.arg(0) == "/" {
			list = append(list, l)
			add(l)
		}
	}
	return list
}

// defaults finds the server that strangers come to on a socket.
func (im *importer) defaults(k *socket) {
	if k.first.byDefault || k.first.unnamed || k.first.toHTTPS || len(k.servers) == 0 {
		k.first.first = true
		return
	}
	k.listens[slices.Index(k.servers, k.first)].from.note("the first server takes the hosts that no other names, in nginx; Weir answers those 404 or 421: leave host out of its routes if they are to be served")
}
