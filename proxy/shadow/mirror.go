package shadow

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// ShareWhole is the share that takes every request.
const ShareWhole = 10000

// waiting is how many requests wait for a worker at most. With heads of 32 KiB that is 2 MiB.
const waiting = 64

// Options are a Mirror's for its life.
type Options struct {
	// From is the group that answers, To the one that is tried.
	From, To string
	// Share of the requests, in hundredths of a percent.
	Share uint32
	// Rate is at most how many requests are taken per second, each of which is asked three times.
	Rate float64
	// Concurrency is the number of workers: at most so many requests are under way.
	Concurrency int
	// Timeout of one answer, from the dial to its last byte.
	Timeout time.Duration
	// MaxBody is the length up to which bodies are compared, bytes.
	MaxBody int64
	// Credentials says that requests which say who they are from may be asked again.
	Credentials bool
	Rules       Rules

	// Live is who may be asked now; nil: the group is not there. It is called by workers and by Take.
	Live func(group string) *upstream.LiveSet
	// Obstacle says why nothing may be asked now; "": nothing stands against it. It is called by workers and by Take, and does not wait.
	Obstacle func() string
	// Now is the clock of the upstream registry, ns.
	Now func() int64
	// Panicked is told of a bug, which costs one comparison.
	Panicked func(any)
}

// Mirror is a resource with Options.Concurrency goroutines, which Close ends.
type Mirror struct {
	options Options
	ledger  *ledger
	pace    *rate.Limiter
	queue   chan *question
	ctx     context.Context // ends with Close
	stop    context.CancelFunc
	workers sync.WaitGroup
	rest    rest
}

// Start makes a Mirror and starts its workers.
func Start(o Options) *Mirror {
	m := &Mirror{options: o, ledger: newLedger(time.Now()), queue: make(chan *question, waiting)}
	m.pace = rate.NewLimiter(rate.Limit(o.Rate), max(1, int(o.Rate)))
	m.ctx, m.stop = context.WithCancel(context.Background())
	for i := range o.Concurrency {
		w := &worker{mirror: m, turn: uint32(i)}
		m.workers.Go(w.run)
		context.AfterFunc(m.ctx, w.abandon)
	}
	return m
}

// Close makes the workers end and does not wait for them: Wait does. What they ask is broken off.
func (m *Mirror) Close() { m.stop() }

// Wait returns when the workers have ended. A handshake of HTTP/2 that is under way when Close comes is waited for, at most Timeout.
func (m *Mirror) Wait() { m.workers.Wait() }

// Due deals the share. It is asked by requests that are about to be forwarded.
func (m *Mirror) Due() bool {
	return m.options.Share > 0 && (m.options.Share >= ShareWhole || rand.Uint32N(ShareWhole) < m.options.Share)
}

// Request is one that was answered: nothing of it is used after Take.
type Request struct {
	Head *message.Request
	Path []byte // canonical
	Own  []byte // lines that the edge has added to it, each ended by CRLF
	ID   []byte // X-Request-ID
	// Known says that somebody was recognised in another way than by a field: a client's certificate, a login.
	Known bool
}

// Take queues a copy of a request, or counts why it does not. It does not wait.
func (m *Mirror) Take(r Request) {
	switch why := m.refusal(&r); why {
	case "":
	default:
		m.ledger.count(why)
		return
	}
	select {
	case m.queue <- newQuestion(&r):
	default:
		m.ledger.count(ResultDropped)
	}
}

// refusal is why a request is not taken, "" if it is. The dearest to ask comes last, the rate behind all that costs no turn.
func (m *Mirror) refusal(r *Request) string {
	switch {
	case !m.options.Credentials && (r.Known || telling(r)):
		return ResultPrivate
	case len(m.queue) == cap(m.queue):
		return ResultDropped
	}
	if why, _ := m.obstacle(); why != "" {
		return why
	}
	if !m.pace.Allow() {
		return ResultLimited
	}
	return ""
}

// obstacle is why nothing may be asked now, as a result and in words; "" if something may.
func (m *Mirror) obstacle() (result, why string) {
	if m.ctx.Err() != nil {
		return ResultBusy, "it has ended"
	}
	if why := m.options.Obstacle(); why != "" {
		return ResultBusy, why
	}
	if why := m.rest.why(m.options.From, time.Now()); why != "" {
		return ResultBusy, why
	}
	for _, group := range [...]string{m.options.From, m.options.To} {
		if live := m.options.Live(group); live == nil || live.Len() == 0 || live.Fallback() {
			return ResultUnhealthy, "no target of group " + group + " is healthy"
		}
	}
	return "", ""
}

// Reset forgets what was counted.
func (m *Mirror) Reset() { m.ledger.reset(time.Now()) }
