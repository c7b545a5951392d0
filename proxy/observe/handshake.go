package observe

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// HandshakeResult is how a TLS handshake ended. The set is closed: it is a metric label.
type HandshakeResult uint8

// The results.
const (
	HandshakeOK                HandshakeResult = iota
	HandshakeNoCertificate                     // there is none to serve
	HandshakeClientCertificate                 // the client's is missing, revoked or does not verify
	HandshakeProtocol                          // the client spoke no TLS, or none that both sides know
	HandshakePlainHTTP                         // the client spoke HTTP without TLS
	HandshakeRefused                           // the client ended it by an alert: it does not trust our certificate, mostly
	HandshakeTimeout
	HandshakeGone     // the connection ended
	HandshakeOverload // too many wait for their turn
	handshakeResults
)

var handshakeNames = [handshakeResults]string{
	"ok", "no_certificate", "client_certificate", "protocol", "plain_http", "refused", "timeout", "gone", "overload",
}

// String is the result as a metric label.
func (r HandshakeResult) String() string { return handshakeNames[r] }

// handshakes are one TLS listener's. A failed handshake has no version: mostly it ended before there was one.
type handshakes struct {
	secure  atomic.Bool // the listener speaks TLS: its series are exported
	ok      [2]atomic.Uint64
	failed  [handshakeResults]atomic.Uint64
	resumed atomic.Uint64
	groups  [len(groupNames)]atomic.Uint64
}

// okVersions are the labels of handshakes.ok. The edge speaks nothing older.
var okVersions = [...]string{"1.2", "1.3"}

// groupNames are the key exchanges as labels, by groupIndex.
var groupNames = [...]string{"X25519MLKEM768", "X25519", "P-256", "P-384", "P-521", "other"}

func groupIndex(id tls.CurveID) int {
	switch id {
	case tls.X25519MLKEM768:
		return 0
	case tls.X25519:
		return 1
	case tls.CurveP256:
		return 2
	case tls.CurveP384:
		return 3
	case tls.CurveP521:
		return 4
	}
	return len(groupNames) - 1
}

// Secure says that the listener speaks TLS, which gives it the series of handshakes.
func (l *Listener) Secure() { l.tls.secure.Store(true) }

// HandshakeDone counts a handshake that succeeded: its version, whether it resumed a session, and how keys were exchanged.
func (l *Listener) HandshakeDone(version uint16, resumed bool, group tls.CurveID) {
	l.tls.ok[min(1, max(version, tls.VersionTLS12)-tls.VersionTLS12)].Add(1)
	if resumed {
		l.tls.resumed.Add(1)
	}
	l.tls.groups[groupIndex(group)].Add(1)
}

// HandshakeFailed counts a handshake that did not.
func (l *Listener) HandshakeFailed(r HandshakeResult) { l.tls.failed[r].Add(1) }

type handshakeDescs struct{ total, resumed, groups *prometheus.Desc }

func newHandshakeDescs() handshakeDescs {
	return handshakeDescs{
		total: prometheus.NewDesc("weir_tls_handshakes_total",
			"TLS handshakes, by result: ok, no_certificate, client_certificate (missing, revoked or not valid), protocol, plain_http (HTTP on a TLS port), refused (by the client), timeout, gone, overload. The version is none where it failed.",
			[]string{"listener", "version", "result"}, nil),
		resumed: prometheus.NewDesc("weir_tls_resumed_total", "TLS handshakes that resumed a session.", []string{"listener"}, nil),
		groups: prometheus.NewDesc("weir_tls_key_exchanges_total",
			"Successful TLS handshakes by key exchange; X25519MLKEM768 is the one that a quantum computer does not break.", []string{"listener", "group"}, nil),
	}
}

func (d handshakeDescs) describe(out chan<- *prometheus.Desc) {
	out <- d.total
	out <- d.resumed
	out <- d.groups
}

func (d handshakeDescs) collect(out chan<- prometheus.Metric, l *Listener) {
	if !l.tls.secure.Load() {
		return
	}
	count := func(desc *prometheus.Desc, n *atomic.Uint64, labels ...string) {
		out <- counter(desc, n.Load(), append([]string{l.name}, labels...)...)
	}
	for i := range l.tls.ok {
		count(d.total, &l.tls.ok[i], okVersions[i], HandshakeOK.String())
	}
	for r := HandshakeOK + 1; r < handshakeResults; r++ {
		count(d.total, &l.tls.failed[r], "none", r.String())
	}
	count(d.resumed, &l.tls.resumed)
	for i := range l.tls.groups {
		count(d.groups, &l.tls.groups[i], groupNames[i])
	}
}
