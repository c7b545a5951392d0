package nginx

import (
	"slices"
	"strings"
)

// certificates reads the key pairs of the TLS servers, those of the default servers first, because Weir shows the first to clients that name no host. False: there
// is none.
func (im *importer) certificates(sockets []*socket) bool {
	for _, k := range sockets {
		if k.tls {
			im.certificate(k.first)
		}
	}
	for _, k := range sockets {
		if !k.tls {
			continue
		}
		for _, s := range k.servers {
			im.certificate(s)
			im.protocolsOf(s)
			im.clientAuth(s)
		}
	}
	return len(im.doc.tls.certs) > 0
}

func (im *importer) certificate(s *server) {
	certs, keys := s.inherited("ssl_certificate"), s.inherited("ssl_certificate_key")
	for i, c := range certs {
		if i >= len(keys) {
			c.lost("without its key")
			continue
		}
		if hasVariable(c.arg(0)) || hasVariable(keys[i].arg(0)) || strings.HasPrefix(keys[i].arg(0), "engine:") || strings.HasPrefix(c.arg(0), "data:") {
			c.lost("a certificate is a file known beforehand; [tls.on_demand] obtains those of names that are not")
			keys[i].lost("a certificate is a file known beforehand")
			continue
		}
		exact(c, keys[i])
		made := certificate{im.path(im.dir, c.arg(0)), im.path(im.dir, keys[i].arg(0)), c}
		if !slices.ContainsFunc(im.doc.tls.certs, func(o certificate) bool { return o.cert == made.cert && o.key == made.key }) {
			im.doc.tls.certs = append(im.doc.tls.certs, made)
		}
	}
}

// protocolsOf reads ssl_protocols. There is one oldest version for all listeners: the oldest that any server takes.
func (im *importer) protocolsOf(s *server) {
	d := s.setting("ssl_protocols")
	if d == nil {
		return
	}
	oldest := "1.3"
	for _, p := range d.args {
		switch p {
		case "TLSv1.2":
			oldest = "1.2"
		case "TLSv1.3":
		default:
			oldest = "1.2"
			d.note("%s is not spoken: TLS 1.2 at least", shorten(p))
		}
	}
	exact(d)
	if t := &im.doc.tls; t.minVersion == "" || oldest < t.minVersion {
		if t.minVersion != "" {
			d.note("one min_version for all servers: 1.2")
		}
		t.minVersion, t.from = oldest, d
	} else if oldest > t.minVersion {
		d.note("one min_version for all servers: %s", t.minVersion)
	}
}

// clientAuth reads what asks clients for certificates.
func (im *importer) clientAuth(s *server) {
	verify := s.setting("ssl_verify_client")
	ca := s.setting("ssl_client_certificate")
	if verify == nil || verify.arg(0) == "off" {
		exact(verify)
		return
	}
	mode := map[string]string{"on": "require", "optional": "optional"}[verify.arg(0)]
	if mode == "" || ca == nil || hasVariable(ca.arg(0)) {
		verify.lost("needs on or optional, and the CAs in ssl_client_certificate")
		s.closed("ssl_verify_client could not be translated")
		return
	}
	made := clientAuth{hosts: s.names, ca: im.path(im.dir, ca.arg(0)), mode: mode, from: verify}
	if s.unnamed || s.byDefault {
		made.hosts = []string{"*"}
		verify.note("for the hosts of every server that does not say ssl_verify_client with on or optional itself")
	}
	if crl := s.setting("ssl_crl"); crl != nil {
		exact(crl)
		made.crl = im.path(im.dir, crl.arg(0))
	}
	exact(verify, ca)
	for _, o := range im.doc.tls.clientAuth {
		for _, h := range o.hosts {
			if slices.Contains(made.hosts, h) {
				if o.from != verify {
					verify.lost("%s has a policy already, from line %d", h, o.from.line)
				}
				return
			}
		}
	}
	im.doc.tls.clientAuth = append(im.doc.tls.clientAuth, made)
}

// pruneTLS takes out what no TLS listener and no route is left for.
func (im *importer) pruneTLS() {
	encrypted := slices.ContainsFunc(im.doc.listeners, func(l *listener) bool { return l.tls })
	if !encrypted {
		for _, c := range im.doc.tls.certs {
			c.from.lost("no TLS listener is left")
		}
		for _, c := range im.doc.tls.clientAuth {
			c.from.lost("no TLS listener is left")
		}
		im.doc.tls = tlsTable{}
		return
	}
	left := im.doc.tls.clientAuth[:0]
	for _, c := range im.doc.tls.clientAuth {
		c.hosts = slices.DeleteFunc(slices.Clone(c.hosts), func(h string) bool { return h != "*" && !im.served(h) })
		if len(c.hosts) == 0 {
			c.from.lost("no route of its hosts is left")
			continue
		}
		left = append(left, c)
	}
	im.doc.tls.clientAuth = left
}

// served reports whether a route names a host.
func (im *importer) served(host string) bool {
	return slices.ContainsFunc(im.doc.routes, func(r *route) bool { return r.hosts == nil || slices.Contains(r.hosts, host) })
}

// closed leaves a server out whose guard could not be said: it must not be open.
func (s *server) closed(why string) { s.skip(why) }
