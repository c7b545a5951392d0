package trace

// mostMembers is how many members a tracestate may have (W3C Trace Context, Level 1, 3.3.1.1), over all its fields.
const mostMembers = 32

// State judges the tracestate of a request, one field after the other. The zero value has seen none.
type State struct {
	members int
	bad     bool
}

// Add looks at the next field's value.
func (s *State) Add(value []byte) {
	for len(value) > 0 && !s.bad {
		end := 0
		for end < len(value) && value[end] != ',' {
			end++
		}
		member := trim(value[:end])
		if len(member) > 0 { // empty ones are allowed
			s.members++
			s.bad = s.members > mostMembers || !validMember(member)
		}
		value = value[min(end+1, len(value)):]
	}
}

// Valid reports whether all of it may be passed on. An invalid one is dropped whole (3.3.1.1), its traceparent stays.
func (s *State) Valid() bool { return !s.bad }

// validMember is "key=value": a key of Level 2, of which those of Level 1 are a part.
func validMember(m []byte) bool {
	equals := 0
	for equals < len(m) && m[equals] != '=' {
		equals++
	}
	if equals == 0 || equals > 256 || equals == len(m) {
		return false
	}
	for i, c := range m[:equals] {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '-' || c == '*' || c == '/' || c == '@'):
		default:
			return false
		}
	}
	value := m[equals+1:]
	if len(value) == 0 || len(value) > 256 {
		return false
	}
	for _, c := range value {
		if c < ' ' || c > '~' || c == '=' {
			return false
		}
	}
	return value[len(value)-1] != ' '
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
