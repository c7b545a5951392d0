package server

import (
	"cmp"
	"slices"
	"time"
)

const (
	topKept  = 1024 // keys counted apart
	topShown = 10
)

// top counts the most frequent keys of a stream in bounded memory, as Space-Saving does (Metwally, Agrawal, El Abbadi 2005): a key that has no place takes
// that of the least frequent one and its count with it, so every key with more than 1/topKept of all is among them, and no count is off by more.
type top struct {
	list  []topEntry
	index map[string]int
}

type topEntry struct {
	key          string
	count, error int // error: of count, what may be others'
	first        time.Time
}

func (t *top) add(key string, now time.Time) {
	if i, ok := t.index[key]; ok {
		t.list[i].count++
		return
	}
	if t.index == nil {
		t.index = map[string]int{}
	}
	if len(t.list) < topKept {
		t.index[key] = len(t.list)
		t.list = append(t.list, topEntry{key: key, count: 1, first: now})
		return
	}
	least := 0
	for i := range t.list {
		if t.list[i].count < t.list[least].count {
			least = i
		}
	}
	e := &t.list[least]
	delete(t.index, e.key)
	t.index[key] = least
	*e = topEntry{key: key, count: e.count + 1, error: e.count, first: now}
}

// best lists the n with the most that are certainly theirs.
func (t *top) best(n int) []TopKey {
	list := slices.Clone(t.list)
	slices.SortFunc(list, func(a, b topEntry) int {
		return cmp.Or(cmp.Compare(b.count-b.error, a.count-a.error), a.first.Compare(b.first), cmp.Compare(a.key, b.key))
	})
	out := []TopKey{}
	for _, e := range list[:min(n, len(list))] {
		out = append(out, TopKey{Key: e.key, Limited: e.count - e.error, First: e.first, Rough: e.error > 0})
	}
	return out
}
