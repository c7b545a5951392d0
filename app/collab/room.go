package collab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valor-ivx/weir/app/store"
)

// backLog is how many batches are sent to who comes back; after more a snapshot is shorter.
const backLog = 200

// room is a document that somebody of this process has open.
type room struct {
	hub  *Hub
	key  store.DocumentKey
	uses int // guarded by Hub.mu

	// mu guards what follows and orders what the clients are sent. It is held while the database works, which keeps the members of one document waiting for
	// each other and nobody else; sending never waits.
	mu     sync.Mutex
	doc    *Document               // nil until it is read
	local  map[string]*client      // by client id
	others map[string]store.Member // those of other instances, as last seen
	// presence is the counter of the database that others is of.
	presence  int64
	moved     bool      // a cursor has, since the database was told
	refreshed time.Time // when the database was last told who is there
}

// memberView is somebody who has the document open.
type memberView struct {
	Client string          `json:"client_id"`
	User   string          `json:"user_id"`
	Name   string          `json:"name"`
	Cursor json.RawMessage `json:"cursor"`
}

type joinedPayload struct {
	Client   string       `json:"client_id"`
	Version  int64        `json:"version"`
	Document *Document    `json:"document,omitempty"`
	Batches  []batchView  `json:"batches,omitempty"` // instead of document, for who has been there
	Members  []memberView `json:"members"`
	Time     int64        `json:"time"` // the server's clock, ms
}

type batchView struct {
	Version int64 `json:"version"`
	Ops     []Op  `json:"ops"`
}

type ackPayload struct {
	batchView
	Repeated bool `json:"repeated,omitempty"`
}

type presencePayloadOut struct {
	Members []memberView `json:"members,omitempty"` // who came or moved
	Left    []string     `json:"left,omitempty"`    // client ids
}

func (r *room) join(ctx context.Context, c *client, m Message) *Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, now := r.hub.Limits, r.hub.Now()
	if r.doc == nil {
		if err := r.read(ctx); err != nil {
			return r.hub.failed("read shared document", r.key, err)
		}
	}
	err := r.hub.Store.Join(ctx, r.key, c.member, store.Bounds{Documents: int64(l.Documents), Members: int64(l.Members), Until: now.Add(l.Presence)}, now)
	if errors.Is(err, store.ErrFull) {
		return refuse("full", "at most %d members may have a document open, and a tenant may have %d documents", l.Members, l.Documents)
	}
	if err == nil {
		if err = r.catchUp(ctx); err == nil {
			err = r.look(ctx, c.id)
		}
		if err != nil {
			err = errors.Join(err, r.hub.Store.Leave(context.WithoutCancel(ctx), r.key, c.id))
		}
	}
	if err != nil {
		return r.hub.failed("join shared document", r.key, err)
	}
	r.local[c.id] = c
	joined, err := r.welcome(ctx, c, m.Since)
	if err != nil { // the batches could not be read: the document will do
		joined, _ = r.welcome(ctx, c, 0)
	}
	c.reply(m, typeJoined, joined)
	r.tell(c, outgoing{Type: typePresence, User: c.who.User, Payload: presencePayloadOut{Members: []memberView{view(c.member)}}})
	return nil
}

func (r *room) welcome(ctx context.Context, c *client, since int64) (joinedPayload, error) {
	p := joinedPayload{Client: c.id, Version: r.doc.Version, Members: r.members(), Time: r.hub.Now().UnixMilli()}
	missing := r.doc.Version - since
	if since == 0 || missing < 0 || missing > backLog {
		p.Document = r.doc
		return p, nil
	}
	batches, err := r.hub.Store.Since(ctx, r.key, since)
	if err != nil {
		return p, err
	}
	p.Batches = []batchView{}
	for _, b := range batches {
		if b.Version > r.doc.Version {
			break // written by another instance just now; the next sync tells
		}
		ops, err := readOps(b)
		if err != nil {
			return p, err
		}
		p.Batches = append(p.Batches, batchView{b.Version, ops})
	}
	if int64(len(p.Batches)) != missing { // forgotten meanwhile
		p.Document, p.Batches = r.doc, nil
	}
	return p, nil
}

func (r *room) leave(ctx context.Context, c *client) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.local, c.id)
	if err := r.hub.Store.Leave(ctx, r.key, c.id); err != nil {
		r.hub.failed("leave shared document", r.key, err) // the member's time runs out by itself
	}
	r.tell(c, outgoing{Type: typePresence, User: c.who.User, Payload: presencePayloadOut{Left: []string{c.id}}})
}

// move shows the others of this instance where c is; sync shows those of the others.
func (r *room) move(c *client, cursor json.RawMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.member.Cursor, r.moved = string(cursor), true
	r.tell(c, outgoing{Type: typePresence, User: c.who.User, Payload: presencePayloadOut{Members: []memberView{view(c.member)}}})
}

// write makes the ops the document's next batch. They are durable before anybody hears of them.
func (r *room) write(ctx context.Context, c *client, m Message) *Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		effective, fits := r.doc.Effective(m.Ops)
		if !fits {
			return refuse("document_full", "a document may have %d bytes", maxDocument)
		}
		b, snapshot, err := r.next(effective, store.Batch{User: c.who.User, Request: m.Request})
		if err == nil {
			err = r.hub.Store.Append(ctx, r.key, b, snapshot, r.hub.Limits.Log)
		}
		switch {
		case err == nil:
			r.doc.Apply(effective)
			r.hub.Metrics.Batches.OK.Inc()
			c.reply(m, typeAck, ackPayload{batchView: batchView{b.Version, effective}})
			r.tell(c, outgoing{Type: typeOps, User: c.who.User, Payload: batchView{b.Version, effective}})
			return nil
		case errors.Is(err, store.ErrRepeated):
			return r.repeat(ctx, c, m)
		case errors.Is(err, store.ErrConflict): // another instance was first; ctx bounds how often
			if err = r.catchUp(ctx); err == nil {
				continue
			}
		}
		r.hub.Metrics.Batches.Failed.Inc()
		return r.hub.failed("write shared document", r.key, err)
	}
}

// next is the batch that makes these ops the document's next, with a snapshot when one is due.
func (r *room) next(ops []Op, b store.Batch) (store.Batch, []byte, error) {
	var err error
	b.Version = r.doc.Version + 1
	if b.Ops, err = json.Marshal(ops); err != nil || b.Version%r.hub.Limits.Snapshot != 0 {
		return b, nil, err
	}
	after := r.doc.Clone()
	after.Apply(ops)
	snapshot, err := after.Snapshot()
	return b, snapshot, err
}

// repeat acknowledges once more what was written before: its answer was lost.
func (r *room) repeat(ctx context.Context, c *client, m Message) *Refusal {
	b, err := r.hub.Store.Written(ctx, r.key, c.who.User, m.Request)
	var ops []Op
	if err == nil {
		ops, err = readOps(b)
	}
	if err == nil && b.Version > r.doc.Version {
		err = r.catchUp(ctx)
	}
	if err != nil {
		return r.hub.failed("repeat answer", r.key, err)
	}
	r.hub.Metrics.Batches.Repeated.Inc()
	c.reply(m, typeAck, ackPayload{batchView{b.Version, ops}, true})
	return nil
}

// sync brings this instance up to what others have done, and tells them who is here.
func (r *room) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.hub.Limits.Request)
	defer cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.doc == nil || len(r.local) == 0 {
		return nil
	}
	now := r.hub.Now()
	if r.moved || now.Sub(r.refreshed) > r.hub.Limits.Presence/3 {
		here := make([]store.Member, 0, len(r.local))
		for _, c := range r.local {
			here = append(here, c.member)
		}
		if err := r.hub.Store.Refresh(ctx, r.key, store.Sign{Members: here, Moved: r.moved, Now: now, Until: now.Add(r.hub.Limits.Presence)}); err != nil {
			return err
		}
		r.moved, r.refreshed = false, now
	}
	at, err := r.hub.Store.State(ctx, r.key)
	if err != nil {
		return err
	}
	if at.Version > r.doc.Version {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	if at.Presence != r.presence {
		return r.look(ctx, "")
	}
	return nil
}

// catchUp applies what other instances have written and tells the clients.
func (r *room) catchUp(ctx context.Context) error {
	batches, err := r.hub.Store.Since(ctx, r.key, r.doc.Version)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if b.Version != r.doc.Version+1 { // so far behind that the batches are forgotten
			return r.start(ctx)
		}
		ops, err := readOps(b)
		if err != nil {
			return err
		}
		r.doc.Apply(ops)
		r.tell(nil, outgoing{Type: typeOps, User: b.User, Payload: batchView{b.Version, ops}})
	}
	return nil
}

// start reads the document again and shows it to everybody whole.
func (r *room) start(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	for _, c := range r.local {
		p, err := r.welcome(ctx, c, 0)
		if err != nil {
			return err
		}
		c.reply(Message{Doc: r.key.Document}, typeJoined, p)
	}
	return nil
}

func (r *room) read(ctx context.Context) error {
	saved, err := r.hub.Store.Load(ctx, r.key)
	if err != nil {
		return err
	}
	doc := NewDocument()
	if saved.Snapshot != nil {
		if doc, err = ReadDocument(saved.Snapshot); err != nil {
			return err
		}
	}
	for _, b := range saved.Batches {
		if b.Version != doc.Version+1 {
			return fmt.Errorf("read document: batch %d after version %d", b.Version, doc.Version)
		}
		ops, err := readOps(b)
		if err != nil {
			return err
		}
		doc.Apply(ops)
	}
	r.doc = doc
	return nil
}

// look reads who is there and tells the clients what is new about those of other instances. coming is one of this who is not among them yet.
func (r *room) look(ctx context.Context, coming string) error {
	at, err := r.hub.Store.State(ctx, r.key) // before the list: what changes meanwhile is seen again
	if err != nil {
		return err
	}
	list, err := r.hub.Store.Members(ctx, r.key, r.hub.Now())
	if err != nil {
		return err
	}
	news, seen := presencePayloadOut{}, map[string]store.Member{}
	for _, m := range list {
		if r.local[m.Client] != nil || m.Client == coming {
			continue
		}
		if seen[m.Client] = m; r.others[m.Client] != m {
			news.Members = append(news.Members, view(m))
		}
	}
	for id := range r.others {
		if _, there := seen[id]; !there {
			news.Left = append(news.Left, id)
		}
	}
	r.others, r.presence = seen, at.Presence
	if news.Members != nil || news.Left != nil {
		r.tell(nil, outgoing{Type: typePresence, Payload: news})
	}
	return nil
}

func (r *room) members() []memberView {
	list := make([]memberView, 0, len(r.local)+len(r.others))
	for _, c := range r.local {
		list = append(list, view(c.member))
	}
	for _, m := range r.others {
		list = append(list, view(m))
	}
	return list
}

// tell sends to everybody here but one.
func (r *room) tell(but *client, m outgoing) {
	m.Tenant, m.Doc = r.key.Tenant, r.key.Document
	b := r.hub.encode(m)
	if b == nil {
		return
	}
	for _, c := range r.local {
		if c != but {
			c.send(b)
		}
	}
}

func view(m store.Member) memberView {
	v := memberView{Client: m.Client, User: m.User, Name: m.Name}
	if m.Cursor != "" {
		v.Cursor = json.RawMessage(m.Cursor)
	}
	return v
}

func readOps(b store.Batch) ([]Op, error) {
	ops := []Op{}
	if err := json.Unmarshal(b.Ops, &ops); err != nil {
		return nil, fmt.Errorf("read batch %d: %w", b.Version, err)
	}
	return ops, nil
}
