package route

import "hash/maphash"

// linearMax is the number of keys up to which comparing all of them beats hashing the key: a comparison of different lengths
// costs under 1 ns, the hash about 5 ns.
const linearMax = 4

// index finds the number stored for a byte string: an open-addressed hash table, built once, at most half full, so that a
// look-up allocates nothing and touches one or two cache lines. A bit per key length answers most misses before hashing.
// The zero value is empty. Keys come from the configuration only; clients cannot fill a bucket.
type index struct {
	seed    maphash.Seed
	slots   []slot
	mask    uint64 // 0: slots is a plain list
	lengths []uint64
	max     int // length of the longest key
}

type slot struct {
	key   string // empty: the slot is free; no key is ever empty
	value int32
}

// newIndex stores every slot given; keys must be different and not empty.
func newIndex(entries []slot) index {
	var x index
	for _, e := range entries {
		x.max = max(x.max, len(e.key))
	}
	x.lengths = make([]uint64, x.max/64+1)
	for _, e := range entries {
		x.lengths[len(e.key)/64] |= 1 << (len(e.key) % 64)
	}
	if len(entries) <= linearMax {
		x.slots = entries
		return x
	}
	size := 2 * linearMax
	for size < 2*len(entries) {
		size *= 2
	}
	x.seed, x.slots, x.mask = maphash.MakeSeed(), make([]slot, size), uint64(size-1)
	for _, e := range entries {
		i := maphash.String(x.seed, e.key) & x.mask
		for x.slots[i].key != "" {
			i = (i + 1) & x.mask
		}
		x.slots[i] = e
	}
	return x
}

// find is the number stored for key, or -1.
func (x *index) find(key []byte) int32 {
	n := len(key)
	if n == 0 || n > x.max || x.lengths[n/64]&(1<<(n%64)) == 0 {
		return -1
	}
	if x.mask == 0 {
		for i := range x.slots {
			if x.slots[i].key == string(key) {
				return x.slots[i].value
			}
		}
		return -1
	}
	for i := maphash.Bytes(x.seed, key) & x.mask; ; i = (i + 1) & x.mask {
		s := &x.slots[i]
		if s.key == string(key) {
			return s.value
		}
		if s.key == "" {
			return -1
		}
	}
}
