package collab

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/google/uuid"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

// Subprotocol is what a connection speaks; a browser that offers a token as another one needs it to be chosen (RFC 6455, 4.1).
const Subprotocol = "valor.v1"

// Errors of Serve. Nothing has been answered then.
var (
	ErrFull     = errors.New("too many connections")
	ErrDraining = errors.New("the service is stopping")
)

// Limits bound what connections may do and how long they may be silent. Every field is required; Defaults has those that are shipped.
type Limits struct {
	Connections  int // of this process
	UserSockets  int // of one user
	Members      int // of a document, on all instances
	Documents    int // of a tenant
	OpsPerMinute int // of one user in this process
	Message      int // bytes of one from a client

	Rate  rate.Limit // messages a second of one connection
	Burst int
	Queue int // bytes that wait for one connection to read

	Ping, Pong time.Duration // how often a client is asked for a sign of life, and how long it may take
	Write      time.Duration // for one message to be taken by the network
	Presence   time.Duration // for which a member counts as there when its instance does not say so
	Sync       time.Duration // how often other instances are looked after
	Request    time.Duration // for what one message does in the database
	Snapshot   int64         // batches from one to the next
	Log        int64         // batches kept for those who come back
}

// Defaults are the limits that are shipped.
func Defaults() Limits {
	return Limits{
		Connections: 1000, UserSockets: 50, Members: 50, Documents: 1000, OpsPerMinute: 120, Message: 64 << 10,
		Rate: 20, Burst: 60, Queue: 512 << 10, // a whole document and what comes meanwhile
		Ping: 25 * time.Second, Pong: 10 * time.Second, Write: 10 * time.Second, Presence: 90 * time.Second,
		Sync: 250 * time.Millisecond, Request: 5 * time.Second, Snapshot: 50, Log: 1000,
	}
}

// Options is what a Hub is made of. Every field is required.
type Options struct {
	Store   store.Documents
	Metrics *metrics.Sockets
	Log     *zap.Logger
	Now     func() time.Time
	Limits  Limits
}

// Who is on the other end of a connection.
type Who struct {
	Tenant, User string
	Until        time.Time // when its right to be there ends; zero: never
}

// Hub is a resource: the connections of this process and the documents that they have open. Close it before the store.
type Hub struct {
	Options
	parser Parser

	// mu guards what follows. Nobody waits for anything while holding it.
	mu      sync.Mutex
	closing bool
	clients map[*client]struct{}
	rooms   map[store.DocumentKey]*room
	users   map[Who]*user // by tenant and user alone

	// sockets counts the connections; it grows under mu and not once closing.
	sockets sync.WaitGroup
	// stop ends the one goroutine, tide, which ended then says.
	stop  context.CancelFunc
	ended chan struct{}
}

// user is what the connections of one user share.
type user struct {
	sockets int // guarded by Hub.mu
	mu      sync.Mutex
	ops     *window // guarded by mu
}

// New makes a hub and starts its goroutine.
func New(o Options) *Hub {
	ctx, stop := context.WithCancel(context.Background())
	h := &Hub{Options: o, parser: NewParser(), clients: map[*client]struct{}{}, rooms: map[store.DocumentKey]*room{}, users: map[Who]*user{},
		stop: stop, ended: make(chan struct{})}
	go h.tide(ctx)
	return h
}

// Serve makes the request a connection and returns when that has ended, or ErrFull or ErrDraining before it has answered.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, who Who) error {
	c, err := h.admit(r.Context(), who)
	if err != nil {
		return err
	}
	defer h.dismiss(c)
	// The caller has looked at the origin.
	c.conn, err = websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{Subprotocol}, InsecureSkipVerify: true})
	if err != nil {
		return nil // and it has said so
	}
	c.conn.SetReadLimit(int64(h.Limits.Message))
	h.Metrics.Open.Inc()
	defer h.Metrics.Open.Dec()
	c.run()
	return nil
}

func (h *Hub) admit(ctx context.Context, who Who) (*client, error) {
	c := &client{hub: h, who: who, id: uuid.NewString(), out: make(chan []byte, maxQueued), farewell: make(chan closing, 1), messages: rate.NewLimiter(h.Limits.Rate, h.Limits.Burst)}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closing {
		h.Metrics.Refused.Draining.Inc()
		return nil, ErrDraining
	}
	key := Who{Tenant: who.Tenant, User: who.User}
	u := h.users[key]
	if u == nil {
		u = &user{ops: newWindow(h.Limits.OpsPerMinute, time.Minute)}
	}
	if len(h.clients) >= h.Limits.Connections || u.sockets >= h.Limits.UserSockets {
		h.Metrics.Refused.Full.Inc()
		return nil, ErrFull
	}
	u.sockets++
	h.users[key], h.clients[c], c.user = u, struct{}{}, u
	h.sockets.Add(1)
	return c, nil
}

func (h *Hub) dismiss(c *client) {
	c.cancel()
	h.mu.Lock()
	delete(h.clients, c)
	if c.user.sockets--; c.user.sockets == 0 {
		delete(h.users, Who{Tenant: c.who.Tenant, User: c.who.User})
	}
	h.mu.Unlock()
	h.sockets.Done()
}

// enter is the room of a document, counted as used until exit.
func (h *Hub) enter(k store.DocumentKey) *room {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[k]
	if r == nil {
		r = &room{hub: h, key: k, local: map[string]*client{}, others: map[string]store.Member{}}
		h.rooms[k] = r
		h.Metrics.Documents.Inc()
	}
	r.uses++
	return r
}

func (h *Hub) exit(r *room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.uses--; r.uses == 0 {
		delete(h.rooms, r.key)
		h.Metrics.Documents.Dec()
	}
}

// tide looks after what other instances have done, until ctx ends.
func (h *Hub) tide(ctx context.Context) {
	defer close(h.ended)
	tick := time.NewTicker(h.Limits.Sync)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.mu.Lock()
		rooms := make([]*room, 0, len(h.rooms))
		for _, r := range h.rooms {
			rooms = append(rooms, r)
		}
		h.mu.Unlock()
		for _, r := range rooms {
			if err := r.sync(ctx); err != nil && ctx.Err() == nil {
				h.Log.Warn("shared document is behind", zap.String("document", r.key.Document), zap.Error(err))
			}
		}
	}
}

// Close tells every client to come back elsewhere (1001), and cuts those that have not answered when ctx ends.
func (h *Hub) Close(ctx context.Context) {
	h.mu.Lock()
	h.closing = true
	for c := range h.clients {
		c.bye(closing{websocket.StatusGoingAway, "the service is stopping: connect again", h.Metrics.Closed.Shutdown})
	}
	h.mu.Unlock()
	gone := make(chan struct{})
	go func() { h.sockets.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
		h.mu.Lock()
		for c := range h.clients {
			c.cancel()
		}
		h.mu.Unlock()
		<-gone
	}
	h.stop()
	<-h.ended
}
