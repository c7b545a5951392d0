package shadow

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// worker is one goroutine that asks. The Mirror owns it; it ends with the Mirror's context.
type worker struct {
	mirror *Mirror
	turn   uint32 // of targets

	mu   sync.Mutex // guards wire and over, so that abandon breaks no connection that was given back
	wire wire       // in use; nil: none
	over bool       // abandon was called
}

func (w *worker) run() {
	m := w.mirror
	for {
		select {
		case <-m.ctx.Done():
			return
		case q := <-m.queue:
			if m.ctx.Err() != nil { // of two that are ready select takes any
				return
			}
			w.serve(q)
		}
	}
}

// serve makes one comparison. A panic in it is a bug that costs this one.
func (w *worker) serve(q *question) {
	defer func() {
		if bug := recover(); bug != nil {
			w.mirror.options.Panicked(bug)
			if c := w.wire; c != nil { // nobody else writes it
				w.use(nil)
				c.End(false, false, w.mirror.options.Now())
			}
		}
	}()
	w.compare(q)
}

// compare asks blue, green and blue again, and books what differs. Between two askings it looks whether it may go on: what has begun to be too much is not finished.
func (w *worker) compare(q *question) {
	m := w.mirror
	o := &m.options
	first, ok := w.ask(q, o.From)
	switch {
	case !ok:
		return
	case first.failure != "":
		m.rest.failed(time.Now())
		m.ledger.count(ResultFailed)
		return
	case first.long:
		m.ledger.count(ResultLarge)
		return
	}
	green, ok := w.ask(q, o.To)
	if !ok {
		return
	}
	second, ok := w.ask(q, o.From)
	if !ok {
		return
	}
	if second.failure != "" {
		m.rest.failed(time.Now())
	} else {
		m.rest.passed()
	}
	m.ledger.enter(q, o.Rules.diff(first, green), o.Rules.diff(first, second), time.Now())
}

// ask asks one target of a group; false: not now, which is counted. An end of the Mirror is no answer either.
func (w *worker) ask(q *question, group string) (a *answer, ok bool) {
	m := w.mirror
	if result, _ := m.obstacle(); result != "" {
		m.ledger.count(result)
		return nil, false
	}
	peer := w.pick(group)
	if peer == nil {
		m.ledger.count(ResultBusy)
		return nil, false
	}
	m.ledger.ask(group)
	ctx, cancel := context.WithTimeout(m.ctx, m.options.Timeout)
	defer cancel()
	a = w.asked(ctx, q, asking{peer: peer, group: group})
	if m.ctx.Err() != nil {
		return nil, false
	}
	return a, true
}

// pick goes round the targets that may be asked, and passes over those that have as much to do as they can. The balance of clients' requests is not touched.
func (w *worker) pick(group string) *upstream.Peer {
	live := w.mirror.options.Live(group)
	if live == nil {
		return nil
	}
	w.turn++
	for i := range live.Len() {
		if p := live.At((int(w.turn) + i) % live.Len()); !p.Full() {
			return p
		}
	}
	return nil
}

// asking is where a question goes.
type asking struct {
	peer  *upstream.Peer
	group string
}

// asked is what a target answers until ctx ends. A resting connection that turns out to be dead is replaced by a fresh one, once: that says nothing about the target.
func (w *worker) asked(ctx context.Context, q *question, to asking) *answer {
	for fresh := false; ; fresh = true {
		c, err := reach(ctx, to.peer, fresh, w.mirror.options.Now())
		if err != nil {
			return &answer{failure: unreached(ctx, err)}
		}
		w.use(c)
		a, err := w.exchange(ctx, c, q, to.group)
		stale := err != nil && !fresh && c.Reused() && !c.Answered() && ctx.Err() == nil && !errors.Is(err, os.ErrDeadlineExceeded)
		late := errors.Is(err, os.ErrDeadlineExceeded)
		w.use(nil)
		c.End(err == nil && !a.long, late, w.mirror.options.Now())
		switch {
		case err == nil:
			return a
		case !stale:
			return &answer{failure: broken(ctx, err)}
		}
	}
}

// exchange says the question and reads the answer.
func (w *worker) exchange(ctx context.Context, c wire, q *question, group string) (*answer, error) {
	deadline, _ := ctx.Deadline()
	now := time.Now()
	c.Begin()
	c.AwaitWrite(now, deadline.Sub(now))
	c.WriteHead(&q.head, q.path, q.marked(group))
	c.Finish(nil)
	if err := c.Err(); err != nil {
		return nil, err
	}
	var resp message.Response
	for resp.Status < 200 { // interim ones say nothing
		if err := await(c, deadline); err != nil {
			return nil, err
		}
		if err := c.ReadResponse(&resp, q.head.Method, false); err != nil {
			return nil, err
		}
	}
	a := &answer{status: resp.Status}
	if value, ok := resp.Header.Get("Content-Type"); ok {
		a.kind = string(value)
	}
	for _, name := range w.mirror.options.Rules.Headers {
		a.headers = append(a.headers, joined(&resp.Header, name))
	}
	return a, w.read(a, c, deadline)
}

// read takes the body in, up to what is compared and a byte more, which tells that there is more.
func (w *worker) read(a *answer, c wire, deadline time.Time) error {
	body, most := c.Content(), w.mirror.options.MaxBody
	for !body.Complete() {
		if err := await(c, deadline); err != nil {
			return err
		}
		p, err := body.Next()
		a.body = append(a.body, p[:min(int64(len(p)), most-int64(len(a.body))+1)]...)
		if int64(len(a.body)) > most {
			a.body, a.long = a.body[:most], true
			return nil
		}
		if err != nil && !body.Complete() {
			return err
		}
	}
	return nil
}

// await bounds the next read by the deadline.
func await(c wire, deadline time.Time) error {
	now := time.Now()
	left := deadline.Sub(now)
	if left <= 0 {
		return os.ErrDeadlineExceeded
	}
	return c.Await(now, left)
}

// joined are all fields of a name as one value (RFC 9110 §5.3).
func joined(h *message.Header, name string) (value string) {
	for i := range h.Len() {
		if f := h.At(i); message.EqualFold(f.Name(), name) {
			if value != "" {
				value += ", "
			}
			value += string(f.Value())
		}
	}
	return value
}

// unreached is why there is no connection, in a word.
func unreached(ctx context.Context, err error) string {
	var dial *upstream.DialError
	switch {
	case ctx.Err() != nil:
		return "timeout"
	case errors.As(err, &dial):
		return dial.Kind.String()
	}
	return "connect_failed"
}

// broken is why an answer did not come, in a word.
func broken(ctx context.Context, err error) string {
	var bad *message.Error
	switch {
	case errors.As(err, &bad):
		return "invalid"
	case ctx.Err() != nil, errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	}
	return "broken"
}

// use notes the connection in use, nil for none. When the Mirror has ended it is broken at once.
func (w *worker) use(c wire) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wire = c; c != nil && w.over {
		c.Break()
	}
}

// abandon makes what is under way fail at once. The Mirror's context calls it.
func (w *worker) abandon() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over = true; w.wire != nil {
		w.wire.Break()
	}
}
