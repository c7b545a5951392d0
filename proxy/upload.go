package proxy

import (
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// replayLimit is how much of a request body is kept for saying it again (nginx and Envoy users know the figure as a body buffer); what is longer
// goes through once.
const replayLimit = 64 << 10

// upload is a request's body on its way. A body that arrived with its head is a slice of the connection's buffer and is sent with the head in one write; so
// is one whose rest is in the socket already and fits the replay buffer. Any other is pumped by a goroutine of its own, so that an early answer, a 100 or
// a 413, is seen while the body is still coming; that goroutine is started by send and joined by join, always within the attempt.
type upload struct {
	whole  []byte
	stream bool
	body   requestBody
	plain  *http1.Body // body, where it is one that can be spliced
	limit  int64       // bytes; negative: none

	begun bool
	lent  *[replayLimit]byte // borrowed while streaming
	buf   []byte             // lent, or more where prefetch wanted it; what was read so far, unless lost
	held  int
	lost  bool // more was read than is held: the body cannot be said again

	t       *attempt
	done    chan struct{} // one message per pump, at its end
	active  bool          // a pump was started and not joined
	stopped atomic.Bool   // set by stop, read by the pump
	taken   atomic.Bool   // set when the body was read to its end, before it sends the last of it: an answer may follow that at once
	ended   atomic.Bool   // set by the pump at its end
	cause   atomic.Pointer[Error]
	slow    slowBody
}

// begin looks at the request's body.
func (u *upload) begin(x *Exchange) {
	u.whole, u.stream, u.held, u.lost, u.limit, u.begun = nil, false, 0, false, x.route.MaxBody, true
	u.taken.Store(false)
	u.cause.Store(nil)
	if x.req.Framing == message.None {
		return
	}
	u.body = x.down.RequestBody()
	u.plain, _ = u.body.(*http1.Body)
	if whole, ok := u.body.AtHand(); ok {
		u.whole = whole
		return
	}
	u.stream = true
	u.slow.begin(x)
	u.lent, _ = x.proxy.bodies.Get().(*[replayLimit]byte)
	if u.lent == nil {
		u.lent = new([replayLimit]byte)
	}
	u.buf = u.lent[:]
	if u.done == nil {
		u.done = make(chan struct{}, 1)
	}
}

// release gives the buffer back. The pump has been joined.
func (u *upload) release(x *Exchange) {
	if u.lent != nil {
		x.proxy.bodies.Put(u.lent)
		u.lent, u.buf = nil, nil
	}
	u.begun = false
	u.body, u.plain, u.whole, u.t = nil, nil, nil, nil
}

// replayable reports whether the whole body, as far as it was read, can be said again.
func (u *upload) replayable() bool { return !u.lost && !u.active && u.cause.Load() == nil }

// send says the body behind a head that was gathered on t's connection.
func (u *upload) send(t *attempt) {
	if !u.stream {
		if len(u.whole) > 0 {
			t.conn.Write(u.whole)
		}
		t.conn.Finish(nil)
		return
	}
	u.gather()
	if u.held > 0 {
		t.conn.Write(u.buf[:u.held])
	}
	if u.body.Complete() && !u.lost {
		u.taken.Store(true)
		t.conn.Finish(u.body.Trailers())
		return
	}
	u.t, u.active = t, true
	u.stopped.Store(false)
	u.taken.Store(false)
	u.ended.Store(false)
	go u.pump(t.conn)
}

// gather reads what has arrived of the body into the replay buffer, without waiting: most bodies are there by the time their head is understood, and
// one write for head and body is what they should cost.
func (u *upload) gather() {
	for !u.lost && u.held < len(u.buf) && !u.body.Complete() {
		n := u.body.ReadNow(u.buf[u.held:])
		if n == 0 {
			return
		}
		u.held += n
	}
}

// running reports whether the body is still on its way.
func (u *upload) running() bool { return u.active && !u.ended.Load() }

// unfinished reports a request body of which something was not read (yet).
func (u *upload) unfinished() bool { return u.stream && !u.taken.Load() }

// failed is what stopped the body on the client's side, nil if nothing did.
func (u *upload) failed() *Error { return u.cause.Load() }

// join waits for the pump, interrupting it if it is not done, and returns what failed on the client's side.
func (u *upload) join(x *Exchange) *Error {
	if !u.active {
		return nil
	}
	if u.taken.Load() {
		u.linger()
	}
	interrupted := !u.ended.Load()
	if interrupted {
		u.stopped.Store(true)
		_ = x.down.StopReading() // on a closed connection the read has ended by itself
		_ = u.t.conn.StopWriting()
	}
	<-u.done
	u.active = false
	if interrupted {
		_ = x.down.ResumeReading()
	}
	return u.cause.Load() // also of a pump that was on its way out when it was interrupted: what an interruption does is no cause
}

// lastWords is how long an upstream that has answered may take for the last bytes of a body: they are on their way, and stopping them would cost the
// connection.
const lastWords = 50 * time.Millisecond

// linger lets a pump end that has only its last write to do.
func (u *upload) linger() {
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-u.done:
		u.done <- struct{}{} // for join; there is room for the one that was taken
	case <-timer.C:
	}
}

// pump moves the body from the client to the upstream. It is the only writer of the upstream connection and the only reader of the client's while it runs.
func (u *upload) pump(conn upside) {
	defer u.end(conn)
	conn.Flush() // the head goes now: the upstream may answer it before the body is there
	if err := u.move(conn); err != nil && !u.stopped.Load() {
		u.cause.Store(err)
		_ = conn.StopReading() // wakes the exchange, which is waiting for an answer that will not come
	}
}

// end tells that the pump is done. A panic in it is a bug that costs this exchange, as one on the exchange's own goroutine does.
func (u *upload) end(conn upside) {
	if bug := recover(); bug != nil {
		u.t.x.client.panicked(bug)
		u.cause.Store(&Error{500, Internal, nil})
		_ = conn.StopReading()
	}
	u.ended.Store(true)
	u.done <- struct{}{}
}

func (u *upload) move(conn upside) *Error {
	x := u.t.x
	for !u.body.Complete() {
		begin := x.proxy.options.Now()
		if err := x.awaitBody(); err != nil {
			return clientError(err)
		}
		if u.plain != nil && (u.lost || u.body.Left() > replayLimit) {
			if moved, err := conn.Splice(u.plain, u.renewBoth); moved {
				u.lost = true
				return u.spliced(err)
			}
		}
		if u.held == len(u.buf) {
			u.lost, u.held = true, 0
		}
		n, err := u.body.Read(u.buf[u.held:])
		now := x.proxy.options.Now()
		conn.AwaitWrite(x.proxy.wall(now), x.service.IdleTimeout) // the time to write begins when there is something to write
		if err != nil && !u.body.Complete() {
			return clientError(err)
		}
		if u.limit >= 0 && u.body.Received() > u.limit {
			return errBodyLarge
		}
		if u.slow.waited(time.Duration(now-begin), int64(n)) && !u.body.Complete() {
			return errSlowBody
		}
		if u.body.Complete() {
			u.taken.Store(true)
		}
		conn.Write(u.buf[u.held : u.held+n])
		if !u.lost {
			u.held += n
		}
		if !u.body.Complete() && !u.body.Buffered() {
			conn.Flush()
		}
		if conn.Err() != nil {
			return nil // the upstream stopped listening; its answer, if it has one, is on the way
		}
	}
	u.taken.Store(true)
	conn.Finish(u.body.Trailers())
	return nil
}

// awaitBody bounds the next wait for body bytes, but of a gRPC call: its messages come when there is something to say, and its deadline, if it has one, is the exchange's.
func (x *Exchange) awaitBody() error {
	if x.rpc.call {
		if d, ok := x.down.(interface{ AwaitForever() }); ok {
			d.AwaitForever()
			return nil
		}
	}
	return x.down.AwaitBody(x.proxy.wall(x.proxy.options.Now()))
}

// spliced judges the end of a splice: an unfinished body whose upstream side is still sound is the client's doing.
func (u *upload) spliced(err error) *Error {
	if err == nil {
		u.taken.Store(true)
		u.t.conn.Finish(nil)
		return nil
	}
	u.taken.Store(false) // renewBoth has been too hopeful
	if u.slow.cut {
		return errSlowBody
	}
	if u.t.conn.Err() == nil {
		return clientError(err)
	}
	return nil
}

// renewBoth moves the deadlines of a splice.
func (u *upload) renewBoth(now time.Time) {
	u.t.conn.AwaitWrite(now, u.t.x.service.IdleTimeout)
	_ = u.t.x.down.AwaitBody(now) // a closed connection shows at the next move
	if u.plain.Ending() {
		u.taken.Store(true)
	}
	if u.slow.turn(now, u.body.Received()) {
		u.slow.cut = true
		_ = u.t.x.down.StopReading() // the next wait is over at once
	}
}
