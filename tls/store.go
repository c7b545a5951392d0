package edgetls

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"time"
)

// Store is an immutable set of certificates: those of files, which come first wherever they have a name, and those that an ACME obtained.
type Store struct {
	all      []*certificate            // in the order given
	byName   map[string][]*certificate // exact and "*." names → candidates, best first
	fallback []*certificate            // for a client that names no host, or one that nobody has a certificate for
	warnings []string

	auths     *ClientAuths            // nil: none
	managed   map[string]*certificate // DNS name or address → certificate, from an ACME
	inManaged []*certificate          // the same, in the order given
}

// Info describes a certificate to the operator, or a name that has none yet: then what comes of a certificate is empty.
type Info struct {
	Subject     string    `json:"subject"` // first name
	Names       []string  `json:"names"`   // DNS names and addresses
	Issuer      string    `json:"issuer"`
	Serial      string    `json:"serial"` // hex
	KeyType     string    `json:"key_type"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the leaf, hex
	File        string    `json:"file"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`

	State       string    `json:"state"`                 // one of the State constants
	Error       string    `json:"error,omitempty"`       // why the last attempt failed, in words
	NextAttempt time.Time `json:"next_attempt,omitzero"` // of a managed certificate: when it is looked at again
}

// Expiry is when the certificates of a subject stop being valid, and since when they are: the first to end, when it has several key types.
type Expiry struct {
	Subject             string
	NotBefore, NotAfter time.Time
}

// Load reads and checks every pair and makes a store of them. It reports all broken pairs at once, joined; what can be served but
// should be looked at (expired, no names, chain out of order) is a warning. No pairs make an empty store, which serves nothing.
func Load(pairs []Pair, now time.Time) (*Store, error) {
	s := &Store{byName: make(map[string][]*certificate)}
	var errs []error
	for _, p := range pairs {
		c, err := p.load()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.all = append(s.all, c)
		s.warnings = append(s.warnings, c.warnings(now)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, c := range s.all {
		for _, name := range c.names {
			s.byName[name] = append(s.byName[name], c)
		}
	}
	for name, candidates := range s.byName {
		sort.SliceStable(candidates, func(i, j int) bool { return candidates[i].rank(now) < candidates[j].rank(now) })
		s.warnings = append(s.warnings, unreachable(name, candidates, now)...)
	}
	sort.Strings(s.warnings) // the map gave them in any order
	if len(s.all) > 0 {
		// Not the first alone: the second of an ECDSA and RSA pair is there for clients that cannot use the first.
		s.fallback = append(s.fallback, s.all[0])
		if names := s.all[0].names; len(names) > 0 {
			s.fallback = s.byName[names[0]]
		}
	}
	return s, nil
}

// unreachable warns of certificates for a name that an equal one always wins over.
func unreachable(name string, candidates []*certificate, now time.Time) []string {
	var out []string
	for i := 1; i < len(candidates); i++ {
		a, b := candidates[i-1], candidates[i]
		if a.rank(now) == b.rank(now) && keyType(a.tls.Leaf) == keyType(b.tls.Leaf) {
			out = append(out, fmt.Sprintf("certificate %s: is never used for %s, %s comes first", b.pair.Cert, name, a.pair.Cert))
		}
	}
	return out
}

// Warnings is what should be looked at, one sentence each, sorted.
func (s *Store) Warnings() []string { return append([]string(nil), s.warnings...) }

// List describes every certificate from files, in the order given to Load.
func (s *Store) List(now time.Time) []Info {
	out := make([]Info, 0, len(s.all))
	for _, c := range s.all {
		i := c.info()
		i.File, i.State = c.pair.Cert, StateValid
		if now.After(c.tls.Leaf.NotAfter) {
			i.State = StateExpired
		}
		out = append(out, i)
	}
	return out
}

// info is what the certificate itself says.
func (c *certificate) info() Info {
	leaf := c.tls.Leaf
	sum := sha256.Sum256(leaf.Raw)
	names := append([]string(nil), c.names...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return Info{
		Subject: c.subject(), Names: names, Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.Text(16),
		KeyType: keyType(leaf), Fingerprint: hex.EncodeToString(sum[:]), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
}

// with is s with the certificates of an ACME beside its own.
func (s *Store) with(managed []*certificate) *Store {
	out := *s
	out.inManaged, out.managed = managed, make(map[string]*certificate, len(managed))
	for _, c := range managed {
		for _, name := range append(append([]string(nil), c.names...), c.addresses...) {
			out.managed[name] = c
		}
	}
	return &out
}

// NotAfter is every subject once, sorted, for the metrics of its lifetime: a label value may not come twice.
func (s *Store) NotAfter() []Expiry {
	first := make(map[string]Expiry)
	for _, c := range append(append([]*certificate(nil), s.all...), s.inManaged...) {
		e, seen := first[c.subject()]
		if !seen || c.tls.Leaf.NotAfter.Before(e.NotAfter) {
			first[c.subject()] = Expiry{Subject: c.subject(), NotBefore: c.tls.Leaf.NotBefore, NotAfter: c.tls.Leaf.NotAfter}
		}
	}
	out := make([]Expiry, 0, len(first))
	for _, e := range first {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Subject < out[j].Subject })
	return out
}

// WithClientAuth is s with policies for clients' certificates.
func (s *Store) WithClientAuth(auths *ClientAuths) *Store {
	out := *s
	out.auths = auths
	return &out
}

// has reports whether there is a certificate for a server name, other than the one for names that nobody has one for.
func (s *Store) has(serverName string) bool {
	name := strings.ToLower(strings.TrimSuffix(serverName, "."))
	if s.byName[name] != nil || s.managed[name] != nil {
		return true
	}
	_, parent, ok := strings.Cut(name, ".")
	return ok && (s.byName["*."+parent] != nil || s.managed["*."+parent] != nil)
}

// ErrNoCertificate ends a handshake that there is no certificate for.
var ErrNoCertificate = errors.New("choose certificate: there are none")

// certificate chooses for one handshake: by name, then the first that the client's version, suites, curves and signature schemes
// allow. When it supports none, the best is sent all the same, so that the handshake fails with the alert that says why.
func (s *Store) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	candidates := s.candidates(hello.ServerName, localAddress(hello))
	if len(candidates) == 0 {
		return nil, ErrNoCertificate
	}
	// The name has been dealt with; SupportsCertificate would refuse a fallback for it.
	able := *hello
	able.ServerName = ""
	for _, c := range candidates {
		if able.SupportsCertificate(&c.tls) == nil {
			return &c.tls, nil
		}
	}
	return &candidates[0].tls, nil
}

// localAddress is where a client that names no host has connected to: certificates for IP addresses are found by it, because such clients send no
// server name (RFC 6066 §3). Looked at for those only.
func localAddress(hello *tls.ClientHelloInfo) string {
	if hello.ServerName != "" || hello.Conn == nil {
		return ""
	}
	if tcp, ok := hello.Conn.LocalAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("").String()
	}
	return ""
}

// candidates are the certificates for a server name: exact, then "*" for its first label and no more (RFC 9525 §6.3), then what an ACME obtained for it
// (or, without a name, for local), then the fallback: the first certificate from files, else the first obtained.
func (s *Store) candidates(serverName, local string) []*certificate {
	name := strings.ToLower(strings.TrimSuffix(serverName, "."))
	if found := s.byName[name]; found != nil {
		return found
	}
	if label, parent, ok := strings.Cut(name, "."); ok && label != "" {
		if found := s.byName["*."+parent]; found != nil {
			return found
		}
	}
	if name == "" {
		name = local
	}
	if found := s.managed[name]; found != nil {
		return []*certificate{found}
	}
	if label, parent, ok := strings.Cut(name, "."); ok && label != "" {
		if found := s.managed["*."+parent]; found != nil {
			return []*certificate{found}
		}
	}
	if s.fallback == nil && len(s.inManaged) > 0 {
		return s.inManaged[:1]
	}
	return s.fallback
}
