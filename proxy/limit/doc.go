// Package limit decides whether a request may go on: a token bucket (golang.org/x/time/rate) per key, in a bounded LRU per limit. It knows neither HTTP
// nor clocks: callers hash what they key on and pass the time in. It does not queue. What is counted together with other
// processes is decided here too, and settled with them after (Sharing); how to reach them is package cluster's.
package limit
