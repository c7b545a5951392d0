package nginx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// groups gives a service its groups: of a split_clients, of an upstream block, or of one server. The name is what the service is called by.
func (im *importer) groups(l *location, s *service, host, port string) (name, why string) {
	if split := im.splits[host]; split != nil {
		return im.split(split, s, port)
	}
	g := &group{name: "main"}
	s.groups = []*group{g}
	if u := im.upstreams[host]; u != nil {
		return host, im.upstream(u, s, g, port)
	}
	t, ok := plainTarget(host, port)
	if !ok {
		return "", shorten(host) + " is neither an upstream nor the address of a server"
	}
	g.targets = []target{t}
	return host, ""
}

// upstream reads an upstream block into a group, and what it says of balancing into the service.
func (im *importer) upstream(u *directive, s *service, g *group, port string) (why string) {
	exact(u)
	g.from = u
	s.balance = "round_robin"
	seen := map[string]bool{}
	fails := map[string]bool{}
	for _, d := range u.all("server") {
		t, ok := im.upstreamServer(d, s, port, fails)
		if !ok || seen[t.address+t.dns+t.srv] {
			if ok {
				d.lost("is there twice")
			}
			continue
		}
		seen[t.address+t.dns+t.srv] = true
		g.targets = append(g.targets, t)
	}
	if len(fails) > 1 {
		s.ejection = nil
		for _, d := range u.all("server") {
			if d.state != NotTranslated {
				d.note("max_fails and fail_timeout differ between servers, ejection is one for all: left at Weir's default")
			}
		}
	}
	im.balance(u, s)
	if len(g.targets) == 0 {
		return "no server of upstream " + shorten(u.arg(0)) + " could be translated"
	}
	return ""
}

// upstreamServer reads one server of an upstream; false for one that is left out.
func (im *importer) upstreamServer(d *directive, s *service, port string, fails map[string]bool) (t target, ok bool) {
	address := d.arg(0)
	if strings.HasPrefix(address, "unix:") {
		d.lost("a unix socket: Weir's targets are addresses and names")
		return t, false
	}
	t, ok = plainTarget(address, port)
	if !ok {
		d.lost("%s is no address of a server", shorten(address))
		return t, false
	}
	exact(d)
	if t.dns != "" {
		d.note("resolved again as its TTL runs out; each address is a target")
	}
	consecutive, base := -1, 10*time.Second
	for _, p := range d.args[1:] {
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.Atoi(value)
		switch name {
		case "weight":
			if t.weight = n; err != nil || n < 1 || n > 1000 {
				t.weight = min(max(n, 1), 1000)
				d.note("weight %d: from 1 to 1000", t.weight)
			}
		case "max_fails":
			consecutive = min(max(n, 0), 10_000)
		case "fail_timeout":
			if v, ok := parseTime(value); ok {
				base = min(max(v, 100*time.Millisecond), time.Hour)
				if v == 0 { // a server that is never left alone
					consecutive = 0
				}
			}
		case "down":
			return t, false // as nginx: it is there for ip_hash alone
		case "backup":
			d.lost("no target is kept for when the others are gone: it is left out")
			return t, false
		case "resolve", "zone":
		case "service":
			t.dns, t.srv = "", "_"+value+"._tcp."+address
			d.note("by SRV records, which carry port and weight")
		case "slow_start":
			im.slowStart(d, s, value)
		default:
			d.lost("%s: Weir has nothing like it; the server itself is translated", shorten(name))
		}
	}
	im.ejection(d, s, consecutive, base)
	fails[fmt.Sprint(consecutive, base)] = true
	return t, true
}

func (im *importer) slowStart(d *directive, s *service, value string) {
	t, ok := parseTime(value)
	if !ok || t > time.Hour {
		d.lost("slow_start is at most 1h")
		return
	}
	if !slices.ContainsFunc(s.timeouts, func(o timeout) bool { return o.key == "slow_start" }) {
		s.timeouts = append(s.timeouts, timeout{"slow_start", t})
	}
}

// ejection takes over max_fails and fail_timeout where they are said; nginx's default (one failure, ten seconds) is not, because one failure in any time is no
// evidence and Weir's own judgement is better.
func (im *importer) ejection(d *directive, s *service, consecutive int, base time.Duration) {
	switch {
	case consecutive < 0:
	case consecutive == 0:
		s.ejection = &ejection{off: true}
	default:
		s.ejection = &ejection{consecutive: consecutive, base: base}
		d.note("max_fails: so many failures in a row, whatever time is between them; the first ejection is %s, later ones are longer", duration(base))
	}
}

// balance reads how an upstream's servers are chosen.
func (im *importer) balance(u *directive, s *service) {
	for _, d := range u.block {
		switch d.name {
		case "least_conn":
			exact(d)
			s.balance = "least_conn"
		case "ip_hash":
			d.note("by the whole address, of IPv6 the /64; nginx takes three octets of IPv4")
			s.balance = "hash:client_ip"
		case "hash":
			im.hash(d, s)
		case "random":
			d.note("least_request: two at random, the one with fewer requests")
			s.balance = "least_request"
		case "least_time":
			d.note("peak_ewma: two at random, by latency and requests in flight")
			s.balance = "peak_ewma"
		case "sticky":
			if d.arg(0) == "cookie" {
				d.note("a signed cookie of weir's own, weir_SERVICE, which keeps clients with a group")
				s.sticky = "cookie"
			} else {
				d.lost("sticky %s", shorten(d.arg(0)))
			}
		case "keepalive", "keepalive_timeout", "keepalive_requests", "keepalive_time":
			d.note("Weir keeps connections by itself and closes them before the target does")
		case "zone", "resolver", "state":
			d.note("needless: targets are known to the whole process, names resolved by the system's resolver")
		}
	}
}

func (im *importer) hash(d *directive, s *service) {
	key := d.arg(0)
	switch {
	case key == "$remote_addr" || key == "$binary_remote_addr":
		s.balance = "hash:client_ip"
	case key == "$uri" || key == "$request_uri":
		s.balance = "hash:path"
		if key == "$request_uri" {
			d.note("by the path without query")
		}
	case cookieOf(key) != "":
		s.balance = "hash:cookie:" + cookieOf(key)
	case headerOf(key) != "":
		s.balance = "hash:header:" + headerOf(key)
	default:
		d.lost("%s: by client_ip, path, header:NAME or cookie:NAME; round_robin instead", shorten(key))
		return
	}
	if d.arg(1) == "consistent" {
		exact(d)
	} else {
		d.note("a hash of Weir's is always consistent")
	}
}

// cookieOf is the NAME of "$cookie_NAME", else "".
func cookieOf(v string) string {
	name, ok := strings.CutPrefix(v, "$cookie_")
	if !ok || !isToken(name) || hasVariable(name) {
		return ""
	}
	return name
}

// headerOf is the field of "$http_NAME", else "". nginx has "_" for "-".
func headerOf(v string) string {
	name, ok := strings.CutPrefix(v, "$http_")
	if !ok || !isToken(name) || hasVariable(name) {
		return ""
	}
	return fieldName(name)
}

// fieldName is how a field is written: x_tenant_id is X-Tenant-Id.
func fieldName(variable string) string {
	words := strings.Split(variable, "_")
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "-")
}

// split makes weighted groups of a split_clients whose values are upstreams.
func (im *importer) split(d *directive, s *service, port string) (name, why string) {
	fail := func(why string) (string, string) {
		d.lost("%s", why)
		return "", "split_clients that is not translated"
	}
	exact(d)
	sum := 0
	rest := -1
	for _, e := range d.block {
		value := e.arg(0)
		u := im.upstreams[value]
		if u == nil {
			return fail(shorten(value) + " is no upstream")
		}
		g := &group{name: label(value, "group")}
		if slices.ContainsFunc(s.groups, func(o *group) bool { return o.name == g.name }) {
			return fail(g.name + " is there twice")
		}
		if why := im.upstream(u, s, g, port); why != "" {
			return fail(why)
		}
		percent, err := strconv.ParseFloat(strings.TrimSuffix(e.name, "%"), 64)
		switch {
		case e.name == "*":
			rest = len(s.groups)
		case err != nil || !strings.HasSuffix(e.name, "%") || percent < 0 || percent > 100:
			return fail(shorten(e.name) + " is no percentage")
		default:
			sum += int(math.Round(percent * 100))
			g.weight = weight(int(math.Round(percent * 100)))
		}
		s.groups = append(s.groups, g)
	}
	if rest >= 0 && sum <= 10_000 {
		s.groups[rest].weight = weight(10_000 - sum)
	} else if rest >= 0 || sum != 10_000 {
		return fail("the percentages are not 100 together")
	}
	s.sticky = im.splitKey(d)
	return label(strings.TrimPrefix(d.arg(1), "$"), "split"), ""
}

// weight is hundredths of a percent as Weir writes them.
func weight(hundredths int) string { return strconv.FormatFloat(float64(hundredths)/100, 'f', -1, 64) }

// splitKey is what clients are told apart by.
func (im *importer) splitKey(d *directive) string {
	key := strings.NewReplacer("{", "", "}", "").Replace(d.arg(0))
	switch {
	case strings.HasPrefix(key, "$remote_addr"), strings.HasPrefix(key, "$binary_remote_addr"):
		d.note("other clients than nginx's are in each group")
		return "client_ip"
	case cookieOf(key) != "":
		d.note("other clients than nginx's are in each group")
		return "cookie:" + cookieOf(key)
	case headerOf(key) != "":
		d.note("other clients than nginx's are in each group")
		return "header:" + headerOf(key)
	}
	d.note("requests are dealt one by one: %s is nothing that clients are known by", shorten(d.arg(0)))
	return "off"
}
