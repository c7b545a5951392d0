// Package shadow asks a second group what the first one has answered, and tells where the answers differ: what a new version would have said to real requests, before one client gets it.
//
// A Mirror takes a bounded share of requests whose own answers have been sent and has its workers ask three times: the group that answers ("blue"), the one that is tried ("green"), and
// blue again. What differs between blue and blue is noise: a clock, a random id, data that changed meanwhile. Green is asked in between, so whatever time alone changes has changed for the second
// blue too. Over many comparisons the two are interchangeable unless green differs, and so are their counts: a sign test tells.
//
// The package refuses to touch what clients get: nothing waits for it, what does not fit is dropped and counted, and its requests pass by everything that judges groups and targets (evidence,
// ejection, breaker, balance, access log). It sends no request that may change something, and none with credentials unless told to. It keeps no answer: samples are redacted when they are made.
package shadow
