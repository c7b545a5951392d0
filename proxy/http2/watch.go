package http2

import (
	"sync"
	"time"
)

// watcher is the connection's one timer. It ticks while streams are open or something is due, and else fires when the connection has been idle for long enough; so
// a request costs no timer, and bounds are met a tick late at most. Guarded by Conn.mu but for the timer.
type watcher struct {
	c     *Conn
	timer *time.Timer
	far   bool // the timer waits for the idle timeout
	over  bool
	last  int64          // when it fired last
	done  sync.WaitGroup // the callback that runs
}

func (w *watcher) init(c *Conn) { w.c = c }

// tick is a quarter of the shortest bound, a second at most.
func (w *watcher) tick() time.Duration {
	o := &w.c.o
	return min(time.Second, o.HeaderTimeout/4, o.BodyTimeout/4, o.WriteTimeout/4, o.SettingsTimeout/4, o.DrainGrace/2)
}

// arm makes it tick.
func (w *watcher) arm() {
	switch {
	case w.over:
	case w.timer == nil:
		w.timer = time.AfterFunc(w.tick(), w.fire)
	case w.far:
		w.far = false
		w.timer.Reset(w.tick())
	}
}

func (w *watcher) stop() {
	w.c.mu.Lock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.c.mu.Unlock()
	w.done.Wait()
}

func (w *watcher) fire() {
	c := w.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.over || c.err != nil {
		return
	}
	w.done.Add(1)
	defer w.done.Done()
	now := c.now()
	c.watchStreams(now)
	c.watchPace(min(now-w.last, 2*int64(w.tick()))) // the tick that follows a long rest is a tick
	w.last = now
	c.watchConn(now)
	idle := c.lastUsed + int64(c.o.IdleTimeout) - now
	switch {
	case c.client != nil:
		w.timer.Reset(w.tick())
	case len(c.live) == 0 && c.unacked == 0 && c.since.Load() == 0 && !c.drain.asked && idle > int64(w.tick()):
		w.far = true
		w.timer.Reset(time.Duration(idle))
	default:
		w.timer.Reset(w.tick())
	}
}

func (c *Conn) watchStreams(now int64) {
	stalled := false
	for _, s := range c.live {
		if s.fault == nil && s.writeAt > 0 && now > s.writeAt {
			c.o.Counters.Stalls.Add(1)
			s.late = ErrWriteTimeout
			s.close(Cancel, "peer opened no window")
			stalled = true
		}
		if s.bodyAt > 0 && now > s.bodyAt {
			s.bodyLate, s.bodyAt = true, 0
			s.canRead.Signal()
		}
	}
	if stalled {
		c.out.soon(c.busy) // behind the loop: it lets go of the lock
	}
}

func (c *Conn) watchConn(now int64) {
	if c.drain.why != nil { // the reader has been told to end, and may not have had its turn yet: once is enough
		return
	}
	begun := c.since.Load()
	switch {
	case begun > 0 && now-begun > int64(c.o.HeaderTimeout):
		c.o.Counters.SlowFrames.Add(1)
		c.stop(failSlow)
	case c.unacked > 0 && now-c.askedAt > int64(c.o.SettingsTimeout):
		c.stop(failSettingsAck)
	case c.client != nil:
		c.client.watch(now)
	case c.drain.asked && now > c.drain.until:
		c.drain.asked = false
		c.lastCall()
	case len(c.live) == 0 && now-c.lastUsed >= int64(c.o.IdleTimeout):
		c.o.Counters.Idle.Add(1)
		c.out.goAway(c.lastID, NoError, "idle")
		c.stop(errStopped)
	}
}
