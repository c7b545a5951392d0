// Package edgetls holds the certificates of the edge and decides which one a handshake gets.
//
// Certificates come from PEM files (Load) or from a certificate authority of this machine's own (LocalCA, for trying things out).
// A Store is one immutable set of them; the Manager holds the set in force and hands listeners a crypto/tls configuration whose
// handshakes read it, so that a reload changes certificates without touching a listener, a connection or a session ticket.
//
// The folder is called tls; the package is not, so that "tls." always means crypto/tls.
//
// It refuses what is older than TLS 1.2 and every TLS 1.2 suite without forward secrecy or authenticated encryption, and it never
// takes a set in which one pair is broken: the set in force stays.
package edgetls
