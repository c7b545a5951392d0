// Package proxy is the data path: it takes accepted connections and carries each request from its head to its log line.
//
// The order of phases is the function Exchange.run, top to bottom: begin, match, admit, choose, forward, finish, with fail as the only writer of
// error responses. A request reads one Snapshot, loaded once; everything mutable that it touches (peers, budgets, metrics) outlives snapshots
// and is owned elsewhere. The package reads no configuration and opens no listener; proxy/server compiles one and owns the other.
package proxy
