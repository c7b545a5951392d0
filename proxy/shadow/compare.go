package shadow

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
)

// Rules say what is compared and what of it is shown.
type Rules struct {
	// Headers are compared beside status and body.
	Headers []string
	// Ignore are places of JSON bodies that are not compared.
	Ignore []Pattern
	// ShowStrings shows the beginning of strings in samples, in place of their length.
	ShowStrings bool
}

// answer is what came of one asking.
type answer struct {
	failure string // why there is none; "": there is one
	status  int
	headers []string // by Rules.Headers; several fields are one, joined as RFC 9110 §5.3 has it
	kind    string   // Content-Type
	body    []byte
	long    bool // the body goes on beyond what was read
}

// diff is where b differs from a, which has been answered.
func (r *Rules) diff(a, b *answer) (found []finding) {
	switch {
	case b.failure != "":
		return []finding{{"answer", strconv.Itoa(a.status), b.failure}}
	case a.status != b.status: // what else differs follows from it
		return []finding{{"status", strconv.Itoa(a.status), strconv.Itoa(b.status)}}
	}
	for i, name := range r.Headers {
		if a.headers[i] != b.headers[i] {
			found = append(found, finding{"header " + strings.ToLower(name), r.field(name, a.headers[i]), r.field(name, b.headers[i])})
		}
	}
	if !b.long && bytes.Equal(a.body, b.body) {
		return found
	}
	if !b.long && isJSON(a.kind) && isJSON(b.kind) {
		was, ok := parse(a.body)
		if is, too := parse(b.body); ok && too {
			return append(found, r.diffJSON(was, is)...)
		}
	}
	return append(found, finding{"body", a.summary(), b.summary()})
}

// field is a header's value as a sample has it.
func (r *Rules) field(name, value string) string {
	switch {
	case value == "":
		return "absent"
	case secretive(name):
		return masked
	case strings.EqualFold(name, "Content-Type"): // says nothing about anybody
		return shorten(value)
	}
	return r.text(value)
}

// summary names a body without saying what is in it.
func (a *answer) summary() string {
	if a.long {
		return fmt.Sprintf("more than %d bytes", len(a.body))
	}
	sum := sha256.Sum256(a.body)
	return fmt.Sprintf("%d bytes, sha256 %x…", len(a.body), sum[:4])
}

// isJSON knows application/json and the types built on it (RFC 6839 §3.1).
func isJSON(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "application/json" || kind == "text/json" || strings.HasSuffix(kind, "+json")
}
