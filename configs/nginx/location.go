package nginx

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// kinds of location, by the modifier.
const (
	byPrefix = ""
	byExact  = "="
	byStop   = "^~" // a prefix that regular expressions are not asked after
	byRegex  = "~"
	byRegexI = "~*"
	byName   = "@"
)

// location is one location of a server, or the server itself where nothing else takes a request.
type location struct {
	*directive
	kind, path string
	outer      *location
	order      int
}

// locationsOf are a server's locations with those inside of others, nested ones first, because nginx looks there first.
func locationsOf(block *directive, outer *location) (list []*location) {
	for _, d := range block.all("location") {
		l := &location{directive: d, outer: outer, path: d.arg(0)}
		if len(d.args) == 2 {
			l.kind, l.path = d.arg(0), d.arg(1)
		} else {
			for _, m := range []string{byStop, byRegexI, byRegex, byExact} { // "=/x" is written too
				if rest, ok := strings.CutPrefix(l.path, m); ok {
					l.kind, l.path = m, rest
					break
				}
			}
		}
		if strings.HasPrefix(l.path, "@") && l.kind == byPrefix {
			l.kind = byName
		}
		list = append(list, locationsOf(d, l)...)
		list = append(list, l)
	}
	return list
}

// patterns are the paths of routes that take what nginx's location takes, the first the main one; why, where there are none.
func (l *location) patterns(all []*location) (paths []string, why string) {
	if !utf8.ValidString(l.path) {
		return nil, "its path is no UTF-8, as the text of a configuration of Weir's has to be"
	}
	switch l.kind {
	case byExact:
		p, why := encodePath(l.path)
		return []string{"=" + p}, why
	case byRegex, byRegexI:
		return l.regex(all)
	case byStop:
		if slices.ContainsFunc(all, func(o *location) bool { return o.kind == byRegex || o.kind == byRegexI }) {
			l.note("a regular expression ahead of the others, because a prefix of Weir's comes after all of them")
			return []string{"~^" + regexp.QuoteMeta(l.path)}, ""
		}
	}
	p, why := encodePath(l.path)
	if why != "" {
		return nil, why
	}
	return []string{p}, ""
}

// regex is the pattern of a location by regular expression. RE2 has no look-around; what is refused by one that looks ahead is refused without.
func (l *location) regex(all []*location) (paths []string, why string) {
	expr := l.path
	if o := l.outer; o != nil && !strings.HasPrefix(expr, "^") {
		if o.kind != byPrefix && o.kind != byStop {
			return nil, "inside of a location that is no prefix"
		}
		expr = "^" + regexp.QuoteMeta(o.path) + ".*(?:" + expr + ")"
		if slices.ContainsFunc(all, func(x *location) bool {
			return x.outer != o && (x.kind == byPrefix || x.kind == byStop) && len(x.path) > len(o.path) && strings.HasPrefix(x.path, o.path)
		}) {
			l.note("asked for everything below %s, also where a longer prefix beside it would take it", o.path)
		}
	}
	if l.kind == byRegexI {
		expr = "(?i)" + expr
	}
	_, err := regexp.Compile("(?s)" + expr)
	if bare := withoutLookAround(expr); err != nil && l.guarding() && bare != expr {
		if _, again := regexp.Compile("(?s)" + bare); again == nil {
			l.note("without its look-around, which RE2 has not: it guards more than before")
			return []string{"~" + bare}, ""
		}
	}
	if err != nil {
		return nil, "its regular expression is none of RE2's: " + reason(err)
	}
	return []string{"~" + expr}, ""
}

// guarding reports a location that is there to keep something from somebody.
func (l *location) guarding() bool {
	return firstOf(l.directive, "deny", "internal", "auth_basic", "auth_request") != nil || len(l.last("return").arg(0)) == 3 && l.last("return").arg(0)[0] == '4'
}

// withoutLookAround takes groups that look ahead or behind out of an expression.
func withoutLookAround(expr string) string {
	var b strings.Builder
	for i := 0; i < len(expr); i++ {
		rest := expr[i:]
		if expr[i] == '\\' && i+1 < len(expr) {
			b.WriteString(rest[:2])
			i++
			continue
		}
		if strings.HasPrefix(rest, "(?!") || strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?<!") || strings.HasPrefix(rest, "(?<=") {
			i += groupLength(rest) - 1
			continue
		}
		b.WriteByte(expr[i])
	}
	return b.String()
}

// groupLength is how long the group is that an expression begins with.
func groupLength(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// reason is what is wrong with an expression, without the expression.
func reason(err error) string {
	text := strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	if strings.HasPrefix(text, "invalid or unsupported Perl syntax") {
		return "no look-around, no possessive and no atomic groups"
	}
	text, _, _ = strings.Cut(text, ":")
	return text
}

// encodePath writes a location's path as clients send it: nginx has it decoded.
func encodePath(p string) (encoded, why string) {
	if !strings.HasPrefix(p, "/") {
		return "", "does not begin with a slash: no request has such a path"
	}
	for s := range strings.SplitSeq(p, "/") {
		s, _, _ = strings.Cut(s, ";")
		if s == "." || s == ".." {
			return "", "has a dot segment, which no request has when it is routed"
		}
	}
	var b strings.Builder
	for i := range len(p) {
		switch c := p[i]; {
		case c == 0:
			return "", "has a NUL"
		case c <= ' ' || c == 0x7f || c == '\\' || c == '?' || c == '#' || c == '%' || c == '*': // which Weir's paths do not end with
			const hex = "0123456789ABCDEF"
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		default:
			b.WriteByte(c)
		}
	}
	if strings.Contains(b.String(), "\\") || strings.Contains(b.String(), "%5C") {
		return "", "has a backslash"
	}
	return b.String(), ""
}

// ordered puts locations into the order in which regular expressions among their routes are to be asked: ^~ first, the longest ahead, then as in the file.
func ordered(list []*location) []*location {
	rank := func(l *location) int {
		switch l.kind {
		case byExact:
			return 0
		case byStop:
			return 1
		case byRegex, byRegexI:
			return 2
		}
		return 3
	}
	list = slices.Clone(list)
	for i, l := range list {
		l.order = i
	}
	slices.SortStableFunc(list, func(a, b *location) int {
		if a.kind == byStop && b.kind == byStop {
			return cmp.Compare(len(b.path), len(a.path))
		}
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.order, b.order))
	})
	return list
}

// server makes the routes of a server.
func (im *importer) server(s *server) {
	hosts := im.hostSets(s)
	all := locationsOf(s.directive, nil)
	switch ret := s.last("return"); {
	case s.toHTTPS:
		im.challenges(s, all, hosts)
		return
	case ret != nil:
		im.returnsAll(s, ret, all, hosts)
		return
	case len(hosts) == 0:
		s.skip("no request reaches it: it has no name, and another server is the default")
		return
	}
	if !slices.ContainsFunc(all, func(l *location) bool {
		return l.path == "/" && l.outer == nil && (l.kind == byPrefix || l.kind == byStop)
	}) &&
		s.setting("root") != nil {
		all = append(all, &location{directive: s.directive, path: "/"})
	}
	for _, l := range ordered(all) {
		im.location(s, l, all, hosts)
	}
}

// hostSets are the hosts of a server's routes, nil for any: the default server's are for any host, and for its own names as well where another server's wildcard
// would take them.
func (im *importer) hostSets(s *server) [][]string {
	if s.byDefault || s.first && s.unnamed {
		sets := [][]string{nil}
		for _, n := range s.names {
			if im.wildcardOver(s, n) {
				return append(sets, s.names)
			}
		}
		return sets
	}
	if len(s.names) == 0 {
		return nil
	}
	return [][]string{s.names}
}

func (im *importer) wildcardOver(s *server, name string) bool {
	return slices.ContainsFunc(im.servers, func(o *server) bool {
		return o != s && !o.skipped && slices.ContainsFunc(o.names, func(n string) bool {
			return strings.HasPrefix(n, "*.") && strings.HasSuffix(name, n[1:])
		})
	})
}

// challenges keeps what answers a CA beside a redirect: the CA follows that to https.
func (im *importer) challenges(s *server, all []*location, hosts [][]string) {
	for _, l := range all {
		if isChallenge(l.directive) && s.last("return") == nil && len(hosts) > 0 {
			im.location(s, l, all, hosts)
			l.note("the CA is redirected to https first and follows; [tls.acme] makes this and its timer needless")
		} else if l.path != "/" {
			l.lost("the redirect takes its requests")
			l.lostBelow("the redirect takes its requests")
		}
	}
}

// returnsAll is a server whose return answers every request, whatever its locations say.
func (im *importer) returnsAll(s *server, ret *directive, all []*location, hosts [][]string) {
	for _, l := range all {
		l.lost("the server's return takes its requests")
		l.lostBelow("the server's return takes its requests")
	}
	if s.refusesAll() && s.unnamed {
		ret.note("hosts that no route names are answered 404 or 421")
		return
	}
	if len(hosts) == 0 {
		ret.lost("no request reaches it")
		return
	}
	im.refusal(ret)
	for _, h := range hosts {
		im.addRoute(&route{hosts: h, path: "/", access: []string{im.nobody()}, from: []*directive{ret}, remarks: []string{"not translated: " + ret.text()}}, s.directive)
	}
}
