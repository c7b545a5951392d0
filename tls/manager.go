package edgetls

import (
	"bytes"
	"crypto/tls"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Manager holds the certificates in force: those of files, and those that an ACME obtained. It has no goroutine and nothing to close; its owner
// is the server. Commit and UseACME may be called while handshakes run; of two concurrent reloads the owner must make one.
type Manager struct {
	// store is read once by every handshake; static and managed together. Never nil.
	store atomic.Pointer[Store]
	// acme answers validations by tls-alpn-01; nil: nobody does. Written under mu.
	acme atomic.Pointer[ACME]
	// ech hides the names that clients ask for; nil: nothing does.
	ech atomic.Pointer[ECH]
	// tickets seals the sessions of every Config; nil: crypto/tls does, for each by itself. Written before the first Config.
	tickets *Tickets

	// mu orders Commit, UseACME and the ACME's publishing; held for memory operations only. No handshake takes it.
	mu      sync.Mutex
	static  *Store
	managed []*certificate
	staples map[fingerprint][]byte // never changed, only replaced
	kick    chan<- struct{}        // capacity 1; tells a Stapler that other certificates are in force; nil: none
}

// NewManager starts with no certificates: until the first Commit every handshake fails.
func NewManager() *Manager {
	m := &Manager{static: &Store{}}
	m.store.Store(m.static)
	return m
}

// Prepare makes the set that a later Commit puts in force. Everything that can fail does so here, and nothing changes.
func (m *Manager) Prepare(pairs []Pair, now time.Time) (*Store, error) {
	return Load(pairs, now)
}

// Commit puts s in force for handshakes that begin from now on, beside what an ACME obtained. It cannot fail.
func (m *Manager) Commit(s *Store) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.static = s
	m.merge()
}

// UseACME makes a the one whose certificates are in force and who answers validations; nil: nobody. Certificates of the one before stay until a
// publishes its own. It cannot fail.
func (m *Manager) UseACME(a *ACME) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acme.Store(a)
	if a == nil {
		m.managed = nil
		m.merge()
	}
}

// UseTickets makes t seal the sessions of every Config made from now on. Call it before the first.
func (m *Manager) UseTickets(t *Tickets) { m.tickets = t }

// publish takes the certificates of a, if a is the one in use.
func (m *Manager) publish(a *ACME, list []*certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.acme.Load() == a {
		m.managed = list
		m.merge()
	}
}

// merge makes the set in force of its parts. Under mu.
func (m *Manager) merge() {
	m.store.Store(m.static.with(m.managed).stapled(m.staples))
	select {
	case m.kick <- struct{}{}:
	default: // there is no Stapler, or it is awake already
	}
}

func (m *Manager) stapleWith(kick chan<- struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kick = kick
}

// staple puts OCSP answers in force, for certificates that are.
func (m *Manager) staple(answers map[fingerprint][]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if maps.EqualFunc(m.staples, answers, bytes.Equal) {
		return
	}
	m.staples = answers
	m.store.Store(m.static.with(m.managed).stapled(answers))
}

// Store is the set in force. Its List is of certificates from files; ACME.List tells of the others.
func (m *Manager) Store() *Store { return m.store.Load() }

// Config is a server configuration that reads the set in force at every handshake. protocols are the ALPN names, best first; a client
// that offers ALPN without one of them is refused (RFC 7301 §3.2). minVersion below TLS 1.2, zero included, means TLS 1.2.
// A session of one is resumed on every other that asks nothing of clients' certificates, where UseTickets was called before; else make one per listener and keep
// it, its ticket keys live in it. Key exchange is left at Go's defaults, X25519MLKEM768 first.
func (m *Manager) Config(protocols []string, minVersion uint16) *tls.Config {
	c := &tls.Config{
		MinVersion: max(minVersion, tls.VersionTLS12),
		NextProtos: append([]string(nil), protocols...),
		// TLS 1.2 only; TLS 1.3 suites are not a choice. crypto/tls orders them by the hardware of both sides.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := m.certificate(hello)
			if err == nil {
				SessionOf(hello.Context()).leaf = cert.Leaf
			}
			return cert, err
		},
		GetEncryptedClientHelloKeys: m.echKeys,
	}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) { return m.choose(c, hello) }
	if m.tickets != nil {
		m.tickets.Seal(c, noClientPolicy)
	}
	return c
}

// noClientPolicy is the policy of configurations that ask nothing of clients' certificates.
const noClientPolicy = ""

// choose gives a handshake the configuration that its host wants; nil is c, the listener's. What it settles goes to the session that Observe made.
func (m *Manager) choose(c *tls.Config, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if challenge := m.validation(hello); challenge != nil {
		return challenge, nil
	}
	store, session := m.store.Load(), SessionOf(hello.Context())
	local := localAddress(hello)
	if candidates := store.candidates(hello.ServerName, local); len(candidates) > 0 {
		session.leaf = candidates[0].tls.Leaf // for a session that is resumed; a full handshake says which it was
	}
	name := hello.ServerName
	if name == "" {
		name = local
	}
	if session.auth = store.auths.For([]byte(name)); session.auth == nil {
		return nil, nil
	}
	return session.auth.apply(c.Clone(), m.tickets), nil
}

// validation gives the handshake of a CA's validation a configuration of its own (RFC 8737 §3: "acme-tls/1" alone, and a server name), all others none,
// which leaves them the listener's. The connection that comes of it carries nothing: see IsValidation.
func (m *Manager) validation(hello *tls.ClientHelloInfo) *tls.Config {
	if len(hello.SupportedProtos) != 1 || hello.SupportedProtos[0] != alpnACME || hello.ServerName == "" {
		return nil
	}
	a := m.acme.Load()
	if a == nil || a.options.TLSAddress == "" {
		return nil
	}
	return a.challenge
}

// IsValidation reports a connection that was a CA's validation: it has ended with its handshake and is to be closed.
func IsValidation(state tls.ConnectionState) bool { return state.NegotiatedProtocol == alpnACME }
