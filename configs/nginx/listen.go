package nginx

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// listen is one listen directive, read.
type listen struct {
	from          *directive
	addr          netip.AddrPort // zero Addr for every IPv4 address
	v6            bool           // "[::]", every IPv6 address
	tls           bool
	http2         bool
	quic          bool
	byDefault     bool
	proxyProtocol bool
	ok            bool // false: a unix socket, or a name
}

// key is equal for listens of one listener. IPv4 and IPv6 of one port are one.
func (l listen) key() string {
	if l.addr.Addr().IsUnspecified() {
		return "every address:" + strconv.Itoa(int(l.addr.Port()))
	}
	return l.addr.String()
}

// loopback reports a socket that only this machine can reach.
func (l listen) loopback() bool { return l.addr.Addr().IsLoopback() }

// parseListen reads a listen directive, and marks it.
func parseListen(d *directive) listen {
	l := listen{from: d}
	text := d.arg(0)
	if strings.HasPrefix(text, "unix:") {
		d.lost("a unix socket: Weir listens for clients on TCP and UDP")
		return l
	}
	if !l.address(text) {
		d.lost("%q is no IP address and port: a name would have to be resolved", shorten(text))
		return l
	}
	l.ok = true
	exact(d)
	for _, p := range d.args[min(1, len(d.args)):] {
		l.param(d, p)
	}
	return l
}

func (l *listen) address(text string) bool {
	if port, err := strconv.ParseUint(text, 10, 16); err == nil {
		l.addr = netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port))
		return port > 0
	}
	host, port := text, "80"
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:i], text[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return false
	}
	switch host {
	case "*":
		host = "0.0.0.0"
	case "localhost":
		host = "127.0.0.1"
		l.from.note("localhost is taken for 127.0.0.1")
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	if err != nil || ip.Zone() != "" {
		return false
	}
	l.addr = netip.AddrPortFrom(ip, uint16(n))
	l.v6 = ip.Is6()
	return true
}

func (l *listen) param(d *directive, p string) {
	switch name, _, _ := strings.Cut(p, "="); name {
	case "ssl":
		l.tls = true
	case "http2", "spdy":
		l.http2 = true
	case "quic", "http3":
		l.quic = true
	case "default_server", "default":
		l.byDefault = true
	case "proxy_protocol":
		l.proxyProtocol = true
	case "reuseport", "backlog", "rcvbuf", "sndbuf", "deferred", "bind", "so_keepalive", "fastopen", "setfib", "accept_filter", "ipv6only", "multipath":
		d.note("%s: Weir sets its sockets up itself", name)
	default:
		d.note("%s is unknown here", shorten(name))
	}
}

// socket is all that is said of one address by the servers on it. The first is nginx's default server unless one says that it is.
type socket struct {
	listens []listen
	servers []*server // whose listens they are, one for one
	first   *server   // the default server
	tls     bool
}

// sockets are the addresses of the servers that are taken, in file order.
func (im *importer) sockets() (list []*socket) {
	byKey := map[string]*socket{}
	for _, s := range im.servers {
		if s.skipped {
			continue
		}
		for _, l := range s.listens {
			k := byKey[l.key()]
			if k == nil {
				k = &socket{first: s}
				byKey[l.key()] = k
				list = append(list, k)
			}
			k.listens = append(k.listens, l)
			k.servers = append(k.servers, s)
			k.tls = k.tls || l.tls && !l.quic
			if l.byDefault {
				k.first = s
			}
		}
	}
	return list
}

// listeners makes a listener of each socket.
func (im *importer) listeners() {
	sockets := im.sockets()
	withTLS := im.certificates(sockets)
	if !withTLS {
		im.skipEncrypted()
		sockets = im.sockets()
	}
	im.redirects(sockets, withTLS)
	for _, k := range sockets {
		im.defaults(k)
	}
	for _, k := range sockets {
		l := k.listens[0]
		if k.tls && !withTLS {
			for _, x := range k.listens {
				x.from.lost("a TLS listener needs a certificate, and none could be translated")
			}
			continue
		}
		address, all := k.address()
		if !all && covered(l, sockets) {
			for _, x := range k.listens {
				x.from.lost("the same port of every address is a listener of its own, which Weir cannot open beside it")
			}
			continue
		}
		made := &listener{address: address, tls: k.tls, redirect: withTLS && k.redirects()}
		im.join(made, k)
		im.listenerSettings(made, k)
		im.doc.listeners = append(im.doc.listeners, made)
	}
	im.unencrypted()
	for _, l := range im.doc.listeners {
		if len(l.protocols) == 1 && l.protocols[0] == "http/1.1" && !l.tls {
			l.protocols = nil // the default
		}
	}
}

// unencrypted tells which servers were reached by TLS alone and are now without it too, because another server's listener serves plain requests.
func (im *importer) unencrypted() {
	plain := slices.IndexFunc(im.doc.listeners, func(l *listener) bool { return !l.tls && !l.redirect })
	if plain < 0 {
		return
	}
	for _, s := range im.servers {
		if s.skipped || slices.ContainsFunc(s.listens, func(l listen) bool { return !l.tls }) {
			continue
		}
		for _, l := range s.listens {
			l.from.lost("there is a listener, but the server is reached without TLS too, by that of %s: Weir's routes are the same on all its listeners", im.doc.listeners[plain].address)
		}
	}
}

// skipEncrypted leaves out the servers that were reached by TLS alone, where there is no certificate: they must not be reached without.
func (im *importer) skipEncrypted() {
	for _, s := range im.servers {
		if s.hasTLS() && !slices.ContainsFunc(s.listens, func(l listen) bool { return !l.tls }) {
			s.skip("a TLS listener needs a certificate, and none could be translated")
		}
	}
}

// address is a socket's address as Weir has it; all, if it stands for every address of the machine.
func (k *socket) address() (address string, all bool) {
	l := k.listens[0]
	if !l.addr.Addr().IsUnspecified() {
		return l.addr.String(), false
	}
	port := strconv.Itoa(int(l.addr.Port()))
	six := func(l listen) bool { return l.v6 }
	four := func(l listen) bool { return !l.v6 }
	switch {
	case slices.ContainsFunc(k.listens, six) && slices.ContainsFunc(k.listens, four):
		return ":" + port, true
	case l.v6:
		return "[::]:" + port, true
	}
	return "0.0.0.0:" + port, true
}

// covered reports whether another socket is on every address of this one's port.
func covered(l listen, sockets []*socket) bool {
	return slices.ContainsFunc(sockets, func(k *socket) bool {
		return k.listens[0].addr.Port() == l.addr.Port() && k.listens[0].addr.Addr().IsUnspecified()
	})
}

// join adds what the servers of a socket say to its listener.
func (im *importer) join(made *listener, k *socket) {
	h2, h3, proxied, old := false, false, false, false
	for _, l := range k.listens {
		made.from = append(made.from, l.from)
		h2, h3, proxied, old = h2 || l.http2, h3 || l.quic, proxied || l.proxyProtocol, old || l.http2
	}
	for _, s := range k.servers {
		if d := s.setting("http2"); d != nil {
			exact(d)
			h2 = h2 || d.on()
		}
		if d := s.setting("http3"); d != nil {
			exact(d)
		}
	}
	protocols := []string{"http/1.1"}
	if h2 {
		protocols = append(protocols, "h2")
		if !k.tls && old {
			k.listens[0].from.note("HTTP/1.1 is spoken beside HTTP/2 with prior knowledge")
		}
	}
	if h3 && k.tls && !proxied {
		protocols = append(protocols, "h3")
	} else if h3 {
		for _, l := range k.listens {
			if l.quic {
				l.from.lost("HTTP/3 needs TLS on the same port, and no proxy_protocol")
			}
		}
	}
	for _, p := range protocols {
		if !slices.Contains(made.protocols, p) {
			made.protocols = append(made.protocols, p)
		}
	}
	if proxied {
		im.proxied(made, k)
	}
}

// proxied says who may begin a connection with a PROXY header. nginx takes it from everybody, and goes by it where set_real_ip_from says so; an address that
// everybody may state is nobody's, so without those words it is taken from private networks, where load balancers are, and is a bad request from others.
func (im *importer) proxied(made *listener, k *socket) {
	header := k.first.setting("real_ip_header")
	if header.arg(0) == "proxy_protocol" {
		for _, d := range k.first.inherited("set_real_ip_from") {
			if n, ok := network(d.arg(0)); ok && prefix(n).Bits() > 0 && !slices.Contains(made.proxyProtocol, n) {
				exact(d)
				made.proxyProtocol = append(made.proxyProtocol, n)
			}
		}
	}
	if len(made.proxyProtocol) > 0 {
		exact(header)
		return
	}
	made.proxyProtocol = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "::1/128"}
	for _, l := range k.listens {
		if l.proxyProtocol {
			l.from.lost("there is a listener, but who may send a PROXY header is not said (set_real_ip_from with real_ip_header proxy_protocol): private networks, until you name them")
		}
	}
}

// listenerSettings takes over what nginx says per server and Weir per listener: that of the default server, by which nginx reads the head too.
func (im *importer) listenerSettings(made *listener, k *socket) {
	for _, c := range []struct {
		name, key string
		most      time.Duration
	}{
		{"client_header_timeout", "header_timeout", 10 * time.Minute},
		{"keepalive_timeout", "idle_timeout", 24 * time.Hour},
		{"client_body_timeout", "body_timeout", 24 * time.Hour},
		{"send_timeout", "write_timeout", 24 * time.Hour},
	} {
		d := k.first.setting(c.name)
		if d == nil {
			continue
		}
		t, ok := parseTime(d.arg(0))
		switch {
		case !ok:
			d.lost("%q is no time", shorten(d.arg(0)))
		case t < 100*time.Millisecond || t > c.most:
			d.lost("%s is from 100ms to %s", c.key, duration(c.most))
		default:
			d.note("%s of the listener", c.key)
			made.timeouts = append(made.timeouts, timeout{c.key, t})
		}
		for _, s := range k.servers {
			if other := s.setting(c.name); other != nil && other != d {
				other.lost("%s belongs to the listener: the default server's is taken", c.key)
			}
		}
	}
	if d := k.first.setting("large_client_header_buffers"); d != nil {
		im.headerBuffers(made, d)
	}
}

func (im *importer) headerBuffers(made *listener, d *directive) {
	count, err := strconv.Atoi(d.arg(0))
	each, ok := parseSize(d.arg(1))
	if err != nil || !ok || count < 1 {
		d.lost("is no number and size")
		return
	}
	total := min(int64(count)*min(each, 1<<30), 32<<10)
	total, uri := max(total, 1<<10), min(max(each, 1), max(total, 1<<10))
	made.maxHeader, made.maxURI = size(total), size(uri)
	d.note("max_header %s, at most 32KiB, and max_uri %s", made.maxHeader, made.maxURI)
}
