package upstream

import "time"

const (
	// standingDelay and standingTime tell a burst from overload, as CoDel does (RFC 8289 §3.2): a line whose longest wait stays above the delay for the
	// time is not being worked off. The RFC's figures are made for packets and right for requests too, as those who run request queues found (Maurer, Fail
	// at Scale, ACM Queue 13(8), 2015): a burst of ordinary size is served within a hundred milliseconds.
	standingDelay = int64(5 * time.Millisecond)
	standingTime  = int64(100 * time.Millisecond)
)

// waitlist is who waits for a slot of a breaker, pure, with time passed in (ns): a line per priority, the more important first. A line is served oldest first until
// it stands, then newest first: when not everybody can be served in time, those who came last are those who still can.
type waitlist struct {
	lines [Priorities]waitline
	count int
}

// waitline is one priority's, from the oldest to the newest.
type waitline struct {
	oldest, newest *Waiter
	count          int
	above          int64 // since when the longest wait has been above standingDelay at every look; 0: it is not
	standing       bool
}

// look updates what the line knows about itself. Every change of the line is followed by a look; between two of them the longest wait only grows.
func (l *waitline) look(now int64) {
	switch {
	case l.oldest == nil || now-l.oldest.since < standingDelay:
		l.above, l.standing = 0, false
	case l.above == 0:
		l.above = l.oldest.since + standingDelay
		l.standing = now-l.above >= standingTime
	default:
		l.standing = now-l.above >= standingTime
	}
}

// push puts w at the end of its priority's line.
func (q *waitlist) push(w *Waiter, now int64) {
	l := &q.lines[w.priority]
	w.since, w.older, w.newer = now, l.newest, nil
	if l.newest != nil {
		l.newest.newer = w
	} else {
		l.oldest = w
	}
	l.newest = w
	l.count++
	q.count++
	l.look(now)
}

// pop takes the next of a priority; nil when there is none.
func (q *waitlist) pop(p Priority, now int64) *Waiter {
	l := &q.lines[p]
	l.look(now)
	w := l.oldest
	if l.standing {
		w = l.newest
	}
	if w != nil {
		q.remove(w, now)
	}
	return w
}

// yield takes the one whose place a newcomer of priority p may have: the oldest of the least important line behind p's, or, when p's own line stands, its oldest,
// who has waited in vain for longest. nil: nobody.
func (q *waitlist) yield(p Priority, now int64) *Waiter {
	for other := Low; other > p; other-- {
		if w := q.lines[other].oldest; w != nil {
			q.remove(w, now)
			return w
		}
	}
	l := &q.lines[p]
	l.look(now)
	if !l.standing {
		return nil
	}
	w := l.oldest
	q.remove(w, now)
	return w
}

// remove takes w out of its line, in which it is.
func (q *waitlist) remove(w *Waiter, now int64) {
	l := &q.lines[w.priority]
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		l.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		l.newest = w.older
	}
	w.older, w.newer = nil, nil
	l.count--
	q.count--
	l.look(now)
}
