// Package observe is what the edge says about itself: Prometheus metrics, the access log, the process log and request ids.
//
// Everything a request touches is resolved before the request comes: metric children hang off Route, Group and Listener handles that live as
// long as their names stay in the configuration, and a log line is encoded into a pooled buffer and copied once under a short lock. A request
// allocates nothing here and never waits for a disk, a pipe or a scraper: what cannot be kept up with is dropped and counted.
//
// It refuses to take metric labels from clients, to log credentials, to retain anything of an Entry, and to use a default registry.
package observe
