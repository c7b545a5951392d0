package header

import (
	"slices"
	"strings"

	"github.com/valor-ivx/weir/proxy/message"
)

// Field is one response field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Options describe a policy. Names are compared without case; values are valid field values.
type Options struct {
	Preset                Preset
	ContentSecurityPolicy string   // replaces the preset's; empty: the preset's; {nonce} in it stands for the answer's
	ReportOnly            string   // a Content-Security-Policy-Report-Only, likewise
	Reports               string   // path that browsers report to what the policies kept out; empty: they report nothing
	Set                   []Field  // beside the preset's, or in place of those of the same name
	Remove                []string // taken out of the upstream's response, and out of the preset
}

// Policy is what is done to the fields of final responses. It is a value: nothing in it changes after New.
type Policy struct {
	entries []entry
	fixed   [2][]byte // the lines of entries that do not yield, ready to send: on plain connections, and on those with TLS
	drop    []string  // names that an upstream's response loses: fixed ones and Options.Remove
	lengths uint64    // bit n: drop has a name of n bytes (of 63 or more: bit 63)

	unmodified *Policy // for 304; nil: there is no nonce in it
}

// entry is one field that the policy writes.
type entry struct {
	Field
	line   []byte // with CRLF
	secure bool   // over TLS only
	yields bool   // only where the upstream has none
}

// New compiles a policy; nil when it does nothing.
func New(o Options) *Policy {
	p := &Policy{}
	for _, f := range o.Preset.fields() {
		p.put(f, o.Preset == Basic)
	}
	if o.ContentSecurityPolicy != "" {
		p.put(Field{policyField, slotted(o.ContentSecurityPolicy)}, false)
	}
	if o.ReportOnly != "" {
		p.put(Field{reportOnlyField, slotted(o.ReportOnly)}, false)
	}
	for _, f := range o.Set {
		p.put(f, false)
	}
	for _, name := range o.Remove {
		p.entries = slices.DeleteFunc(p.entries, func(e entry) bool { return message.EqualFold(e.Name, name) })
		p.lose(name)
	}
	if o.Reports != "" {
		p.report(o.Reports)
	}
	for _, e := range p.entries {
		if e.yields {
			continue
		}
		p.lose(e.Name)
		if !e.secure {
			p.fixed[0] = append(p.fixed[0], e.line...)
		}
		p.fixed[1] = append(p.fixed[1], e.line...)
	}
	if len(p.entries) == 0 && len(p.drop) == 0 {
		return nil
	}
	if strings.Contains(o.ContentSecurityPolicy+o.ReportOnly, nonceMark) {
		p.unmodified = New(o.withoutNonce())
	}
	return p
}

// put adds a field, or replaces the one of its name.
func (p *Policy) put(f Field, yields bool) {
	e := entry{Field: f, line: []byte(f.Name + ": " + f.Value + "\r\n"), secure: message.EqualFold(f.Name, hsts), yields: yields}
	if i := slices.IndexFunc(p.entries, func(e entry) bool { return message.EqualFold(e.Name, f.Name) }); i >= 0 {
		p.entries[i] = e
		return
	}
	p.entries = append(p.entries, e)
}

func (p *Policy) lose(name string) {
	p.drop = append(p.drop, name)
	p.lengths |= 1 << min(len(name), 63)
}

// Writes reports a field that the policy writes, or may write. It allocates nothing; p may be nil.
func (p *Policy) Writes(name string) bool {
	if p == nil {
		return false
	}
	for i := range p.entries {
		if message.EqualFold(p.entries[i].Name, name) {
			return true
		}
	}
	return false
}

// Fields lists what the policy writes on a response without fields of its own.
func (p *Policy) Fields(secure bool) (list []Field) {
	for _, e := range p.entries {
		if secure || !e.secure {
			list = append(list, e.Field)
		}
	}
	return list
}

// Forward applies the policy to an upstream's response: h loses what the policy replaces or removes, and the lines to write beside h are appended to b. It
// allocates nothing beyond what b needs to grow.
func (p *Policy) Forward(b []byte, h *message.Header, secure bool) []byte {
	for i := 0; i < h.Len(); {
		name := h.At(i).Name()
		if p.lengths&(1<<min(len(name), 63)) == 0 || !p.drops(name) {
			i++
			continue
		}
		h.Remove(i)
	}
	at := 0
	if secure {
		at = 1
	}
	b = append(b, p.fixed[at]...)
	for i := range p.entries {
		if e := &p.entries[i]; e.yields && (secure || !e.secure) && !has(h, e.Name) {
			b = append(b, e.line...)
		}
	}
	return b
}

func (p *Policy) drops(name []byte) bool {
	for i := range p.drop {
		if message.EqualFold(name, p.drop[i]) {
			return true
		}
	}
	return false
}

// Answer is Forward for a response of our own: every field of h stays, because it says what the answer is (its type, that it must not be stored), and of the
// policy's lines those are appended that h does not have.
func (p *Policy) Answer(b []byte, h *message.Header, secure bool) []byte {
	for i := range p.entries {
		if e := &p.entries[i]; (secure || !e.secure) && !has(h, e.Name) {
			b = append(b, e.line...)
		}
	}
	return b
}

func has(h *message.Header, name string) bool {
	for i := range h.Len() {
		if message.EqualFold(h.At(i).Name(), name) {
			return true
		}
	}
	return false
}
