package collab

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/valor-ivx/weir/app/strictjson"
)

// protocol is the version that an envelope may name.
const protocol = 1

// Types of messages. A client sends the first four; ops and presence go both ways.
const (
	typeJoin     = "join"
	typeLeave    = "leave"
	typeOps      = "ops"
	typePresence = "presence"
	typeJoined   = "joined"
	typeLeft     = "left"
	typeAck      = "ack"
	typeError    = "error"
)

// skew is how far ahead of ours a writer's clock may be: whoever writes the year 3000 would win for ever.
const skew = time.Minute

// Refusal says why a message did nothing. Code is one of a closed set that docs/api.md lists.
type Refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// RetryAfter is in milliseconds, for rate_limited alone.
	RetryAfter int64 `json:"retry_after_ms,omitempty"`
}

// Error implements error.
func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

func refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Message is one that a client sent, read and checked. User is empty in its ops: the hub knows it.
type Message struct {
	Type, Doc, Request string
	Tenant, User       string // as the client has it; "" where it says nothing

	Since  int64           // join: the version that the client has
	Name   string          // join: what to call the client
	Ops    []Op            // ops
	Cursor json.RawMessage // presence: any JSON; nil for null
}

type envelope struct {
	Type    string           `json:"type"`
	Version int              `json:"version"`
	Tenant  string           `json:"tenant"`
	Doc     string           `json:"doc_id"`
	User    string           `json:"user_id"`
	Request string           `json:"request_id"`
	Payload *json.RawMessage `json:"payload"`
}

type joinPayload struct {
	Since int64  `json:"since"`
	Name  string `json:"name"`
}

type opsPayload struct {
	Ops []json.RawMessage `json:"ops"`
}

type presencePayload struct {
	Cursor *json.RawMessage `json:"cursor"`
}

type opPayload struct {
	Kind  string           `json:"op"`
	Path  string           `json:"path"`
	Value *json.RawMessage `json:"value"`
	Text  string           `json:"text"`
	TS    int64            `json:"ts"`
}

// Parser reads messages. It is a value and safe for concurrent use.
type Parser struct {
	envelope strictjson.Decoder[envelope]
	join     strictjson.Decoder[joinPayload]
	ops      strictjson.Decoder[opsPayload]
	op       strictjson.Decoder[opPayload]
	presence strictjson.Decoder[presencePayload]
}

// NewParser makes one.
func NewParser() Parser {
	return Parser{strictjson.New[envelope](), strictjson.New[joinPayload](), strictjson.New[opsPayload](), strictjson.New[opPayload](), strictjson.New[presencePayload]()}
}

// Parse reads one message, as strictly as a request body. What it returns beside a refusal has what could be read of the envelope, for the answer to name.
func (p Parser) Parse(data []byte, now time.Time) (Message, *Refusal) {
	e := envelope{Version: protocol}
	if r := bad("", p.envelope.Decode(data, &e)); r != nil {
		return Message{}, r
	}
	m := Message{Type: e.Type, Doc: e.Doc, Request: e.Request, Tenant: e.Tenant, User: e.User}
	if len(m.Request) > 64 || !isName(m.Request) {
		m.Request = ""
		return m, refuse("bad_message", "request_id: may have 64 letters, digits, . _ : and -")
	}
	if e.Doc == "" || len(e.Doc) > 128 || !isName(e.Doc) {
		m.Doc = ""
		return m, refuse("bad_message", "doc_id: must be 1 to 128 letters, digits, . _ : and -")
	}
	if e.Version != protocol {
		return m, refuse("bad_message", "version: must be %d", protocol)
	}
	payload := []byte("{}")
	if e.Payload != nil {
		payload = *e.Payload
	}
	switch e.Type {
	case typeJoin:
		return m, p.readJoin(payload, &m)
	case typeLeave:
		return m, nil
	case typeOps:
		return m, p.readOps(payload, &m, now)
	case typePresence:
		return m, p.readPresence(payload, &m)
	}
	return m, refuse("bad_message", "type: must be join, leave, ops or presence")
}

func (p Parser) readJoin(payload []byte, m *Message) *Refusal {
	var j joinPayload
	if r := bad("payload", p.join.Decode(payload, &j)); r != nil {
		return r
	}
	if j.Since < 0 {
		return refuse("bad_message", "payload.since: must be 0 or more")
	}
	if len(j.Name) > 64 || hasControl(j.Name, "") {
		return refuse("bad_message", "payload.name: may have 64 bytes, none of them a control character")
	}
	m.Since, m.Name = j.Since, j.Name
	return nil
}

func (p Parser) readPresence(payload []byte, m *Message) *Refusal {
	var c presencePayload
	if r := bad("payload", p.presence.Decode(payload, &c)); r != nil {
		return r
	}
	if c.Cursor == nil {
		return nil
	}
	if m.Cursor = compact(*c.Cursor); len(m.Cursor) > 1<<10 {
		m.Cursor = nil
		return refuse("bad_message", "payload.cursor: may have 1024 bytes")
	}
	return nil
}

func (p Parser) readOps(payload []byte, m *Message, now time.Time) *Refusal {
	var list opsPayload
	if r := bad("payload", p.ops.Decode(payload, &list)); r != nil {
		return r
	}
	if len(list.Ops) == 0 || len(list.Ops) > maxOps {
		return refuse("bad_message", "payload.ops: must have 1 to %d", maxOps)
	}
	if m.Request == "" {
		return refuse("bad_message", "request_id: is required with ops, so that sending them again does not apply them twice")
	}
	ops := make([]Op, len(list.Ops))
	for i, raw := range list.Ops {
		at := fmt.Sprintf("payload.ops[%d]", i)
		var o opPayload
		if r := bad(at, p.op.Decode(raw, &o)); r != nil {
			return r
		}
		var message string
		if ops[i], message = o.checked(raw, now); message != "" {
			return refuse("bad_message", "%s.%s", at, message)
		}
	}
	m.Ops = ops
	return nil
}

// checked is the op, or what is wrong with it.
func (o opPayload) checked(raw []byte, now time.Time) (Op, string) {
	if o.TS <= 0 || o.TS > now.Add(skew).UnixMilli() {
		return Op{}, "ts: must be milliseconds since 1970, at most a minute ahead of the server"
	}
	switch o.Kind {
	case KindSet:
		if !isPath(o.Path) {
			return Op{}, "path: must be 1 to 128 letters, digits, . _ - and /"
		}
		value := []byte("null")
		if o.Value != nil {
			value = compact(*o.Value)
		} else if fields := map[string]json.RawMessage{}; json.Unmarshal(raw, &fields) != nil || fields["value"] == nil {
			return Op{}, "value: is required; null is a value"
		}
		if len(value) > maxValue {
			return Op{}, fmt.Sprintf("value: may have %d bytes", maxValue)
		}
		if o.Text != "" {
			return Op{}, "text: belongs to append_note"
		}
		return Op{Kind: KindSet, Path: o.Path, Value: value, TS: o.TS}, ""
	case KindNote:
		if o.Text == "" || len(o.Text) > maxText || hasControl(o.Text, "\n\t") {
			return Op{}, fmt.Sprintf("text: must have 1 to %d bytes, and of control characters only line feed and tab", maxText)
		}
		if o.Path != "" || o.Value != nil {
			return Op{}, "op: append_note has text and ts alone"
		}
		return Op{Kind: KindNote, Text: o.Text, TS: o.TS}, ""
	}
	return Op{}, "op: must be set or append_note"
}

// bad is the first issue as a refusal.
func bad(at string, issues []strictjson.Issue) *Refusal {
	if len(issues) == 0 {
		return nil
	}
	i := issues[0]
	where := strings.Trim(at+"."+i.Field, ".")
	if where == "" {
		where = "message"
	}
	return refuse("bad_message", "%s: %s (line %d, column %d)", where, i.Message, i.Line, i.Column)
}

// compact is JSON, known to be good, as encoding/json writes it: without space, and with what HTML knows escaped. Every instance then holds the same bytes,
// whether it was sent them or has read them back.
func compact(raw []byte) []byte {
	b, err := json.Marshal(json.RawMessage(raw))
	if err != nil { // impossible: it has been read
		return []byte("null")
	}
	return b
}

func hasControl(s, but string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return (r < ' ' || r == 0x7f) && !strings.ContainsRune(but, r)
	})
}

// isName accepts [A-Za-z0-9._:-]*.
func isName(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("._:-", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isPath accepts [A-Za-z0-9._/-]{1,128}.
func isPath(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte("._-/", s[i]) < 0 {
			return false
		}
	}
	return s != "" && len(s) <= maxPath
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
