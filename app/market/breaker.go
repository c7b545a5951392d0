package market

import "time"

// Numbers of the breaker, the original's but for the probes, of which that one let in any number at once.
const (
	breakAfter = 5 // failures in a row
	breakFor   = time.Minute
	closeAfter = 2 // successes in a row of one probe at a time
)

// State of a breaker, the value of its metric.
type State int

// States.
const (
	Closed State = iota
	HalfOpen
	Open
)

// breaker stops asking who does not answer. It is not safe for concurrent use; time is passed in.
type breaker struct {
	state    State
	row      int // failures while Closed, successes while HalfOpen
	probing  bool
	openedAt time.Time
	// era changes with the state: what was asked in another does not count.
	era int
}

// allow reports whether to ask now; if so, done must be told with the era. Otherwise wait is how long until it makes sense to try again.
func (b *breaker) allow(now time.Time) (era int, wait time.Duration, ok bool) {
	switch b.state {
	case Closed:
		return b.era, 0, true
	case Open:
		if left := b.openedAt.Add(breakFor).Sub(now); left > 0 {
			return 0, left, false
		}
		b.become(HalfOpen)
	case HalfOpen:
		if b.probing {
			return 0, time.Second, false
		}
	}
	b.probing = true
	return b.era, 0, true
}

// done takes the result of what was allowed.
func (b *breaker) done(era int, failed bool, now time.Time) {
	if era != b.era {
		return
	}
	b.probing = false
	switch {
	case failed && (b.state == HalfOpen || b.row+1 >= breakAfter):
		b.become(Open)
		b.openedAt = now
	case failed:
		b.row++
	case b.state == HalfOpen && b.row+1 >= closeAfter:
		b.become(Closed)
	case b.state == HalfOpen:
		b.row++
	default:
		b.row = 0
	}
}

func (b *breaker) become(s State) {
	b.state, b.row, b.probing = s, 0, false
	b.era++
}
