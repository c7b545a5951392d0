// Package admin is the operator's HTTP API and status page, over a Control that the server implements.
//
// It exists so that everything an operator can see or do has one door, with one way of naming errors
// (RFC 9457 problem+json), one way of avoiding lost updates (ETag and If-Match, RFC 9110 §13.1.1) and one
// record of who changed what (the audit log). The types here are the contract with `weir`'s verbs, the
// status page and scripts; docs/reference.md restates them.
//
// It refuses to decide anything: no handler holds state of the proxy, parses a configuration or reaches
// into a pool. It refuses requests a browser was tricked into sending: writes from another origin, and any
// request on a loopback listener whose Host is a name nobody configured (DNS rebinding). It never serves
// the data path and its cost per request does not matter.
package admin
