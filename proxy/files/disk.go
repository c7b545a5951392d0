package files

import "time"

// threads is how many requests may be inside the disk at a time, for one tree. Each is a thread of the process while it waits, and the runtime ends a process that has 10,000; a disk
// that serves from memory never has more than one for each processor, one that does not gets no faster from a longer line.
const threads = 64

// queueTime is how long a request waits for its turn. A disk that hangs, as a network file system does whose server is away, must not gather all clients of the edge.
const queueTime = 5 * time.Second

// Disk is the named point where requests wait for a disk: everything that may leave memory happens between Enter and Leave.
type Disk struct {
	turns    chan struct{}
	patience time.Duration
}

func newDisk(turns int, patience time.Duration) *Disk {
	return &Disk{turns: make(chan struct{}, turns), patience: patience}
}

// Enter waits for a turn; an error of why Busy says that there was none in time.
func (d *Disk) Enter() error {
	select {
	case d.turns <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(d.patience)
	defer timer.Stop()
	select {
	case d.turns <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	}
}

// Leave ends the turn.
func (d *Disk) Leave() { <-d.turns }
