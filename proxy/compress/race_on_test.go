//go:build race

package compress_test

// raceEnabled: under the race detector sync.Pool drops things at random, so allocations mean nothing.
const raceEnabled = true
