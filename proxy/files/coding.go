package files

import "github.com/valor-ivx/weir/proxy/message"

// codings are the content codings that a file may lie beside itself in, the preferred first, with what their files' names end in.
var codings = [...]struct{ name, ending string }{{"zstd", ".zst"}, {"br", ".br"}, {"gzip", ".gz"}}

// encodings is what an Accept-Encoding says of each of codings, in thousandths, 0: not acceptable. identity is what it says of none, -1 where it says nothing: then it will do, but
// whoever names a coding would rather have that.
type encodings struct {
	weight   [len(codings)]int
	identity int
}

// acceptable reads all Accept-Encoding fields (RFC 9110 §12.5.3) as one list. Without a field no coding is taken for known: clients that know one say so.
func acceptable(h *message.Header) (e encodings) {
	e.identity = -1
	named, others := [len(codings)]bool{}, 0
	for i := range h.Len() {
		f := h.At(i)
		if f.ID() != message.Other || !message.EqualFold(f.Name(), "accept-encoding") {
			continue
		}
		for list := f.Value(); len(list) > 0; {
			var item []byte
			item, list = message.NextToken(list)
			token, weight := weighed(item)
			switch {
			case len(token) == 1 && token[0] == '*':
				others = weight
				if e.identity < 0 && weight == 0 {
					e.identity = 0
				}
			case message.EqualFold(token, "identity"):
				e.identity = weight
			}
			for j := range codings {
				if message.EqualFold(token, codings[j].name) || j == len(codings)-1 && message.EqualFold(token, "x-gzip") { // RFC 9110 §8.4.1.3
					e.weight[j], named[j] = weight, true
				}
			}
		}
	}
	for j := range named {
		if !named[j] {
			e.weight[j] = others
		}
	}
	return e
}

// best is the next best coding that was not tried, -1 where what is left is worse than the file as it is.
func (e *encodings) best(tried *[len(codings)]bool) int {
	best := -1
	for j, w := range e.weight {
		if !tried[j] && w > 0 && w >= e.identity && (best < 0 || w > e.weight[best]) {
			best = j
		}
	}
	return best
}

// weighed splits ";q=" off an element (RFC 9110 §12.4.2). The weight is in thousandths; one that is none counts as 0, so that nobody is sent what they may not take.
func weighed(item []byte) (token []byte, weight int) {
	for i, c := range item {
		if c == ';' {
			return message.Trim(item[:i]), quality(item[i+1:])
		}
	}
	return item, 1000
}

// quality finds q among parameters.
func quality(parameters []byte) int {
	for len(parameters) > 0 {
		p := parameters
		for i, c := range parameters {
			if c == ';' {
				p = parameters[:i]
				break
			}
		}
		parameters = parameters[min(len(p)+1, len(parameters)):]
		if p = message.Trim(p); len(p) >= 2 && p[0]|0x20 == 'q' && p[1] == '=' {
			return thousandths(p[2:])
		}
	}
	return 1000
}

// thousandths reads qvalue: "0" or "1", and up to three decimals.
func thousandths(v []byte) int {
	if len(v) == 0 || len(v) > 5 || v[0] > '1' || v[0] < '0' || len(v) > 1 && v[1] != '.' {
		return 0
	}
	n, unit := int(v[0]-'0')*1000, 100
	for _, c := range v[min(2, len(v)):] {
		if c < '0' || c > '9' {
			return 0
		}
		n += int(c-'0') * unit
		unit /= 10
	}
	if n > 1000 {
		return 0
	}
	return n
}

// AcceptsPage reports a client that asks for HTML by name: a browser that opens an address. "*/*" is what scripts, images and tools say.
func AcceptsPage(h *message.Header) bool {
	for i := h.Find(message.Accept, 0); i >= 0; i = h.Find(message.Accept, i+1) {
		for list := h.At(i).Value(); len(list) > 0; {
			var item []byte
			item, list = message.NextToken(list)
			if token, weight := weighed(item); weight > 0 && message.EqualFold(token, "text/html") {
				return true
			}
		}
	}
	return false
}
