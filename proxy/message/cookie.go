package message

// DropCookie removes every cookie of that name from the Cookie fields (RFC 6265 §4.2.1), in the buffer in which they stand: what is behind one moves up. A field that is
// left with none is removed.
func (h *Header) DropCookie(name string) {
	for i := h.Find(Cookie, 0); i >= 0; {
		f := &h.fields[i]
		if !holdsCookie(f.Value(), name) {
			i = h.Find(Cookie, i+1)
			continue
		}
		kept := f.Value()[:0]
		for rest := f.Value(); len(rest) > 0; {
			var pair []byte
			pair, rest = NextCookie(rest)
			switch {
			case IsCookie(Trim(pair), name):
			case len(kept) == 0:
				kept = append(kept, Trim(pair)...)
			default: // never longer than what was read: each pair keeps the ';' before it
				kept = append(append(kept, ';'), pair...)
			}
		}
		if len(Trim(kept)) == 0 {
			h.Remove(i)
			i = h.Find(Cookie, i)
			continue
		}
		f.line = f.line[:int(f.valueStart)+len(kept)]
		i = h.Find(Cookie, i+1)
	}
}

func holdsCookie(list []byte, name string) bool {
	for len(list) > 0 {
		var pair []byte
		if pair, list = NextCookie(list); IsCookie(Trim(pair), name) {
			return true
		}
	}
	return false
}

// CookieValue is the value of the first cookie of that name that has one (RFC 6265 §4.2.1), nil without.
func (h *Header) CookieValue(name string) []byte {
	for i := h.Find(Cookie, 0); i >= 0; i = h.Find(Cookie, i+1) {
		for list := h.At(i).Value(); len(list) > 0; {
			var pair []byte
			pair, list = NextCookie(list)
			if pair = Trim(pair); IsCookie(pair, name) && len(pair) > len(name)+1 {
				return pair[len(name)+1:]
			}
		}
	}
	return nil
}

// NextCookie splits a Cookie field's value at its first ';'. The pair has the space around it still.
func NextCookie(list []byte) (pair, rest []byte) {
	for i, b := range list {
		if b == ';' {
			return list[:i], list[i+1:]
		}
	}
	return list, nil
}

// IsCookie reports whether a trimmed pair is the cookie of that name.
func IsCookie(pair []byte, name string) bool {
	return len(pair) > len(name) && pair[len(name)] == '=' && string(pair[:len(name)]) == name
}
