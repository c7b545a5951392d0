package edgetls

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// TicketStore keeps what session tickets are sealed with, so that resumption survives a restart, and works on every replica where they share a store.
// What it is given is private: it stores it encrypted, or where only this user reads. Both methods are called from one goroutine at a time.
type TicketStore interface {
	// Load gives what Replace stored last; nil: nothing yet.
	Load(ctx context.Context) ([]byte, error)
	// Replace stores data if old (nil: nothing) is still what is stored. ok is false when it is not: somebody else was first.
	Replace(ctx context.Context, old, data []byte) (ok bool, err error)
}

// TicketOptions are what Tickets work with.
type TicketOptions struct {
	Store    TicketStore
	Rotation time.Duration    // a new secret comes into use after each; those of the last two are still accepted; 0: 12 hours
	Logger   *zap.Logger      // nil: none
	Now      func() time.Time // nil: time.Now
}

// Tickets seal the session tickets of every configuration they are given to (RFC 8446 §4.6.1, RFC 5077) with secrets that rotate. It is a
// resource with one goroutine, which ends with Close; the tickets go on with the secrets there are. A store that fails never fails a handshake:
// sessions are then resumed as far as the secrets in memory allow.
type Tickets struct {
	log     *zap.Logger
	now     func() time.Time
	current atomic.Pointer[ticketSecrets] // never nil; written by the goroutine
	plan    atomic.Pointer[ticketPlan]    // written by Use

	failing bool // the last step did, and that was logged; the goroutine's own

	changed chan struct{} // the plan has changed; capacity 1
	cancel  context.CancelFunc
	done    chan struct{}
}

type ticketPlan struct {
	store    TicketStore
	rotation time.Duration
}

// ticketSecrets are those in use, the sealing one first. Immutable; another set is another pointer.
type ticketSecrets struct{ list [][]byte }

const (
	defaultRotation = 12 * time.Hour
	ticketTimeout   = time.Second      // of a store's answer: longer than any store takes that is well, and no start waits longer
	ticketRetry     = 10 * time.Second // after a store failed
	ticketRefresh   = 30 * time.Minute // how soon a replica sees what another one stored; far less than the rotation it was stored ahead by
)

// NewTickets reads the store (a second at most) and begins to rotate.
func NewTickets(o TicketOptions) *Tickets {
	t := &Tickets{log: o.Logger, now: o.Now, changed: make(chan struct{}, 1), done: make(chan struct{})}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	if t.now == nil {
		t.now = time.Now
	}
	t.Use(o.Store, o.Rotation)
	<-t.changed // it is what the first step works with
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	wait := t.step(ctx)
	if t.current.Load() == nil { // the store failed: until it answers, sessions are resumed within this process
		t.adopt(rotate(nil, t.now(), t.plan.Load().rotation))
	}
	go t.run(ctx, wait)
	return t
}

// Use changes store and rotation. It returns at once; the secrets change soon after.
func (t *Tickets) Use(store TicketStore, rotation time.Duration) {
	if rotation <= 0 {
		rotation = defaultRotation
	}
	t.plan.Store(&ticketPlan{store, rotation})
	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// Close ends the rotation.
func (t *Tickets) Close() {
	t.cancel()
	<-t.done
}

// Seal makes c, before its first use, issue and accept tickets of t. Configurations of different policies (what they ask of clients' certificates) never
// accept each other's: what one has asked of a client, another takes for granted. Those with the same text, on other listeners and in other processes
// too, do.
func (t *Tickets) Seal(c *tls.Config, policy string) {
	s := &sealer{tickets: t, policy: policy}
	c.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		return s.keys().EncryptTicket(state, session)
	}
	c.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		return s.keys().DecryptTicket(ticket, state)
	}
}

// sealer derives the ticket keys of one policy, once per set of secrets.
type sealer struct {
	tickets *Tickets
	policy  string
	derived atomic.Pointer[derivedKeys] // written by whichever handshake finds the secrets changed; two may, with the same result
}

type derivedKeys struct {
	of   *ticketSecrets
	keys *tls.Config // holds ticket keys and nothing else
}

func (s *sealer) keys() *tls.Config {
	secrets := s.tickets.current.Load()
	if d := s.derived.Load(); d != nil && d.of == secrets {
		return d.keys
	}
	keys := make([][32]byte, len(secrets.list))
	for i, secret := range secrets.list {
		key, err := hkdf.Key(sha256.New, secret, nil, "weir session tickets "+s.policy, len(keys[i]))
		if err != nil {
			panic("edgetls: derive ticket key: " + err.Error()) // only for a length that SHA-256 cannot give
		}
		copy(keys[i][:], key)
	}
	d := &derivedKeys{of: secrets, keys: &tls.Config{}}
	d.keys.SetSessionTicketKeys(keys)
	s.derived.Store(d)
	return d.keys
}

func (t *Tickets) run(ctx context.Context, wait time.Duration) {
	defer close(t.done)
	for rest(ctx, wait, t.changed) {
		wait = t.step(ctx)
	}
}

// step brings memory and store to what the time asks for, and says how long that holds.
func (t *Tickets) step(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, ticketTimeout)
	defer cancel()
	plan := t.plan.Load()
	list, err := t.agree(ctx, plan)
	if err != nil {
		if !t.failing && ctx.Err() != context.Canceled {
			t.log.Warn("session ticket secrets: the ones in memory stay in use", zap.String("error.message", err.Error()))
		}
		t.failing = true
		return ticketRetry
	}
	t.failing = false
	t.adopt(list)
	wait := min(ticketRefresh, plan.rotation/4)
	if until := list[len(list)-1].From.Sub(t.now()); until > 0 {
		wait = min(wait, until)
	}
	return max(wait, 10*time.Millisecond) // a rotation of no length must not spin
}

// agree gives the secrets that are stored once everything due is among them, whoever put it there.
func (t *Tickets) agree(ctx context.Context, plan *ticketPlan) ([]ticketSecret, error) {
	for range 4 { // more replicas than that do not collide in a row: each collision is another's success
		stored, err := plan.store.Load(ctx)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		list := readSecrets(stored)
		due := rotate(list, t.now(), plan.rotation)
		data, err := json.Marshal(due)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		if bytes.Equal(data, stored) {
			return due, nil
		}
		switch ok, err := plan.store.Replace(ctx, stored, data); {
		case err != nil:
			return nil, fmt.Errorf("store: %w", err)
		case ok:
			return due, nil
		}
	}
	return nil, errors.New("store: others keep changing them")
}

// adopt puts the secrets of list in use, if they are not.
func (t *Tickets) adopt(list []ticketSecret) {
	next := &ticketSecrets{list: inUse(list, t.now())}
	old := t.current.Load()
	if old != nil && len(old.list) == len(next.list) {
		same := true
		for i := range old.list {
			same = same && bytes.Equal(old.list[i], next.list[i])
		}
		if same {
			return
		}
	}
	t.current.Store(next)
}
