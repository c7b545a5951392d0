package edgetls

import (
	"crypto/tls"
	"sync/atomic"
	"time"
)

// Manager holds the certificates in force. It has no goroutine and nothing to close; its owner is the server.
// Commit may be called while handshakes run; of two concurrent reloads the owner must make one.
type Manager struct {
	// store is read once by every handshake and written by Commit only. Never nil.
	store atomic.Pointer[Store]
}

// NewManager starts with no certificates: until the first Commit every handshake fails.
func NewManager() *Manager {
	m := &Manager{}
	m.store.Store(&Store{})
	return m
}

// Prepare makes the set that a later Commit puts in force. Everything that can fail does so here, and nothing changes.
func (m *Manager) Prepare(pairs []Pair, now time.Time) (*Store, error) {
	return Load(pairs, now)
}

// Commit puts s in force for handshakes that begin from now on. It cannot fail.
func (m *Manager) Commit(s *Store) { m.store.Store(s) }

// Store is the set in force.
func (m *Manager) Store() *Store { return m.store.Load() }

// Config is a server configuration that reads the set in force at every handshake. protocols are the ALPN names, best first; a client
// that offers ALPN without one of them is refused (RFC 7301 §3.2). minVersion below TLS 1.2, zero included, means TLS 1.2.
// Make one per listener and keep it: its session ticket keys, rotated daily by crypto/tls, live in it. Key exchange is left at
// Go's defaults, X25519MLKEM768 first.
func (m *Manager) Config(protocols []string, minVersion uint16) *tls.Config {
	return &tls.Config{
		MinVersion: max(minVersion, tls.VersionTLS12),
		NextProtos: append([]string(nil), protocols...),
		// TLS 1.2 only; TLS 1.3 suites are not a choice. crypto/tls orders them by the hardware of both sides.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return m.store.Load().certificate(hello)
		},
	}
}
