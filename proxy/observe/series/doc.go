// Package series keeps the families of metrics that grow with the configuration, counters and durations, and serves them with all others to scrapers.
//
// A large configuration has hundreds of thousands of series (a route's histogram alone is twenty lines), and a scrape of them must not be felt by the
// requests that it counts. So each series keeps its labels as the text that will be written, and a scrape appends that and the numbers to a small
// buffer, which is sent when it is full: no value is allocated for a series, nothing is sorted, and no lock is held that a request takes. What is
// small comes from a registry of client_golang and is written between the families in the order of names.
//
// It knows no labels, no routes and no meaning: those are package observe's.
package series
