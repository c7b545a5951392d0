package trace

import (
	"context"
	"crypto/x509"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Counters count requests that were sampled. They outlive exporters.
type Counters struct {
	Exported atomic.Uint64
	dropped  [dropReasons]atomic.Uint64
}

// drop is why a request's trace was lost.
type drop int

const (
	dropOff     drop = iota // there is no exporter any more
	dropFull                // the queue was full: the collector does not keep up
	dropFailed              // the collector did not answer in time, or not as one does
	dropRefused             // the collector would not have it
	dropEnded               // the process ended before it was sent
	dropReasons
)

// String is the reason as metrics name it.
func (d drop) String() string {
	return [...]string{"off", "queue_full", "failed", "refused", "shutdown"}[d]
}

// Dropped calls f with each reason and how many were lost for it.
func (c *Counters) Dropped(f func(reason string, n uint64)) {
	for d := range dropReasons {
		f(d.String(), c.dropped[d].Load())
	}
}

func (c *Counters) drop(why drop, n int) { c.dropped[why].Add(uint64(n)) }

// Options are of one exporter.
type Options struct {
	// Endpoint is the base URL of the collector: http or https, a host, and over HTTP perhaps a path, to which /v1/traces is added unless it ends so.
	Endpoint string
	GRPC     bool
	Headers  []Attribute    // sent with every export
	Roots    *x509.CertPool // nil: the system's
	Plain    bool           // not compressed
	Timeout  time.Duration  // of one export with all its tries
	Queue    int            // requests that wait at most
	Resource []Attribute
	Version  string // of weir
	Counters *Counters
	Logger   *zap.Logger
}

const (
	// mostBatch requests leave together: with six spans each and some attributes about half a megabyte, of the 4 MiB that collectors take by default.
	mostBatch = 256
	// gathering is how long the first of a batch waits for others.
	gathering = time.Second
)

// Exporter sends the spans of requests to a collector. It is a resource with one goroutine, which Close ends.
type Exporter struct {
	options Options
	encoder *encoder
	sender  *sender

	mu     sync.Mutex // guards queue and closed; held for an append or a cut
	queue  []*Request
	closed bool

	wake    chan struct{} // the queue is not empty, or long enough for a batch; capacity 1
	closing chan struct{}
	sending context.Context // ends when Close has waited long enough
	abort   context.CancelFunc
	done    chan struct{} // closed by the goroutine at its end
	health  health
}

// Start makes an exporter. Nothing is sent before there is something to send, so that a collector that is away is no error. The error is a mistake in o.
func Start(o Options) (*Exporter, error) {
	sender, err := newSender(&o)
	if err != nil {
		return nil, err
	}
	e := &Exporter{
		options: o, encoder: newEncoder(o.Version, o.Resource), sender: sender,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}), health: health{log: o.Logger},
	}
	e.sending, e.abort = context.WithCancel(context.Background())
	go e.run()
	return e, nil
}

// Add takes a finished request. It does not wait; what there is no room for is dropped and counted. false: the exporter is closed and has not taken it.
func (e *Exporter) Add(r *Request) bool {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return false
	}
	n := len(e.queue)
	if n < e.options.Queue {
		e.queue = append(e.queue, r)
	}
	e.mu.Unlock()
	switch {
	case n >= e.options.Queue:
		e.options.Counters.drop(dropFull, 1)
	case n == 0, n+1 == mostBatch:
		select {
		case e.wake <- struct{}{}:
		default: // it has been told already
		}
	}
	return true
}

// Close sends what is there until ctx ends and drops the rest.
func (e *Exporter) Close(ctx context.Context) {
	if e == nil {
		return
	}
	e.mu.Lock()
	again := e.closed
	e.closed = true
	e.mu.Unlock()
	if !again {
		close(e.closing)
	}
	stop := context.AfterFunc(ctx, e.abort)
	defer stop()
	<-e.done
}

// run is the goroutine.
func (e *Exporter) run() {
	defer func() {
		e.mu.Lock()
		e.closed = true // by a panic perhaps, which must not leave a queue that nobody empties
		rest := len(e.queue)
		e.queue = nil
		e.mu.Unlock()
		e.options.Counters.drop(dropEnded, rest)
		e.abort()
		e.sender.close()
		close(e.done)
	}()
	for e.gather() {
		for batch := e.take(); len(batch) > 0; batch = e.take() {
			e.export(batch)
		}
	}
}

// gather waits until there is something to send, and then a while for more; false: the exporter is closed and nothing is left to send.
func (e *Exporter) gather() bool {
	select {
	case <-e.wake:
	case <-e.closing:
		return e.waiting() > 0 && e.sending.Err() == nil
	}
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	for e.waiting() < mostBatch {
		select {
		case <-e.wake:
		case <-timer.C:
			return true
		case <-e.closing:
			return true
		}
	}
	return true
}

func (e *Exporter) waiting() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.queue)
}

// take cuts a batch off the queue; none when there is no time left to send it.
func (e *Exporter) take() []*Request {
	if e.sending.Err() != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(e.queue), mostBatch)
	batch := e.queue[:n:n]
	if e.queue = e.queue[n:]; len(e.queue) == 0 {
		e.queue = nil // and with it the array, which grew while the collector was slow
	}
	return batch
}

// export sends one batch and counts what became of it. A panic in here is a bug that costs the batch.
func (e *Exporter) export(batch []*Request) {
	c, n := e.options.Counters, len(batch)
	defer func() {
		if bug := recover(); bug != nil {
			c.drop(dropFailed, n)
			e.options.Logger.Error("panic in the export of traces", zap.Any("weir.panic", bug), zap.Stack("error.stack_trace"))
		}
	}()
	ctx, cancel := context.WithTimeout(e.sending, e.options.Timeout)
	defer cancel()
	refused, err := e.sender.send(ctx, e.encoder.batch(batch), e.closing)
	lost := min(refused, n)
	switch {
	case err == nil:
		c.drop(dropRefused, lost)
		c.Exported.Add(uint64(n - lost))
	case e.sending.Err() != nil:
		c.drop(dropEnded, n)
	case err.refused:
		c.drop(dropRefused, n)
	default:
		c.drop(dropFailed, n)
	}
	e.health.tell(err, refused, time.Now())
}
