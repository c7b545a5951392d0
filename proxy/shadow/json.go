package shadow

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"unicode/utf8"
)

// mostFindings of one comparison are told apart: a document that has nothing in common with the other one is not worth more.
const mostFindings = 64

// finding is one place in which two answers differ, with what either has there, redacted.
type finding struct{ where, a, b string }

// parse reads a document. What decoding would make alike though it is not (bytes that are no UTF-8) is no document.
func parse(body []byte) (v any, ok bool) {
	if !utf8.Valid(body) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, err == io.EOF
}

// comparison walks two documents side by side.
type comparison struct {
	rules  *Rules
	at     []step
	secret int // how many keys on the way are names of secrets
	found  []finding
	known  map[string]bool // places in found
}

// diffJSON is where two documents differ, each place once however many elements of an array have it.
func (r *Rules) diffJSON(a, b any) []finding {
	c := comparison{rules: r, known: map[string]bool{}}
	c.value(a, b)
	return c.found
}

// differ notes a difference at the present place.
func (c *comparison) differ(suffix string, a, b any) {
	where := placeOf(c.at) + suffix
	if c.known[where] || len(c.found) == mostFindings {
		return
	}
	c.known[where] = true
	c.found = append(c.found, finding{where, c.rules.show(a, c.secret > 0), c.rules.show(b, c.secret > 0)})
}

func (c *comparison) value(a, b any) {
	if len(c.found) == mostFindings || c.ignored() {
		return
	}
	switch was := a.(type) {
	case map[string]any:
		if is, ok := b.(map[string]any); ok {
			c.object(was, is)
			return
		}
	case []any:
		if is, ok := b.([]any); ok {
			c.array(was, is)
			return
		}
	case json.Number:
		if is, ok := b.(json.Number); ok && sameNumber(was.String(), is.String()) {
			return
		}
	default: // string, bool, null, absent: comparable
		if a == b {
			return
		}
	}
	c.differ("", a, b)
}

// object compares by keys, in their order, so that the same documents give the same findings.
func (c *comparison) object(a, b map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(a)) {
		c.child(key, a[key], get(b, key))
	}
	for _, key := range slices.Sorted(maps.Keys(b)) {
		if _, both := a[key]; !both {
			c.child(key, absent{}, b[key])
		}
	}
}

func get(o map[string]any, key string) any {
	if v, ok := o[key]; ok {
		return v
	}
	return absent{}
}

func (c *comparison) child(key string, a, b any) {
	hidden := 0
	if secretive(key) {
		hidden = 1
	}
	c.at, c.secret = append(c.at, step{key: key}), c.secret+hidden
	c.value(a, b)
	c.at, c.secret = c.at[:len(c.at)-1], c.secret-hidden
}

// array compares element by element. Of arrays of different lengths nobody knows which elements belong together: that is one difference, and all there is.
func (c *comparison) array(a, b []any) {
	if len(a) != len(b) {
		c.differ("[#]", a, b)
		return
	}
	c.at = append(c.at, step{element: true})
	for i := range a {
		c.value(a[i], b[i])
	}
	c.at = c.at[:len(c.at)-1]
}

// ignored reports a place that is not to be compared.
func (c *comparison) ignored() bool {
	for i := range c.rules.Ignore {
		if c.rules.Ignore[i].names(c.at) {
			return true
		}
	}
	return false
}
