package server

// byTime is a heap that hands out the earliest first, and of the same time what came first.
type byTime[T any] struct {
	list []timed[T]
	next uint64
}

type timed[T any] struct {
	at    int64
	order uint64
	what  T
}

func (h *byTime[T]) len() int { return len(h.list) }

// soonest is the time of what pop would give; there is something.
func (h *byTime[T]) soonest() int64 { return h.list[0].at }

func (h *byTime[T]) less(i, j int) bool {
	a, b := &h.list[i], &h.list[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}

func (h *byTime[T]) push(at int64, what T) {
	h.list = append(h.list, timed[T]{at, h.next, what})
	h.next++
	for i := len(h.list) - 1; i > 0; {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.list[i], h.list[parent] = h.list[parent], h.list[i]
		i = parent
	}
}

func (h *byTime[T]) pop() T {
	last := len(h.list) - 1
	what := h.list[0].what
	h.list[0] = h.list[last]
	h.list[last] = timed[T]{} // keeps nothing alive
	h.list = h.list[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return what
		}
		h.list[i], h.list[least] = h.list[least], h.list[i]
		i = least
	}
}
