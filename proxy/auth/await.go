package auth

import "time"

// outcome is how a wait ended.
type outcome uint8

const (
	came outcome = iota // what was waited for
	late                // it has not come in time, or will not come any more
	left                // the client
)

// glance is how often who waits looks whether its client is still there: as for requests that wait for a service.
const glance = 250 * time.Millisecond

// await waits for something from c, until never is closed (nil: it is not), patience is over or the client leaves.
func (r *Request) await(c, never <-chan struct{}, patience time.Duration) outcome {
	until := time.Now().Add(patience)
	look := time.NewTimer(min(glance, patience))
	defer look.Stop()
	for {
		select {
		case <-c:
			return came
		case <-never:
			return late
		case <-look.C:
		}
		rest := time.Until(until)
		switch {
		case r.Asker != nil && r.Asker.Gone():
			return left
		case rest <= 0:
			return late
		}
		look.Reset(min(glance, rest))
	}
}
