package collab_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/collab"
)

// same compares what documents hold. size is held to be the same by TestSizeIsOfWhatIsThere.
func same(a, b *collab.Document) string {
	return cmp.Diff(a, b, cmpopts.IgnoreUnexported(collab.Document{}))
}

// anyOp draws from few paths, users, times and values, so that ties are common.
func anyOp(user string) *rapid.Generator[collab.Op] {
	return rapid.Custom(func(t *rapid.T) collab.Op {
		ts := rapid.Int64Range(1, 4).Draw(t, "ts")
		if rapid.IntRange(0, 4).Draw(t, "note") == 0 {
			return collab.Op{Kind: collab.KindNote, Text: rapid.SampledFrom([]string{"a", "b", "<c>"}).Draw(t, "text"), TS: ts, User: user}
		}
		return collab.Op{Kind: collab.KindSet, Path: rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "path"),
			Value: json.RawMessage(rapid.SampledFrom([]string{"1", "2", `"\u003c"`, "null", `{"a":[]}`}).Draw(t, "value")), TS: ts, User: user}
	})
}

func anyUser() *rapid.Generator[string] { return rapid.SampledFrom([]string{"ann", "bob"}) }

// TestOrderNeverCounts: sets leave the same values in whatever order they arrive, also several times.
func TestOrderNeverCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := rapid.SliceOf(rapid.Custom(func(t *rapid.T) collab.Op { return anyOp(anyUser().Draw(t, "user")).Draw(t, "op") })).Draw(t, "ops")
		again := rapid.Permutation(append(append([]collab.Op{}, ops...), ops...)).Draw(t, "again")
		a, b := collab.NewDocument(), collab.NewDocument()
		a.Apply(ops)
		for _, op := range again {
			b.Apply([]collab.Op{op})
		}
		if d := cmp.Diff(a.Values, b.Values); d != "" {
			t.Fatal(d)
		}
	})
}

// TestEffectiveIsWhatCounts: what Effective leaves out changes nothing, what it leaves changes something, and asking changes nothing.
func TestEffectiveIsWhatCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := collab.NewDocument()
		for range rapid.IntRange(0, 5).Draw(t, "before") {
			d.Apply([]collab.Op{anyOp(anyUser().Draw(t, "user")).Draw(t, "op")})
		}
		before := d.Clone()
		ops := rapid.SliceOfN(anyOp(anyUser().Draw(t, "user")), 1, 10).Draw(t, "ops")
		effective, fits := d.Effective(ops)
		if x := same(d, before); x != "" || !fits {
			t.Fatal(x, fits)
		}
		whole, part := d.Clone(), d.Clone()
		whole.Apply(ops)
		part.Apply(effective)
		if x := cmp.Diff(whole.Values, part.Values); x != "" || len(whole.Notes) != len(part.Notes) {
			t.Fatal(x)
		}
		for _, op := range effective {
			held := d.Values[op.Path]
			if op.Kind == collab.KindSet && held.Value != nil && !collab.Wins(op, held) {
				t.Fatalf("%+v does not win over %+v", op, held)
			}
		}
	})
}

// site is one client of the model below: it applies what the server says in the order of versions, and knows nothing else.
type site struct {
	user  string
	doc   *collab.Document
	inbox []said
	// unanswered are its own batches that it has had no answer to; it sends them again when it comes back.
	unanswered []request
	online     bool
}

type request struct {
	id  string
	ops []collab.Op
}

// said is a message of the server: a batch, or the whole document.
type said struct {
	version int64
	ops     []collab.Op
	whole   *collab.Document
	answers string
}

// relay is the server's side, as the hub does it.
type relay struct {
	doc     *collab.Document
	log     []said
	written map[string]int64
	sites   []*site
}

func (r *relay) receive(from *site, q request) {
	if v, ok := r.written[q.id]; ok {
		from.inbox = append(from.inbox, said{version: v, ops: r.log[v-1].ops, answers: q.id})
		return
	}
	effective, _ := r.doc.Effective(q.ops)
	r.doc.Apply(effective)
	r.written[q.id] = r.doc.Version
	b := said{version: r.doc.Version, ops: effective}
	r.log = append(r.log, b)
	for _, s := range r.sites {
		if s == from {
			s.inbox = append(s.inbox, said{version: b.version, ops: b.ops, answers: q.id})
		} else if s.online {
			s.inbox = append(s.inbox, b)
		}
	}
}

// back is a client that joins again: it gets what it has missed, as batches or whole, and sends again what was not answered.
func (r *relay) back(s *site, whole bool) {
	s.online, s.inbox = true, nil
	if whole {
		s.inbox = append(s.inbox, said{version: r.doc.Version, whole: r.doc.Clone()})
	} else {
		s.inbox = append(s.inbox, r.log[s.doc.Version:]...)
	}
	for _, q := range s.unanswered {
		r.receive(s, q)
	}
}

func (s *site) hear(t *rapid.T) {
	m := s.inbox[0]
	s.inbox = s.inbox[1:]
	switch {
	case m.whole != nil:
		s.doc = m.whole.Clone()
	case m.version == s.doc.Version+1:
		s.doc.Apply(m.ops)
	case m.version > s.doc.Version:
		t.Fatalf("version %d after %d", m.version, s.doc.Version)
	}
	if m.answers != "" {
		kept := s.unanswered[:0]
		for _, q := range s.unanswered {
			if q.id != m.answers {
				kept = append(kept, q)
			}
		}
		s.unanswered = kept
	}
}

// TestClientsConverge: whatever the interleaving of writes, messages, broken connections and returns, all clients hold in the end what the server holds, every
// batch is in it once, and each path has the value that won over all others.
func TestClientsConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &relay{doc: collab.NewDocument(), written: map[string]int64{}}
		for range rapid.IntRange(2, 4).Draw(t, "clients") {
			r.sites = append(r.sites, &site{user: anyUser().Draw(t, "user"), doc: collab.NewDocument(), online: true})
		}
		asked := 0
		var all []collab.Op
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s := rapid.SampledFrom(r.sites).Draw(t, "who")
			switch step := rapid.SampledFrom([]string{"write", "write", "hear", "hear", "hear", "break", "write and break", "back"}).Draw(t, "step"); {
			case strings.HasPrefix(step, "write") && s.online:
				asked++
				q := request{fmt.Sprint(asked), rapid.SliceOfN(anyOp(s.user), 1, 4).Draw(t, "ops")}
				all, s.unanswered = append(all, q.ops...), append(s.unanswered, q)
				r.receive(s, q)
				if step != "write" {
					s.online, s.inbox = false, nil
				}
			case step == "hear" && len(s.inbox) > 0:
				s.hear(t)
			case step == "break":
				s.online, s.inbox = false, nil
			case step == "back" && !s.online:
				r.back(s, rapid.Bool().Draw(t, "whole"))
			}
		}
		for _, s := range r.sites {
			if !s.online {
				r.back(s, rapid.Bool().Draw(t, "whole"))
			}
		}
		for _, s := range r.sites {
			for len(s.inbox) > 0 {
				s.hear(t)
			}
			if d := same(s.doc, r.doc); d != "" || len(s.unanswered) > 0 {
				t.Fatalf("%d unanswered\n%s", len(s.unanswered), d)
			}
		}
		if r.doc.Version != int64(asked) {
			t.Fatalf("%d batches make version %d", asked, r.doc.Version)
		}
		want := collab.NewDocument()
		want.Apply(all)
		if d := cmp.Diff(want.Values, r.doc.Values); d != "" || len(want.Notes) != len(r.doc.Notes) {
			t.Fatal(d)
		}
	})
}

func TestSizeIsOfWhatIsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := collab.NewDocument()
		for range rapid.IntRange(0, 20).Draw(t, "batches") {
			d.Apply(rapid.SliceOfN(anyOp(anyUser().Draw(t, "user")), 0, 4).Draw(t, "ops"))
		}
		b, err := d.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again, err := collab.ReadDocument(b)
		if err != nil {
			t.Fatal(err)
		}
		// Unexported fields too: the size is counted up here and down there.
		if x := cmp.Diff(d, again, cmp.AllowUnexported(collab.Document{})); x != "" {
			t.Fatal(x)
		}
	})
}

func TestFullDocument(t *testing.T) {
	d := collab.NewDocument()
	value := json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)
	set := func(path string, v json.RawMessage, ts int64) []collab.Op {
		return []collab.Op{{Kind: collab.KindSet, Path: path, Value: v, TS: ts, User: "ann"}}
	}
	n := 0
	for ; ; n++ {
		ops, fits := d.Effective(set(fmt.Sprint("p", n), value, 1))
		if !fits {
			break
		}
		d.Apply(ops)
	}
	if n < 50 || n > 66 {
		t.Errorf("full after %d", n)
	}
	if _, fits := d.Effective([]collab.Op{{Kind: collab.KindNote, Text: strings.Repeat("y", 4000), TS: 2, User: "ann"}}); fits {
		t.Error("a full document took a note")
	}
	ops, fits := d.Effective(set("p0", json.RawMessage("0"), 2))
	if !fits || len(ops) != 1 {
		t.Errorf("what makes a full document smaller was refused: %v %v", ops, fits)
	}
	d.Apply(ops)
	if _, fits := d.Effective(set("new", json.RawMessage("0"), 2)); !fits {
		t.Error("there is room again")
	}
}

var when = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)

func TestParse(t *testing.T) {
	p, ts := collab.NewParser(), when.UnixMilli()
	ops := func(op string) string {
		return `{"type":"ops","doc_id":"d","request_id":"r","payload":{"ops":[` + op + `]}}`
	}
	m, refusal := p.Parse([]byte(ops(fmt.Sprintf(`{"op":"set","path":"inputs/wacc","value": [1, "<"],"ts":%d}, {"op":"append_note","text":"a\nb","ts":%d}`, ts, ts))), when)
	want := []collab.Op{{Kind: "set", Path: "inputs/wacc", Value: json.RawMessage(`[1,"\u003c"]`), TS: ts}, {Kind: "append_note", Text: "a\nb", TS: ts}}
	if d := cmp.Diff(want, m.Ops); d != "" || refusal != nil {
		t.Fatal(refusal, d)
	}
	for _, c := range []struct{ message, want string }{
		{`{`, "message: unexpected end of JSON input"}, {`[]`, "message: must be an object"}, {"\xff", "message:"},
		{`{"type":"join"}`, "doc_id: must be"}, {`{"type":"join","doc_id":"a/b"}`, "doc_id: must be"}, {`{"type":"join","doc_id":"` + strings.Repeat("d", 129) + `"}`, "doc_id: must be"},
		{`{"type":"join","doc_id":"d","typo":1}`, "typo: is not a known field"}, {`{"type":"join","type":"join","doc_id":"d"}`, "type: is given twice"},
		{`{"type":"Join","doc_id":"d"}`, "type: must be join"}, {`{"type":"join","doc_id":"d","version":2}`, "version: must be 1"},
		{`{"type":"join","doc_id":"d","request_id":"a b"}`, "request_id: may have"}, {`{"type":"join","doc_id":"d","payload":{"since":-1}}`, "payload.since: must be 0"},
		{`{"type":"join","doc_id":"d","payload":{"since":1.5}}`, "payload.since: must be an integer"}, {`{"type":"join","doc_id":"d","payload":{"name":"a\u0000"}}`, "payload.name: may have"},
		{`{"type":"join","doc_id":"d","payload":[]}`, "payload: must be an object"},
		{`{"type":"ops","doc_id":"d","payload":{"ops":[{}]}}`, "request_id: is required"}, {ops(``), "payload.ops: must have 1 to 50"}, {ops(strings.Repeat("1,", 50) + "1"), "payload.ops: must have"},
		{ops(`1`), "payload.ops[0]: must be an object"}, {ops(`{"op":"set","path":"p","value":1}`), "payload.ops[0].ts: must be"},
		{ops(`{"op":"set","path":"p","value":1,"ts":1e400}`), "too large"}, {ops(fmt.Sprintf(`{"op":"set","path":"p","value":1,"ts":%d}`, ts+60_001)), "payload.ops[0].ts: must be"},
		{ops(`{"op":"set","path":"p","ts":1}`), "payload.ops[0].value: is required"}, {ops(`{"op":"set","path":"","value":1,"ts":1}`), "payload.ops[0].path: must be"},
		{ops(`{"op":"set","path":"../é","value":1,"ts":1}`), "payload.ops[0].path: must be"}, {ops(`{"op":"set","path":"p","value":"` + strings.Repeat("x", 4095) + `","ts":1}`), "payload.ops[0].value: may have"},
		{ops(`{"op":"set","path":"p","value":1,"text":"x","ts":1}`), "payload.ops[0].text: belongs"}, {ops(`{"op":"append_note","text":"","ts":1}`), "payload.ops[0].text: must have"},
		{ops(`{"op":"append_note","text":"\u001b","ts":1}`), "payload.ops[0].text: must have"}, {ops(`{"op":"append_note","text":"x","path":"p","ts":1}`), "payload.ops[0].op: append_note has"},
		{ops(`{"op":"delete","ts":1}`), "payload.ops[0].op: must be set"}, {ops(`{"op":"set","path":"p","value":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"ts":1}`), "nested"},
		{`{"type":"presence","doc_id":"d","payload":{"cursor":"` + strings.Repeat("x", 1023) + `"}}`, "payload.cursor: may have"},
	} {
		_, refusal := p.Parse([]byte(c.message), when)
		if refusal == nil || refusal.Code != "bad_message" || !strings.Contains(refusal.Message, c.want) {
			t.Errorf("%s: %v, want %s", c.message[:min(len(c.message), 90)], refusal, c.want)
		}
	}
	if _, refusal := p.Parse([]byte(ops(`{"op":"set","path":"p","value":null,"ts":1}`)), when); refusal != nil {
		t.Errorf("null is a value: %v", refusal)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"type":"join","version":1,"tenant":"t","doc_id":"d","user_id":"u","request_id":"r","payload":{"since":3,"name":"Ann"}}`, `{"type":"leave","doc_id":"d"}`,
		`{"type":"ops","doc_id":"d","request_id":"r","payload":{"ops":[{"op":"set","path":"a/b","value":{"x":[1,null,"<"]},"ts":1},{"op":"append_note","text":"n","ts":2}]}}`,
		`{"type":"presence","doc_id":"d","payload":{"cursor":{"field":"wacc"}}}`, `{"type":"ops","doc_id":"d","payload":null}`, `{"payload":`,
	} {
		f.Add([]byte(seed))
	}
	p := collab.NewParser()
	f.Fuzz(func(t *testing.T, data []byte) {
		m, refusal := p.Parse(data, when)
		if refusal != nil {
			if refusal.Code != "bad_message" || refusal.Message == "" {
				t.Fatalf("refusal %+v", refusal)
			}
			return
		}
		for i := range m.Ops {
			m.Ops[i].User = "u"
		}
		// What was accepted survives the database and the wire as it is.
		b, err := json.Marshal(m.Ops)
		if err != nil {
			t.Fatal(err)
		}
		var again []collab.Op
		if err := json.Unmarshal(b, &again); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m.Ops, again, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		d := collab.NewDocument()
		effective, _ := d.Effective(m.Ops)
		d.Apply(effective)
		if s, err := d.Snapshot(); err != nil || !json.Valid(s) {
			t.Fatalf("%s, %v", s, err)
		}
	})
}
