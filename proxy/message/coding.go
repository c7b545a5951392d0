package message

// Coding is a content coding (RFC 9110 §8.4.1) that answers are sent in.
type Coding uint8

// The codings, the preferred first. Codings is their number.
const (
	Zstd Coding = iota
	Brotli
	Gzip
	Codings
)

// String is the coding's registered name.
func (c Coding) String() string { return [Codings]string{"zstd", "br", "gzip"}[c] }

// AcceptEncoding is what a request's Accept-Encoding says of each coding, in thousandths, 0: not acceptable.
type AcceptEncoding struct {
	weight [Codings]int
	// identity is what it says of no coding, -1 where it says nothing: then it will do, but whoever names a coding would rather have that.
	identity int
}

// AcceptedEncoding reads all Accept-Encoding fields (RFC 9110 §12.5.3) as one list. Without a field no coding is taken for known: clients that know one say so.
func AcceptedEncoding(h *Header) (e AcceptEncoding) {
	e.identity = -1
	named, others := [Codings]bool{}, 0
	for i := range h.Len() {
		f := h.At(i)
		if f.ID() != Other || !EqualFold(f.Name(), "accept-encoding") {
			continue
		}
		for list := f.Value(); len(list) > 0; {
			var item []byte
			item, list = NextToken(list)
			token, weight := Weighed(item)
			switch {
			case len(token) == 1 && token[0] == '*':
				others = weight
				if e.identity < 0 && weight == 0 {
					e.identity = 0
				}
			case EqualFold(token, "identity"):
				e.identity = weight
			}
			for c := range Codings {
				if EqualFold(token, c.String()) || c == Gzip && EqualFold(token, "x-gzip") { // RFC 9110 §8.4.1.3
					e.weight[c], named[c] = weight, true
				}
			}
		}
	}
	for c := range named {
		if !named[c] {
			e.weight[c] = others
		}
	}
	return e
}

// Best is the index of the coding of list that is liked best, the first among equals; -1 where each is worse than no coding.
func (e *AcceptEncoding) Best(list []Coding) int {
	best := -1
	for i, c := range list {
		if w := e.weight[c]; w > 0 && w >= e.identity && (best < 0 || w > e.weight[list[best]]) {
			best = i
		}
	}
	return best
}

// Weighed splits ";q=" off an element (RFC 9110 §12.4.2). The weight is in thousandths; one that is none counts as 0, so that nobody is sent what they may not take.
func Weighed(item []byte) (token []byte, weight int) {
	for i, c := range item {
		if c == ';' {
			return Trim(item[:i]), quality(item[i+1:])
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
		if p = Trim(p); len(p) >= 2 && p[0]|0x20 == 'q' && p[1] == '=' {
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
