// Package cache keeps answers that were computed, for as long as they are good and there is room: in this process, or in a Redis that several share.
//
// It refuses to be needed: a lookup that cannot be answered is a miss, and what cannot be kept is not.
package cache

import "crypto/sha256"

// Key is a hash of everything that an answer depends on.
type Key [sha256.Size]byte

// KeyOf hashes the parts in their order; where one ends and the next begins counts.
func KeyOf(parts ...string) Key {
	h := sha256.New()
	for _, p := range parts {
		n := uint64(len(p))
		h.Write([]byte{byte(n >> 56), byte(n >> 48), byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		h.Write([]byte(p))
	}
	return Key(h.Sum(nil))
}

// Stats are counts since the start.
type Stats struct {
	Hits, Misses float64
	// Errors are lookups and keepings that failed or, while the cache was away, were not tried. A failed lookup is a miss too.
	Errors float64
	// Evictions are answers that went for others before their time; of Redis, all that the server has counted.
	Evictions float64
}
