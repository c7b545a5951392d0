package collab_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

// guard bounds every wait of these tests. It decides none of them.
const guard = 60 * time.Second

// instance is a hub behind a real server. The path of a request is /TENANT/USER, and ?for= how long the token is good.
type instance struct {
	*httptest.Server
	hub     *collab.Hub
	metrics *metrics.Sockets
	skip    atomic.Int64 // how far its clock is ahead
	// refused gets what Serve returned before it answered.
	refused chan error
}

func opened(t *testing.T, path string) *store.Store {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func database(t *testing.T) *store.Store {
	t.Helper()
	return opened(t, filepath.Join(t.TempDir(), "x.db"))
}

// quick are limits under which other instances are looked after all the time.
func quick(l *collab.Limits) { l.Sync = time.Millisecond }

func hub(t *testing.T, db *store.Store, edits ...func(*collab.Limits)) *instance {
	t.Helper()
	l := collab.Defaults()
	for _, edit := range edits {
		edit(&l)
	}
	m := metrics.New(metrics.Options{Pools: func() []metrics.Pool { return nil }})
	i := &instance{metrics: m.Sockets, refused: make(chan error, 100)}
	i.hub = collab.New(collab.Options{Store: db.Documents(), Metrics: m.Sockets, Log: zap.NewNop(), Now: i.now, Limits: l})
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := strings.Split(r.URL.Path, "/")
		who := collab.Who{Tenant: part[1], User: part[2]}
		if d, err := time.ParseDuration(r.URL.Query().Get("for")); err == nil {
			who.Until = time.Now().Add(d)
		}
		if err := i.hub.Serve(w, r, who); err != nil {
			i.refused <- err
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	i.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateNew { // one who does not read is soon seen
			_ = c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		}
	}
	i.Start()
	t.Cleanup(i.end)
	return i
}

func (i *instance) now() time.Time { return time.Now().Add(time.Duration(i.skip.Load())) }

// end is the end of a process that waits for nobody.
func (i *instance) end() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	i.hub.Close(ended)
	i.Server.Close()
}

// peer is a client.
type peer struct {
	*websocket.Conn
	t      *testing.T
	ctx    context.Context
	doc    string
	client string // its id
	asked  int
}

// heard is any message of a server.
type heard struct {
	Type    string
	Version int
	Tenant  string
	Doc     string `json:"doc_id"`
	User    string `json:"user_id"`
	Request string `json:"request_id"`
	Payload struct {
		Client   string `json:"client_id"`
		Version  int64
		Document *collab.Document
		Batches  []struct {
			Version int64
			Ops     []collab.Op
		}
		Members []struct {
			Client string `json:"client_id"`
			User   string `json:"user_id"`
			Name   string
			Cursor json.RawMessage
		}
		Left          []string
		Ops           []collab.Op
		Repeated      bool
		Code, Message string
		RetryAfter    int64 `json:"retry_after_ms"`
	}
}

func (i *instance) dial(t *testing.T, who string) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, i.URL+"/"+who, &websocket.DialOptions{Subprotocols: []string{collab.Subprotocol}, HTTPClient: &http.Client{
		Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, address)
			if err == nil {
				err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
			}
			return conn, err
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	p := &peer{Conn: c, t: t, ctx: ctx}
	t.Cleanup(func() { _ = c.CloseNow() })
	return p
}

// joined is a client in a document, and what it was told.
func (i *instance) joined(t *testing.T, who, doc string) (*peer, heard) {
	t.Helper()
	p := i.dial(t, who)
	return p, p.join(doc, 0)
}

func (p *peer) join(doc string, since int64) heard {
	p.t.Helper()
	p.doc = doc
	p.say("join", fmt.Sprintf(`{"since": %d, "name": "at %s"}`, since, doc))
	m := p.hear("joined")
	p.client = m.Payload.Client
	return m
}

func (p *peer) raw(text string) {
	p.t.Helper()
	if err := p.Write(p.ctx, websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// say sends a message and gives its request id.
func (p *peer) say(kind, payload string) string {
	p.t.Helper()
	p.asked++
	id := fmt.Sprintf("%s-%d", p.client, p.asked)
	p.raw(fmt.Sprintf(`{"type": %q, "version": 1, "doc_id": %q, "request_id": %q, "payload": %s}`, kind, p.doc, id, payload))
	return id
}

// set writes one value and waits for the answer.
func (p *peer) set(path, value string, ts int64) heard {
	p.t.Helper()
	p.say("ops", fmt.Sprintf(`{"ops": [{"op": "set", "path": %q, "value": %s, "ts": %d}]}`, path, value, ts))
	return p.hear("ack")
}

// next is the next message.
func (p *peer) next() heard {
	p.t.Helper()
	_, b, err := p.Read(p.ctx)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	var m heard
	if err := json.Unmarshal(b, &m); err != nil {
		p.t.Fatalf("%v: %s", err, b)
	}
	if m.Version != 1 {
		p.t.Fatalf("envelope %s", b)
	}
	return m
}

// hear is the next message of a type; an error that is not waited for fails the test.
func (p *peer) hear(kind string) heard {
	p.t.Helper()
	for {
		m := p.next()
		if m.Type == kind {
			return m
		}
		if m.Type == "error" {
			p.t.Fatalf("error %+v instead of %s", m.Payload, kind)
		}
	}
}

// closed is the status with which the server ends the connection.
func (p *peer) closed() websocket.StatusCode {
	p.t.Helper()
	for {
		if _, _, err := p.Read(p.ctx); err != nil {
			if p.ctx.Err() != nil {
				p.t.Fatal("the connection was not closed")
			}
			return websocket.CloseStatus(err)
		}
	}
}

// counts waits until a counter or gauge has a value.
func counts(t *testing.T, c prometheus.Collector, want float64) {
	t.Helper()
	for end := time.Now().Add(guard); testutil.ToFloat64(c) != want; {
		if time.Now().After(end) {
			t.Fatalf("%v, want %v", testutil.ToFloat64(c), want)
		}
	}
}
