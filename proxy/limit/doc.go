// Package limit decides whether a request may go on: a token bucket (golang.org/x/time/rate) per key, in a bounded LRU per limit, and a count per
// key of what is under way (Gate). It knows neither HTTP
// nor clocks: callers hash what they key on and pass the time in. It does not queue, and it does not share counts between processes.
package limit
