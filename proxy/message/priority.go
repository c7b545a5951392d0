package message

import "bytes"

// Priority is RFC 9218's urgency, 0 (first) to 7, and incremental flag.
type Priority struct {
	Urgency     uint8
	Incremental bool
}

// DefaultPriority is that of a request which says nothing (RFC 9218 §4).
func DefaultPriority() Priority { return Priority{Urgency: 3} }

// ParsePriority reads the members u and i of a dictionary (RFC 9218 §4, RFC 8941 §3.2). What it does not understand it ignores, as §4 demands.
func ParsePriority(v []byte) Priority {
	p := DefaultPriority()
	for len(v) > 0 {
		var item []byte
		item, v = NextToken(v)
		if semi := bytes.IndexByte(item, ';'); semi >= 0 {
			item = item[:semi]
		}
		switch {
		case len(item) == 3 && item[0] == 'u' && item[1] == '=' && item[2] >= '0' && item[2] <= '7':
			p.Urgency = item[2] - '0'
		case string(item) == "i" || string(item) == "i=?1":
			p.Incremental = true
		case string(item) == "i=?0":
			p.Incremental = false
		}
	}
	return p
}
