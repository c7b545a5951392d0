package message

// Field is one header field: a line "Name: value" in somebody's buffer, and where its parts lie in it. Keeping the whole line lets an
// untouched field be forwarded byte for byte with one copy.
type Field struct {
	line       []byte // "Name: value", without CRLF and without trailing white space
	nameLen    int32
	valueStart int32
	id         ID
}

// Name is the field's name as received.
func (f *Field) Name() []byte { return f.line[:f.nameLen] }

// Value is the field's value without surrounding white space.
func (f *Field) Value() []byte { return f.line[f.valueStart:] }

// Line is the whole line, without CRLF.
func (f *Field) Line() []byte { return f.line }

// ID names the field if it is one that the data path acts on, else Other.
func (f *Field) ID() ID { return f.id }

// Header is an ordered list of fields. Order and repetition are kept (RFC 9110 §5.3). The zero value is empty and usable; Reset keeps its
// memory for the next message, so that a keep-alive exchange allocates nothing.
type Header struct {
	fields []Field
	arena  []byte // lines made by Add; when it must grow, older lines keep the old array alive
}

// Reset empties the list and keeps its memory.
func (h *Header) Reset() {
	h.fields = h.fields[:0]
	h.arena = h.arena[:0]
}

// Len is the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns field i, valid until the list changes.
func (h *Header) At(i int) *Field { return &h.fields[i] }

// AppendLine adds a field that stands in the caller's buffer: line is "Name:OWS value" without CRLF and trailing white space, nameLen the length
// of the name, valueStart where the value begins. Parsers use it; nothing is copied.
func (h *Header) AppendLine(line []byte, nameLen, valueStart int, id ID) {
	h.fields = append(h.fields, Field{line: line, nameLen: int32(nameLen), valueStart: int32(valueStart), id: id})
}

// Add appends a field of our own making. Name and value are copied; the caller vouches that they hold no control bytes.
func (h *Header) Add(name, value string) {
	start := len(h.arena)
	h.arena = append(h.arena, name...)
	h.arena = append(h.arena, ": "...)
	h.arena = append(h.arena, value...)
	h.AppendLine(h.arena[start:len(h.arena):len(h.arena)], len(name), len(name)+2, IDOf(name))
}

// AddBytes is Add for a value in a buffer.
func (h *Header) AddBytes(name string, value []byte) {
	start := len(h.arena)
	h.arena = append(h.arena, name...)
	h.arena = append(h.arena, ": "...)
	h.arena = append(h.arena, value...)
	h.AppendLine(h.arena[start:len(h.arena):len(h.arena)], len(name), len(name)+2, IDOf(name))
}

// Find returns the index of the first field with this ID at or after from, or -1. It is for the known fields, which parsers have already named.
func (h *Header) Find(id ID, from int) int {
	for i := from; i < len(h.fields); i++ {
		if h.fields[i].id == id {
			return i
		}
	}
	return -1
}

// Get returns the value of the first field of that name, compared without case (RFC 9110 §5.1).
func (h *Header) Get(name string) ([]byte, bool) {
	for i := range h.fields {
		if EqualFold(h.fields[i].Name(), name) {
			return h.fields[i].Value(), true
		}
	}
	return nil, false
}

// Del removes every field of that name.
func (h *Header) Del(name string) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if !EqualFold(f.Name(), name) {
			kept = append(kept, f)
		}
	}
	h.fields = kept
}

// Set replaces every field of that name by one.
func (h *Header) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// DropNominated removes every field that a Connection field names (RFC 9110 §7.6.1). Those that HopByHop knows are left to the writers.
func (h *Header) DropNominated() {
	// Connection fields themselves stay (HopByHop), so counting them is stable while others are removed.
	for k := 0; ; k++ {
		at := -1
		for seen := 0; seen <= k; seen++ {
			if at = h.Find(Connection, at+1); at < 0 {
				return
			}
		}
		list := h.fields[at].Value()
		for len(list) > 0 {
			var token []byte
			token, list = NextToken(list)
			if len(token) > 0 && !IDOf(token).HopByHop() {
				h.Del(string(token))
			}
		}
	}
}

// EqualFold compares two field names or tokens without ASCII case. Unlike strings.EqualFold it knows no Unicode: a Kelvin sign is not a k.
func EqualFold[A, B ~[]byte | ~string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// HasToken reports whether a comma-separated list (RFC 9110 §5.6.1) holds the token, without case.
func HasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var item []byte
		item, list = NextToken(list)
		if EqualFold(item, token) {
			return true
		}
	}
	return false
}

// NextToken splits the first element, trimmed, off a comma-separated list. Empty elements come back empty.
func NextToken(list []byte) (item, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return Trim(list[:i]), list[i+1:]
		}
	}
	return Trim(list), nil
}

// Bare is an element of such a list without its parameters (RFC 9110 §5.6.6).
func Bare(item []byte) []byte {
	for i, c := range item {
		if c == ';' {
			return Trim(item[:i])
		}
	}
	return item
}

// Trim cuts optional white space (space and tab, RFC 9110 §5.6.3) off both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
