package collab

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/app/store"
)

// maxQueued is how many messages may wait for one connection, beside their bytes.
const maxQueued = 256

// statusExpired tells a client to come back with a new token.
const statusExpired websocket.StatusCode = 4401

// closing is how a connection is to end, and what counts it.
type closing struct {
	code   websocket.StatusCode
	reason string
	count  prometheus.Counter
}

// client is one connection. It has four goroutines, which end with it: the request's own, which reads, and run's.
type client struct {
	hub  *Hub
	who  Who
	user *user
	id   string
	conn *websocket.Conn

	// ctx ends when the connection is to be cut: whoever writes or reads on it stops.
	ctx    context.Context
	cancel context.CancelFunc
	// farewell takes the first wish for a clean end.
	farewell chan closing
	// counted is what the end is counted on, set once by whoever caused it.
	counted atomic.Pointer[closing]
	// out is what waits to be sent, of queued bytes.
	out    chan []byte
	queued atomic.Int64

	// These belong to the goroutine that reads.
	messages *rate.Limiter
	room     *room
	// member is guarded by the room's mu once it is in one.
	member store.Member
}

// run is the connection's life.
func (c *client) run() {
	var others sync.WaitGroup
	others.Go(c.write)
	others.Go(c.ping)
	others.Go(c.end)
	c.read()
	c.leave()
	c.cancel()
	_ = c.conn.CloseNow() // it may be closed already
	others.Wait()
	if why := c.counted.Load(); why != nil {
		why.count.Inc()
		return
	}
	c.hub.Metrics.Closed.Client.Inc()
}

// bye wishes for a clean end; only the first wish counts. It does not wait.
func (c *client) bye(why closing) {
	if c.counted.CompareAndSwap(nil, &why) {
		c.farewell <- why
	}
}

// cut ends the connection without a word.
func (c *client) cut(count prometheus.Counter) {
	c.counted.CompareAndSwap(nil, &closing{count: count})
	c.cancel()
}

// end waits for a wish and shakes hands, for as long as coder/websocket gives it (5 s each way).
func (c *client) end() {
	var expired <-chan time.Time
	if !c.who.Until.IsZero() {
		timer := time.NewTimer(c.who.Until.Sub(c.hub.Now()))
		defer timer.Stop()
		expired = timer.C
	}
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-expired:
			c.bye(closing{statusExpired, "the access token has expired: connect with a new one", c.hub.Metrics.Closed.Expired})
			expired = nil
		case why := <-c.farewell:
			_ = c.conn.Close(why.code, why.reason) // the other side may be gone
			c.cancel()
			return
		}
	}
}

func (c *client) ping() {
	tick := time.NewTicker(c.hub.Limits.Ping)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.hub.Limits.Pong)
		err := c.conn.Ping(ctx)
		cancel()
		if err != nil {
			c.cut(c.hub.Metrics.Closed.Silent)
			return
		}
	}
}

func (c *client) write() {
	for {
		select {
		case <-c.ctx.Done():
			return
		case message := <-c.out:
			ctx, cancel := context.WithTimeout(c.ctx, c.hub.Limits.Write)
			err := c.conn.Write(ctx, websocket.MessageText, message)
			late := ctx.Err() != nil
			cancel()
			c.queued.Add(-int64(len(message)))
			if err != nil {
				if late {
					c.cut(c.hub.Metrics.Closed.Slow)
				}
				return // the reader sees that the connection is broken, too
			}
			c.hub.Metrics.Out.Inc()
		}
	}
}

// send queues a message, or cuts a connection that does not read: nobody waits for it.
func (c *client) send(message []byte) {
	size := int64(len(message))
	if waiting := c.queued.Add(size); waiting > int64(c.hub.Limits.Queue) && waiting > size {
		c.cut(c.hub.Metrics.Closed.Slow)
		return
	}
	select {
	case c.out <- message:
	default:
		c.cut(c.hub.Metrics.Closed.Slow)
	}
}

func (c *client) read() {
	for {
		kind, data, err := c.conn.Read(c.ctx)
		if err != nil {
			if errors.Is(err, websocket.ErrMessageTooBig) { // and the client has been told
				c.counted.CompareAndSwap(nil, &closing{count: c.hub.Metrics.Closed.Policy})
			}
			return
		}
		c.hub.Metrics.In.Inc()
		if kind != websocket.MessageText {
			c.bye(closing{websocket.StatusUnsupportedData, "messages are text", c.hub.Metrics.Closed.Policy})
			continue // until it is closed
		}
		if !c.messages.AllowN(c.hub.Now(), 1) {
			c.bye(closing{websocket.StatusPolicyViolation, "too many messages", c.hub.Metrics.Closed.Policy})
			continue
		}
		if c.counted.Load() == nil { // nothing is begun for one who is on the way out
			c.handle(data)
		}
	}
}

func (c *client) handle(data []byte) {
	ctx, cancel := context.WithTimeout(c.ctx, c.hub.Limits.Request)
	defer cancel()
	m, refusal := c.hub.parser.Parse(data, c.hub.Now())
	if refusal == nil {
		refusal = c.allowed(m)
	}
	if refusal == nil {
		refusal = c.do(ctx, m)
	}
	if refusal != nil {
		if m.Type == typeOps {
			c.hub.Metrics.Batches.Refused.Inc()
		}
		c.reply(m, typeError, refusal)
	}
}

// allowed holds a message to who the client is and where it is.
func (c *client) allowed(m Message) *Refusal {
	if m.Tenant != "" && m.Tenant != c.who.Tenant {
		return refuse("forbidden", "tenant: is not yours")
	}
	if m.User != "" && m.User != c.who.User {
		return refuse("forbidden", "user_id: is not yours")
	}
	if m.Type != typeJoin && (c.room == nil || c.room.key.Document != m.Doc) {
		return refuse("not_joined", "join %s first", m.Doc)
	}
	return nil
}

func (c *client) do(ctx context.Context, m Message) *Refusal {
	switch m.Type {
	case typeJoin:
		return c.join(ctx, m)
	case typeLeave:
		c.leave()
		c.reply(m, typeLeft, struct{}{})
		return nil
	case typePresence:
		c.room.move(c, m.Cursor)
		return nil
	}
	c.user.mu.Lock()
	wait, ok := c.user.ops.take(len(m.Ops), c.hub.Now())
	c.user.mu.Unlock()
	if !ok {
		r := refuse("rate_limited", "at most %d ops a minute", c.hub.Limits.OpsPerMinute)
		r.RetryAfter = max(1, wait.Milliseconds())
		return r
	}
	for i := range m.Ops {
		m.Ops[i].User = c.who.User
	}
	return c.room.write(ctx, c, m)
}

// join goes to a document, and away from the one before.
func (c *client) join(ctx context.Context, m Message) *Refusal {
	c.leave()
	r := c.hub.enter(store.DocumentKey{Tenant: c.who.Tenant, Document: m.Doc})
	c.member = store.Member{Client: c.id, User: c.who.User, Name: m.Name}
	if refusal := r.join(ctx, c, m); refusal != nil {
		c.hub.exit(r)
		return refusal
	}
	c.room = r
	return nil
}

func (c *client) leave() {
	if c.room == nil {
		return
	}
	// Also for one whose connection is gone: the others must not see it for another 90 s.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), c.hub.Limits.Request)
	defer cancel()
	c.room.leave(ctx, c)
	c.hub.exit(c.room)
	c.room = nil
}

// reply answers one message.
func (c *client) reply(m Message, kind string, payload any) {
	if b := c.hub.encode(outgoing{Type: kind, Tenant: c.who.Tenant, Doc: m.Doc, User: c.who.User, Request: m.Request, Payload: payload}); b != nil {
		c.send(b)
	}
}

// failed is a fault of ours, which the log explains.
func (h *Hub) failed(what string, k store.DocumentKey, err error) *Refusal {
	h.Log.Error(what, zap.String("document", k.Document), zap.Error(err))
	return refuse("internal", "it could not be done; send it again")
}

// outgoing is the envelope of what a server sends.
type outgoing struct {
	Type    string `json:"type"`
	Version int    `json:"version"`
	Tenant  string `json:"tenant"`
	Doc     string `json:"doc_id"`
	User    string `json:"user_id"` // who did it
	Request string `json:"request_id,omitempty"`
	Payload any    `json:"payload"`
}

func (h *Hub) encode(m outgoing) []byte {
	m.Version = protocol
	b, err := json.Marshal(m)
	if err != nil { // impossible: every type in it marshals
		h.Log.Error("message cannot be written", zap.String("type", m.Type), zap.Error(err))
		return nil
	}
	return b
}
