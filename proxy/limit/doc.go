// Package limit decides whether a request may go on: a token bucket (golang.org/x/time/rate) per key, in a bounded LRU per limit, and a count per
// key of what is under way (Gate). It knows neither HTTP
// nor clocks: callers hash what they key on and pass the time in. It does not queue. Rates that are counted together with other
// processes are decided here too, and settled with them after (Sharing); how to reach them is package cluster's.
package limit
