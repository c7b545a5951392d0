package configs

import "slices"

// protocols checks what a listener speaks against what it is made of.
func (c checker) protocols(l Listener, path string) {
	c.earlyData(l, path)
	at := joinKey(path, "protocols")
	if c.bad(at) {
		return
	}
	tcp := slices.Contains(l.Protocols, "http/1.1") || slices.Contains(l.Protocols, "h2")
	switch quic := slices.Contains(l.Protocols, "h3"); {
	case len(l.Protocols) == 0:
		c.value(at, "protocols is empty: a listener speaks at least one")
	case !quic:
	case !l.TLS:
		c.value(at, "h3 without tls: QUIC is always encrypted; set tls = true")
	case !tcp:
		c.value(at, "h3 alone: clients learn of it by the Alt-Svc field of http/1.1 or h2; name one of them too")
	case len(l.ProxyProtocol) > 0 && !c.bad(joinKey(path, "proxy_protocol")):
		c.value(at, "h3 with proxy_protocol: QUIC has no PROXY header, so whose request it is would be the load balancer's word for one protocol and unknown for the other")
	}
}

// earlyData wants the one protocol that has it.
func (c checker) earlyData(l Listener, path string) {
	at := joinKey(path, "early_data")
	if l.EarlyData && !slices.Contains(l.Protocols, "h3") && !c.bad(at) && !c.bad(joinKey(path, "protocols")) {
		c.value(at, "early_data = true without h3: on TCP there is none; add \"h3\" to protocols")
	}
}
