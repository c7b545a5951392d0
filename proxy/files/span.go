package files

import "github.com/valor-ivx/weir/proxy/message"

// maxSpans bounds the parts of an answer: each costs a head of its own and a read of its own (RFC 9110 §14.2 warns of many small ones). Readers of PDF ask for two or three.
const maxSpans = 8

// Span is a part of a file: Length bytes from First on, at least one.
type Span struct{ First, Length int64 }

// Last is the position of its last byte.
func (s Span) Last() int64 { return s.First + s.Length - 1 }

// ParseRange reads a Range field (RFC 9110 §14.1.2) for a file of size bytes and appends its spans to dst[:0], in the client's order. What is no range of bytes asks for the whole, and so
// do more than maxSpans and spans that overlap, which no client in good faith asks for; of an empty file there are no parts.
func ParseRange(dst []Span, value []byte, size int64) (Verdict, []Span) {
	const unit = "bytes="
	if size == 0 || len(value) < len(unit) || !message.EqualFold(value[:len(unit)], unit) {
		return Send, nil
	}
	dst = dst[:0]
	asked := 0
	for list := value[len(unit):]; len(list) > 0; {
		var item []byte
		if item, list = message.NextToken(list); len(item) == 0 {
			continue // RFC 9110 §5.6.1.2
		}
		s, ok := spanOf(item, size)
		if asked++; !ok || asked > maxSpans {
			return Send, nil
		}
		if s.Length == 0 {
			continue
		}
		for _, other := range dst {
			if s.First <= other.Last() && other.First <= s.Last() {
				return Send, nil
			}
		}
		dst = append(dst, s)
	}
	switch {
	case asked == 0:
		return Send, nil
	case len(dst) == 0:
		return Unsatisfiable, nil
	}
	return Part, dst
}

// spanOf reads "first-last", "first-" or "-suffix". Length is 0 where nothing of the file is in it; ok is false for what is no range.
func spanOf(item []byte, size int64) (s Span, ok bool) {
	first, rest, isFirst := position(item)
	if len(rest) == 0 || rest[0] != '-' {
		return s, false
	}
	last, rest, isLast := position(rest[1:])
	switch {
	case len(rest) > 0 || !isFirst && !isLast || isFirst && isLast && last < first:
		return s, false
	case !isFirst:
		last = min(last, size)
		return Span{size - last, last}, true
	case first >= size:
		return s, true
	case !isLast || last >= size:
		last = size - 1
	}
	return Span{first, last - first + 1}, true
}

// position reads digits; what is larger than any file is as large as the largest.
func position(b []byte) (n int64, rest []byte, ok bool) {
	const most = 1 << 62
	for len(b) > 0 && '0' <= b[0] && b[0] <= '9' {
		if n = n*10 + int64(b[0]-'0'); n > most/16 {
			n = most / 16
		}
		b, ok = b[1:], true
	}
	return n, b, ok
}
