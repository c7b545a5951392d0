package server

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestInsistLetsOthersIn: a change that is tried again and again, each time by asking Redis, does not keep a reload out until it has come to something.
func TestInsistLetsOthersIn(t *testing.T) {
	s := &Server{}
	var in atomic.Bool
	waits, out := make(chan struct{}), make(chan struct{})
	tries := 0
	err := s.insist(func() error {
		if tries++; tries == 1 {
			go func() {
				close(waits)
				s.mu.Lock()
				in.Store(true)
				s.mu.Unlock()
				close(out)
			}()
			<-waits
		}
		patience := 20 * time.Millisecond // as long as a slow Redis may take
		if tries > 2 {
			patience = 5 * time.Second // nobody has waited yet: this machine is busy
		}
		for until := time.Now().Add(patience); !in.Load() && time.Now().Before(until); {
			runtime.Gosched()
		}
		return errStale
	})
	if !in.Load() || tries != mostTries || err == nil {
		t.Errorf("nobody else came in while %d tries were made, %v", tries, err)
	}
	<-out
}
