package shadow

import (
	"fmt"
	"sync"
	"time"
)

const (
	restLeast = time.Second
	restMost  = time.Minute
)

// rest keeps away from a group that answers clients and has just failed: what it can still do is theirs. Each failure in a row doubles the time.
type rest struct {
	mu    sync.Mutex // guards all; held for a few instructions
	row   time.Duration
	until time.Time
}

// failed begins a rest, unless one is under way.
func (r *rest) failed(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.until) {
		return
	}
	r.row = min(max(2*r.row, restLeast), restMost)
	r.until = now.Add(r.row)
}

// passed ends the row.
func (r *rest) passed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.row = 0
}

// why is a rest in words, "" when there is none.
func (r *rest) why(group string, now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !now.Before(r.until) {
		return ""
	}
	return fmt.Sprintf("group %s has failed to answer: left alone for %s", group, r.row)
}
