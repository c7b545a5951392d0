package http2

// pace finds a client that opens a window byte by byte, each time before WriteTimeout ends and never enough. The watcher adds the time in which something waited
// for the window, a tick at a time; DATA frames add what went. Guarded by Conn.mu.
type pace struct{ spent, took int64 }

// wait counts ns of waiting, and reports a client that let too little through in a whole window of it.
func (p *pace) wait(ns int64, o *Options) bool {
	p.spent += ns
	if p.spent < int64(o.WriteTimeout) {
		return false
	}
	slow := p.took < int64(float64(o.MinSendRate)*o.WriteTimeout.Seconds())
	p.spent, p.took = 0, 0
	return slow
}

// watchPace holds streams to MinSendRate where their own window stops them, and the connection where its window stops anybody: how streams share what the connection
// lets through is our choice, not the client's.
func (c *Conn) watchPace(ns int64) {
	if c.o.MinSendRate == 0 {
		return
	}
	cut, shut := false, false
	for _, s := range c.live {
		shut = shut || s.waits && c.sendWin <= 0
		if s.fault != nil || s.writeAt == 0 || s.sendWin > 0 || !s.pace.wait(ns, &c.o) {
			continue
		}
		c.o.Counters.SlowReaders.Add(1)
		s.late = ErrSlowReader
		s.close(Cancel, "client opens its window too slowly")
		cut = true
	}
	if cut {
		c.out.soon(c.busy) // behind the loop: it lets go of the lock
	}
	if shut && c.pace.wait(ns, &c.o) && c.err == nil {
		c.o.Counters.SlowReaders.Add(1)
		c.abort(ErrSlowReader)
		c.stop(failSlowReader)
	}
}
