package files

import (
	"net/http"
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// settled is how long after its last change a file's time tells it from the next one: some file systems count in steps of two seconds. Until then its validators are weak (RFC 9110
// §8.8.1).
const settled = 2 * time.Second

// mark makes the entity tag: time and size of what is sent, so that replicas with the same files say the same, and its coding. A time of 0 or 1 s is what tools write that make
// builds repeatable; it says nothing, so there is no tag, nor a Last-Modified.
func (f *Found) mark(now time.Time) {
	if !f.dated() {
		return
	}
	b := f.tag[:0]
	if !f.firm(now) {
		b = append(b, "W/"...)
	}
	b = strconv.AppendInt(append(b, '"'), f.Modified.UnixNano(), 36)
	b = strconv.AppendInt(append(b, '-'), f.Size, 36)
	if f.Coding != "" {
		b = append(append(b, '-'), f.Coding...)
	}
	f.tagged = len(append(b, '"'))
}

// Tag is the entity tag, empty for none.
func (f *Found) Tag() []byte { return f.tag[:f.tagged] }

// LastModified is when the file was changed; ok is false where that is not known, or not past yet (RFC 9110 §8.8.2.1).
func (f *Found) LastModified(now time.Time) (at time.Time, ok bool) {
	return f.Modified.Truncate(time.Second).UTC(), f.dated() && !f.Modified.After(now)
}

func (f *Found) dated() bool { return f.Modified.Unix() > 1 }

func (f *Found) firm(now time.Time) bool { return now.Sub(f.Modified) >= settled }

// Verdict is what the conditions of a request come to.
type Verdict uint8

// The verdicts.
const (
	Send          Verdict = iota
	NotModified           // 304
	Unmet                 // 412
	Part                  // 206 with the spans
	Unsatisfiable         // 416
)

// Judge evaluates conditions and ranges in the order of RFC 9110 §13.2.2; get: the method is GET, else it is HEAD. spans is where the spans of Part go.
func (f *Found) Judge(h *message.Header, get bool, now time.Time, spans []Span) (Verdict, []Span) {
	a := collect(h)
	modified, dated := f.LastModified(now)
	switch {
	case a.first[ifMatch] >= 0:
		if !f.matches(h, &a, ifMatch) {
			return Unmet, nil
		}
	case dated:
		if at, ok := a.date(h, ifUnmodifiedSince); ok && modified.After(at) {
			return Unmet, nil
		}
	}
	switch {
	case a.first[ifNoneMatch] >= 0:
		if f.matches(h, &a, ifNoneMatch) {
			return NotModified, nil
		}
	case dated:
		if at, ok := a.date(h, ifModifiedSince); ok && !modified.After(at) {
			return NotModified, nil
		}
	}
	if !get || a.first[rangeField] < 0 || a.twice[rangeField] || !f.inRange(h, &a, now) {
		return Send, nil
	}
	return ParseRange(spans, h.At(a.first[rangeField]).Value(), f.Size)
}

// The fields that conditions are in.
const (
	ifMatch = iota
	ifNoneMatch
	ifModifiedSince
	ifUnmodifiedSince
	ifRange
	rangeField
	conditions
)

// conditional is where the fields are in a header.
type conditional struct {
	first [conditions]int // -1: nowhere
	twice [conditions]bool
}

// collect passes over the header once.
func collect(h *message.Header) (a conditional) {
	for i := range a.first {
		a.first[i] = -1
	}
	for i := range h.Len() {
		f := h.At(i)
		if f.ID() != message.Other {
			continue
		}
		switch k := conditionOf(f.Name()); {
		case k < 0:
		case a.first[k] >= 0:
			a.twice[k] = true
		default:
			a.first[k] = i
		}
	}
	return a
}

func conditionOf(name []byte) int {
	switch {
	case message.EqualFold(name, "range"):
		return rangeField
	case len(name) < 8 || name[0]|0x20 != 'i' || name[2] != '-':
		return -1
	case message.EqualFold(name, "if-none-match"):
		return ifNoneMatch
	case message.EqualFold(name, "if-modified-since"):
		return ifModifiedSince
	case message.EqualFold(name, "if-range"):
		return ifRange
	case message.EqualFold(name, "if-match"):
		return ifMatch
	case message.EqualFold(name, "if-unmodified-since"):
		return ifUnmodifiedSince
	}
	return -1
}

// date is the date in a field that may be there once; what is none is as if it were not there (RFC 9110 §13.1.3).
func (a *conditional) date(h *message.Header, field int) (time.Time, bool) {
	if a.first[field] < 0 || a.twice[field] {
		return time.Time{}, false
	}
	at, err := http.ParseTime(string(h.At(a.first[field]).Value()))
	return at, err == nil
}

// matches reports whether one of the tags in a field's lines is the file's: If-Match compares strongly, If-None-Match weakly (RFC 9110 §8.8.3.2).
func (f *Found) matches(h *message.Header, a *conditional, field int) bool {
	for i := a.first[field]; i < h.Len(); i++ {
		line := h.At(i)
		if line.ID() != message.Other || conditionOf(line.Name()) != field {
			continue
		}
		list := line.Value()
		if len(list) == 1 && list[0] == '*' {
			return true
		}
		for len(list) > 0 {
			var tag []byte
			if tag, list = nextTag(list); tag != nil && same(tag, f.Tag(), field == ifMatch) {
				return true
			}
		}
	}
	return false
}

// nextTag takes the first entity tag off a list; nil and nothing left where there is none. A comma may be inside of one.
func nextTag(list []byte) (tag, rest []byte) {
	for len(list) > 0 && (list[0] == ',' || list[0] == ' ' || list[0] == '\t') {
		list = list[1:]
	}
	begin := 0
	if len(list) >= 2 && list[0] == 'W' && list[1] == '/' {
		begin = 2
	}
	if len(list) <= begin || list[begin] != '"' {
		return nil, nil
	}
	for i := begin + 1; i < len(list); i++ {
		if list[i] == '"' {
			return list[:i+1], list[i+1:]
		}
	}
	return nil, nil
}

// same compares two tags.
func same(a, b []byte, strongly bool) bool {
	aWeak, bWeak := len(a) > 0 && a[0] == 'W', len(b) > 0 && b[0] == 'W'
	if strongly && (aWeak || bWeak) {
		return false
	}
	if aWeak {
		a = a[2:]
	}
	if bWeak {
		b = b[2:]
	}
	return len(b) > 0 && string(a) == string(b)
}

// inRange evaluates If-Range (RFC 9110 §13.1.5): by a strong tag, or by the very date, if that is strong. Without the field it is met.
func (f *Found) inRange(h *message.Header, a *conditional, now time.Time) bool {
	i := a.first[ifRange]
	if i < 0 {
		return true
	}
	value := h.At(i).Value()
	if a.twice[ifRange] || len(value) == 0 {
		return false
	}
	if value[len(value)-1] == '"' {
		return same(value, f.Tag(), true)
	}
	at, ok := a.date(h, ifRange)
	modified, dated := f.LastModified(now)
	return ok && dated && f.firm(now) && modified.Equal(at)
}
