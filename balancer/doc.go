// Package balancer chooses: a peer of a live set for one attempt (Policy), and
// a group of a service for one request (Split). And it judges: whether a group on
// trial is worse than the others (Evidence), how much it must have served before
// silence means anything (Requirement), and what it has cost so far (Excess).
//
// It is pure choice. It refuses to do I/O, to read a clock, to start a goroutine
// and to take a lock: time and tickets come in as arguments, and what must be
// remembered between picks lives in a Load, which its owner (package upstream)
// keeps across reloads. It knows neither health nor addresses: whoever builds a
// live set has already decided who is in it.
//
// No pick allocates. Policies and splits are values: never changed after
// construction, safe for any number of goroutines.
package balancer
