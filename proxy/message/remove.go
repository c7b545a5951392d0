package message

// Remove takes field i out of the list; those behind it move up.
func (h *Header) Remove(i int) { h.fields = append(h.fields[:i], h.fields[i+1:]...) }
