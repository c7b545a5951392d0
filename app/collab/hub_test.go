package collab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/pgtest"
	"github.com/valor-ivx/weir/app/store"
	"github.com/valor-ivx/weir/proxy/leaktest"
)

// TestTwoWrite: a write is acknowledged to its writer, told to the others, numbered, and the later one wins on both sides.
func TestTwoWrite(t *testing.T) {
	i := hub(t, database(t))
	ann, first := i.joined(t, "t1/ann", "model")
	if first.Payload.Version != 0 || len(first.Payload.Document.Values) != 0 || len(first.Payload.Members) != 1 || first.Tenant != "t1" || ann.Subprotocol() != collab.Subprotocol {
		t.Errorf("joined %+v", first)
	}
	bob, second := i.joined(t, "t1/bob", "model")
	if len(second.Payload.Members) != 2 {
		t.Errorf("members %+v", second.Payload.Members)
	}
	if m := ann.hear("presence"); m.User != "bob" || m.Payload.Members[0].Client != bob.client || m.Payload.Members[0].Name != "at model" {
		t.Errorf("who came: %+v", m)
	}
	ack := ann.set("wacc", `0.09`, 1000)
	if ack.Payload.Version != 1 || len(ack.Payload.Ops) != 1 || ack.Payload.Ops[0].User != "ann" {
		t.Errorf("ack %+v", ack)
	}
	if m := bob.hear("ops"); m.Payload.Version != 1 || m.User != "ann" || string(m.Payload.Ops[0].Value) != "0.09" {
		t.Errorf("told %+v", m)
	}
	if late := bob.set("wacc", `0.08`, 999); late.Payload.Version != 2 || len(late.Payload.Ops) != 0 {
		t.Errorf("an earlier write took effect: %+v", late)
	}
	if m := ann.hear("ops"); m.Payload.Version != 2 || len(m.Payload.Ops) != 0 {
		t.Errorf("the version of nothing: %+v", m)
	}
	if tie := bob.set("wacc", `0.07`, 1000); len(tie.Payload.Ops) != 1 {
		t.Errorf("bob is greater than ann: %+v", tie)
	}
	if tie := ann.set("wacc", `0.06`, 1000); len(tie.Payload.Ops) != 0 {
		t.Errorf("ann is not greater than bob: %+v", tie)
	}
	bob.say("ops", `{"ops": [{"op": "append_note", "text": "<b>late</b>", "ts": 5}]}`)
	if m := bob.hear("ack"); m.Payload.Version != 5 {
		t.Errorf("ack %+v", m)
	}
	_, third := i.joined(t, "t1/eve", "model")
	d := third.Payload.Document
	if d.Version != 5 || string(d.Values["wacc"].Value) != "0.07" || d.Values["wacc"].User != "bob" || len(d.Notes) != 1 || d.Notes[0].Text != "<b>late</b>" || d.Notes[0].ID != "5.0" {
		t.Errorf("document %+v", d)
	}
}

func TestPresence(t *testing.T) {
	i := hub(t, database(t))
	ann, _ := i.joined(t, "t1/ann", "d")
	bob, _ := i.joined(t, "t1/bob", "d")
	ann.hear("presence")
	bob.say("presence", `{"cursor": {"field": "wacc"}}`)
	if m := ann.hear("presence"); m.Payload.Members[0].Client != bob.client || string(m.Payload.Members[0].Cursor) != `{"field":"wacc"}` {
		t.Errorf("moved: %+v", m)
	}
	bob.say("leave", `{}`)
	bob.hear("left")
	if m := ann.hear("presence"); cmp.Diff(m.Payload.Left, []string{bob.client}) != "" {
		t.Errorf("left: %+v", m)
	}
	bob.say("presence", `{"cursor": 1}`)
	if m := bob.next(); m.Type != "error" || m.Payload.Code != "not_joined" {
		t.Errorf("outside: %+v", m)
	}
	bob.join("other", 0) // and from one document to another
	bob.join("d", 0)
	ann.hear("presence")
	_ = bob.CloseNow() // a connection that breaks is one that leaves
	if m := ann.hear("presence"); cmp.Diff(m.Payload.Left, []string{bob.client}) != "" {
		t.Errorf("broke: %+v", m)
	}
	counts(t, i.metrics.Documents, 1)
	counts(t, i.metrics.Closed.Client, 1)
}

// TestTenantsNeverMeet: documents of one name are different ones, and nobody speaks for another.
func TestTenantsNeverMeet(t *testing.T) {
	i := hub(t, database(t))
	ann, _ := i.joined(t, "t1/ann", "d")
	bob, there := i.joined(t, "t2/bob", "d")
	if len(there.Payload.Members) != 1 {
		t.Errorf("bob sees %+v", there.Payload.Members)
	}
	ann.set("secret", `1`, 1)
	if _, again := i.joined(t, "t2/bob", "d"); len(again.Payload.Document.Values) != 0 {
		t.Errorf("bob reads %+v", again.Payload.Document)
	}
	for _, text := range []string{`{"type":"join","doc_id":"d","tenant":"t1"}`, `{"type":"presence","doc_id":"d","tenant":"t2","user_id":"ann"}`} {
		bob.raw(text)
		for {
			m := bob.next()
			if m.Type == "presence" { // of the second bob
				continue
			}
			if m.Type != "error" || m.Payload.Code != "forbidden" {
				t.Errorf("%s: %+v", text, m)
			}
			break
		}
	}
}

// TestBadMessagesChangeNothing: they are answered, and the connection and the document stay as they are.
func TestBadMessagesChangeNothing(t *testing.T) {
	i := hub(t, database(t))
	ann, _ := i.joined(t, "t1/ann", "d")
	for _, text := range []string{`nonsense`, `{"type":"ops","doc_id":"d","request_id":"r","payload":{"ops":[{"op":"set","path":"p","value":1,"ts":1},{"op":"set"}]}}`} {
		ann.raw(text)
		if m := ann.next(); m.Type != "error" || m.Payload.Code != "bad_message" || m.Payload.Message == "" {
			t.Errorf("%s: %+v", text, m)
		}
	}
	if m := ann.set("p", "2", 1); m.Payload.Version != 1 {
		t.Errorf("something was written: %+v", m)
	}
	counts(t, i.metrics.Batches.Refused, 1)
	counts(t, i.metrics.Batches.OK, 1)
}

func TestOpsPerMinute(t *testing.T) {
	i := hub(t, database(t), func(l *collab.Limits) { l.OpsPerMinute = 10 })
	ann, _ := i.joined(t, "t1/ann", "d")
	again, _ := i.joined(t, "t1/ann", "d") // a second window counts with the first
	note := `{"op": "append_note", "text": "n", "ts": 1}`
	ann.say("ops", `{"ops": [`+strings.Repeat(note+",", 8)+note+`]}`)
	ann.hear("ack")
	again.set("p", "1", 1)
	id := ann.say("ops", `{"ops": [`+note+`]}`)
	for {
		m := ann.next()
		if m.Type == "presence" || m.Type == "ops" {
			continue
		}
		if m.Type != "error" || m.Payload.Code != "rate_limited" || m.Request != id || m.Payload.RetryAfter < 1 || m.Payload.RetryAfter > 60_000 {
			t.Errorf("the eleventh: %+v", m)
		}
		break
	}
	other, _ := i.joined(t, "t1/bob", "d")
	other.set("p", "1", 1) // another user has his own
}

// TestLimitsOfConnections: what is too much is told, and ends nobody else.
func TestLimitsOfConnections(t *testing.T) {
	i := hub(t, database(t), func(l *collab.Limits) { l.Connections, l.UserSockets, l.Members, l.Documents = 4, 2, 2, 2 })
	dialled := func(who string) error {
		c, _, err := websocket.Dial(t.Context(), i.URL+"/"+who, nil)
		if c != nil {
			t.Cleanup(func() { _ = c.CloseNow() })
		}
		return err
	}
	full := func(who string) {
		t.Helper()
		if err := dialled(who); err == nil {
			t.Errorf("%s came in", who)
		} else if err := <-i.refused; !errors.Is(err, collab.ErrFull) {
			t.Error(err)
		}
	}
	a, _ := i.joined(t, "t1/ann", "d")
	b, _ := i.joined(t, "t1/ann", "d")
	full("t1/ann") // a user has two
	c, _ := i.joined(t, "t1/bob", "d2")
	for _, doc := range []string{"d", "d3"} { // two members of a document, two documents of a tenant
		c.doc = doc
		c.say("join", `{}`)
		if m := c.next(); m.Type != "error" || m.Payload.Code != "full" {
			t.Errorf("%s: %+v", doc, m)
		}
	}
	if err := dialled("t2/eve"); err != nil {
		t.Fatal(err)
	}
	full("t2/eve") // four of a process
	_ = b.CloseNow()
	if m := a.hear("presence"); len(m.Payload.Left)+len(m.Payload.Members) != 1 {
		t.Errorf("%+v", m)
	}
	for len(a.hear("presence").Payload.Left) == 0 {
		t.Error("who broke is still there")
	}
	c.join("d", 0) // there is room again
	counts(t, i.metrics.Refused.Full, 2)
}

// TestPolicy: what no client of good will does ends the connection, with the reason as its code.
func TestPolicy(t *testing.T) {
	i := hub(t, database(t), func(l *collab.Limits) { l.Message, l.Burst, l.Rate = 1000, 20, 0.001 })
	for _, c := range []struct {
		name string
		do   func(*peer)
		want websocket.StatusCode
	}{
		{"too big", func(p *peer) { p.raw(strings.Repeat("x", 1001)) }, websocket.StatusMessageTooBig},
		{"binary", func(p *peer) { _ = p.Write(p.ctx, websocket.MessageBinary, []byte("{}")) }, websocket.StatusUnsupportedData},
		{"too many", func(p *peer) {
			for range 21 {
				p.raw("{}")
			}
		}, websocket.StatusPolicyViolation},
	} {
		p := i.dial(t, "t1/ann")
		c.do(p)
		if got := p.closed(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	counts(t, i.metrics.Closed.Policy, 3)
	counts(t, i.metrics.Open, 0)
}

func TestTokenExpires(t *testing.T) {
	i := hub(t, database(t))
	p := i.dial(t, "t1/ann?for=1ms")
	if got := p.closed(); got != 4401 {
		t.Errorf("closed with %v", got)
	}
	counts(t, i.metrics.Closed.Expired, 1)
}

// TestSilentClient: who does not answer pings is gone; who does stays, however many there are.
func TestSilentClient(t *testing.T) {
	i := hub(t, database(t), func(l *collab.Limits) { l.Ping = time.Millisecond })
	pings := make(chan struct{}, 1000)
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	defer cancel()
	live, _, err := websocket.Dial(ctx, i.URL+"/t1/ann", &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		select {
		case pings <- struct{}{}:
		default:
		}
		return true
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer live.CloseNow()
	live.CloseRead(ctx) // which answers
	for range 50 {
		select {
		case <-pings:
		case <-ctx.Done():
			t.Fatal("no ping")
		}
	}
	counts(t, i.metrics.Closed.Silent, 0)
	counts(t, i.metrics.Open, 1)

	deaf := hub(t, database(t), func(l *collab.Limits) { l.Ping, l.Pong = time.Millisecond, 50*time.Millisecond })
	_ = deaf.dial(t, "t1/bob") // nobody reads, so nobody answers
	counts(t, deaf.metrics.Closed.Silent, 1)
	counts(t, deaf.metrics.Open, 0)
}

// TestSlowReader: one who does not read is cut, and those who do are served meanwhile.
func TestSlowReader(t *testing.T) {
	i := hub(t, database(t), func(l *collab.Limits) {
		l.OpsPerMinute, l.Rate, l.Burst, l.Queue = 1_000_000, 1_000_000, 1_000_000, 64<<10
	})
	slow, _ := i.joined(t, "t1/slow", "d")
	ann, _ := i.joined(t, "t1/ann", "d")
	_ = slow // from now on it reads nothing
	value := `"` + strings.Repeat("x", 4000) + `"`
	left := false
	for n := 1; !left; n++ {
		ann.say("ops", fmt.Sprintf(`{"ops": [%s]}`, fmt.Sprintf(`{"op": "set", "path": "p", "value": %s, "ts": %d},`, value, n)+fmt.Sprintf(`{"op": "set", "path": "q", "value": %s, "ts": %d}`, value, n)))
		for acked := false; !acked; {
			m := ann.next()
			acked = m.Type == "ack"
			left = left || len(m.Payload.Left) > 0
			if m.Type == "error" {
				t.Fatalf("%+v", m)
			}
		}
		if n > 20_000 {
			t.Fatal("160 MB went to somebody who does not read")
		}
	}
	counts(t, i.metrics.Closed.Slow, 1)
	counts(t, i.metrics.Open, 1)
}

// TestRepeatedRequest: a client that had no answer sends its batch again, here or elsewhere, and it is written once.
func TestRepeatedRequest(t *testing.T) {
	db := database(t)
	a, b := hub(t, db), hub(t, db)
	ann, _ := a.joined(t, "t1/ann", "d")
	const text = `{"type": "ops", "doc_id": "d", "request_id": "once", "payload": {"ops": [{"op": "append_note", "text": "n", "ts": 1}]}}`
	ann.raw(text)
	if m := ann.hear("ack"); m.Payload.Version != 1 || m.Payload.Repeated {
		t.Errorf("%+v", m)
	}
	elsewhere, _ := b.joined(t, "t1/ann", "d")
	for _, p := range []*peer{ann, elsewhere} {
		p.raw(text)
		if m := p.hear("ack"); m.Payload.Version != 1 || !m.Payload.Repeated || len(m.Payload.Ops) != 1 || m.Request != "once" {
			t.Errorf("%+v", m)
		}
	}
	bob, _ := b.joined(t, "t1/bob", "d")
	bob.raw(text) // the same words of another are another
	if m := bob.hear("ack"); m.Payload.Version != 2 || m.Payload.Repeated {
		t.Errorf("%+v", m)
	}
}

// TestComeBack: who was away gets the batches it missed, or the document when that is shorter, also from an instance that was not there.
func TestComeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	first := hub(t, opened(t, path), func(l *collab.Limits) { l.OpsPerMinute, l.Rate, l.Burst, l.Log = 10_000, 10_000, 10_000, 100 })
	ann, _ := first.joined(t, "t1/ann", "d")
	const batches = 330
	for n := range batches {
		ann.set(fmt.Sprint("p", n%7), fmt.Sprint(n), int64(n+1))
	}
	first.end()
	again := hub(t, opened(t, path))
	for since, whole := range map[int64]bool{batches: false, batches - 1: false, batches - 60: false, batches - 150: true, 1: true, 0: true, batches + 1: true} {
		p := again.dial(t, "t1/bob")
		m := p.join("d", since)
		if m.Payload.Version != batches || (m.Payload.Document != nil) != whole {
			t.Fatalf("since %d: %+v", since, m.Payload)
		}
		if whole {
			if d := m.Payload.Document; d.Version != batches || len(d.Values) != 7 || string(d.Values[fmt.Sprint("p", (batches-1)%7)].Value) != fmt.Sprint(batches-1) {
				t.Errorf("since %d: %+v", since, d)
			}
		} else if n := len(m.Payload.Batches); int64(n) != batches-since || n > 0 && m.Payload.Batches[0].Version != since+1 {
			t.Errorf("since %d: %d batches", since, n)
		}
		_ = p.CloseNow()
	}
}

// TestTwoInstances: clients of two processes on one database see each other come, write, move and leave, and end with the same document.
func TestTwoInstances(t *testing.T) {
	db := database(t)
	blue, green := hub(t, db, quick), hub(t, db, quick)
	ann, _ := blue.joined(t, "t1/ann", "d")
	bob, there := green.joined(t, "t1/bob", "d")
	if len(there.Payload.Members) != 2 {
		t.Errorf("bob sees %+v", there.Payload.Members)
	}
	if m := ann.hear("presence"); m.Payload.Members[0].Client != bob.client {
		t.Errorf("ann sees %+v", m)
	}
	bob.say("presence", `{"cursor": 7}`)
	if m := ann.hear("presence"); string(m.Payload.Members[0].Cursor) != "7" || m.Payload.Members[0].User != "bob" {
		t.Errorf("ann sees %+v", m)
	}
	ann.set("a", "1", 10)
	if m := bob.hear("ops"); m.Payload.Version != 1 || m.User != "ann" || string(m.Payload.Ops[0].Value) != "1" {
		t.Errorf("bob hears %+v", m)
	}
	bob.set("a", "2", 11)
	if m := ann.hear("ops"); m.Payload.Version != 2 || string(m.Payload.Ops[0].Value) != "2" {
		t.Errorf("ann hears %+v", m)
	}
	_ = bob.CloseNow()
	if m := ann.hear("presence"); cmp.Diff(m.Payload.Left, []string{bob.client}) != "" {
		t.Errorf("ann sees %+v", m)
	}
}

// TestDeadInstance: who was on a process that died is gone when the time that it vouched for is over.
func TestDeadInstance(t *testing.T) {
	db := database(t)
	k := store.DocumentKey{Tenant: "t1", Document: "d"}
	now := time.Now()
	err := db.Documents().Join(t.Context(), k, store.Member{Client: "ghost", User: "bob"}, store.Bounds{Documents: 9, Members: 9, Until: now.Add(90 * time.Second)}, now)
	if err != nil {
		t.Fatal(err)
	}
	i := hub(t, db, quick)
	ann, there := i.joined(t, "t1/ann", "d")
	if len(there.Payload.Members) != 2 {
		t.Errorf("members %+v", there.Payload.Members)
	}
	i.skip.Store(int64(100 * time.Second))
	for m := ann.hear("presence"); cmp.Diff(m.Payload.Left, []string{"ghost"}) != ""; m = ann.hear("presence") {
	}
}

// TestManyConverge: many clients of two processes write at random and all at once; each ends with what the database holds, every batch once and in order.
func TestManyConverge(t *testing.T) { manyConverge(t, database(t)) }

// TestManyConvergeOnPostgres: there transactions run at the same time.
func TestManyConvergeOnPostgres(t *testing.T) {
	var cluster pgtest.Shared
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := store.Open(t.Context(), store.Options{Postgres: cluster.Database(t), StatementTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	manyConverge(t, db)
}

func manyConverge(t *testing.T, db *store.Store) {
	fast := func(l *collab.Limits) {
		l.Sync, l.OpsPerMinute, l.Rate, l.Burst, l.Request = time.Millisecond, 1_000_000, 1_000_000, 1_000_000, guard
	}
	instances := []*instance{hub(t, db, fast), hub(t, db, fast)}
	const clients, each = 6, 30
	docs := make([]*collab.Document, clients)
	var all sync.WaitGroup
	for n := range clients {
		p, there := instances[n%2].joined(t, "t1/"+[]string{"ann", "bob"}[n/2%2], "d")
		doc := there.Payload.Document
		all.Go(func() {
			for w := range each {
				p.say("ops", fmt.Sprintf(`{"ops": [{"op": "set", "path": "p%d", "value": [%d, "<&>"], "ts": %d}, {"op": "append_note", "text": "n", "ts": 1}]}`, w%3, (n*7+w*5)%11, w/4+1))
			}
			for doc.Version < clients*each {
				m := p.next()
				switch m.Type {
				case "ack", "ops":
					if m.Payload.Version != doc.Version+1 {
						t.Errorf("version %d after %d", m.Payload.Version, doc.Version)
						return
					}
					doc.Apply(m.Payload.Ops)
				case "error":
					t.Errorf("%+v", m)
					return
				}
			}
			docs[n] = doc
		})
	}
	all.Wait()
	_, last := hub(t, db).joined(t, "t1/eve", "d")
	for n, doc := range docs {
		if doc == nil {
			t.Fatalf("client %d did not end", n)
		}
		if d := same(doc, last.Payload.Document); d != "" {
			t.Errorf("client %d: %s", n, d)
		}
	}
	if n := len(last.Payload.Document.Notes); n != clients*each {
		t.Errorf("%d notes", n)
	}
}

// TestClose: everybody is told to come back (1001), nobody new comes in, nothing is left, and who does not answer is cut.
func TestClose(t *testing.T) {
	db := database(t)
	ignore := goleak.IgnoreCurrent()
	i := hub(t, db)
	ann, _ := i.joined(t, "t1/ann", "d")
	deaf, _ := i.joined(t, "t1/deaf", "d")
	code := make(chan websocket.StatusCode, 1)
	go func() { code <- ann.closed() }()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { i.hub.Close(ctx); close(ended) }()
	if got := <-code; got != websocket.StatusGoingAway {
		t.Errorf("closed with %v", got)
	}
	if c, resp, err := websocket.Dial(t.Context(), i.URL+"/t1/late", nil); err == nil {
		_ = c.CloseNow()
		t.Error("one came in")
	} else if resp == nil || resp.StatusCode != http.StatusServiceUnavailable || !errors.Is(<-i.refused, collab.ErrDraining) {
		t.Errorf("%v %v", resp, err)
	}
	cancel()
	<-ended
	_ = deaf.CloseNow()
	i.Server.Close()
	http.DefaultClient.CloseIdleConnections()
	leaktest.None(t, ignore)
	k := store.DocumentKey{Tenant: "t1", Document: "d"}
	if list, err := db.Documents().Members(t.Context(), k, time.Now()); err != nil || len(list) != 0 {
		t.Errorf("still there: %v, %v", list, err)
	}
}

// TestDatabaseFails: the writer is told that it was not written, and is not told that it was.
func TestDatabaseFails(t *testing.T) {
	db := database(t)
	i := hub(t, db)
	ann, _ := i.joined(t, "t1/ann", "d")
	_ = db.Close()
	ann.say("ops", `{"ops": [{"op": "set", "path": "p", "value": 1, "ts": 1}]}`)
	if m := ann.next(); m.Type != "error" || m.Payload.Code != "internal" || strings.Contains(m.Payload.Message, "sql") {
		t.Errorf("%+v", m)
	}
	counts(t, i.metrics.Batches.Failed, 1)
	b, _ := json.Marshal(collab.NewDocument())
	if string(b) != `{"version":0,"values":{},"notes":[]}` {
		t.Errorf("the empty document is %s", b)
	}
}
