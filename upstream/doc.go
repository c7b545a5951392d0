// Package upstream holds what outlives a reload: the peers behind the edge with their work in flight, idle connections, health, ejections and
// discovered addresses, and the retry budget.
//
// A Registry owns everything. A Pool is one group of one service, acquired by each generation of the configuration and released by it; pools that
// name the same address share its connections, its record of work and its ejection, and pools that check it alike share its health. What a request
// sees is a LiveSet: an immutable list of peers with its policy, published by one store on every transition, so that a request never asks a
// peer whether it may be used.
//
// There are two planes. The control plane (acquire, release, probe results, DNS answers, ejections) is serialised by Registry.mu, which no
// request takes except the one that ejects a peer. The data plane (Pick, Conn, Dial, Conn.Release, Done) touches atomics and two short critical
// sections per peer, and allocates only in Dial.
//
// A Breaker bounds the requests in flight to a service and keeps the order of those that wait; the waiting itself is its caller's.
//
// The package refuses to retry, to read or write HTTP, to block a request and to know the file format: it hands out a peer and a connection, and is
// told how it went.
package upstream
