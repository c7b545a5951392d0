// Package handover gives a process the sockets that it listens on from outside: from systemd (socket activation), or from the weir before it, which an upgrade
// of the binary replaces without a connection lost. The two share everything but where the descriptors are announced.
//
// An upgrade is a conversation of two processes over a pair of pipes, in JSON lines: the old one says what it hands over (hello), the new one that it could serve
// (ready) or why not (refused), the old one that it steers no more, with its last state (go), and the new one that it serves (serving), upon which the old one stops accepting and closes its end. Until that last word the old
// one serves as before, and goes on if the new one ends, hangs or refuses. Sockets are shared, not moved: what waits in a backlog is there for whoever
// accepts next.
//
// It refuses to know what a listener is for: it compares names and addresses.
package handover
