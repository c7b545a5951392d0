package auth

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Request is what is asked about. The header is only read.
type Request struct {
	Header *message.Header
	Now    time.Time // the wall clock
}

// Verdict is the answer to a Request.
type Verdict struct {
	User   []byte  // who it is, for the log; never changes, empty where nobody is known
	Fields []byte  // lines for the upstream, each with its CRLF; never changes
	Denial *Denial // nil: let in
}

// Denial is why a request is not let in and what the client is told.
type Denial struct {
	Status    int // 401 or 503
	Why       Why
	Challenge string // WWW-Authenticate (RFC 9110 §11.6.1); "": none
}

// Why is the kind of a Denial. The set is closed: it becomes a metric label.
type Why uint8

// The kinds.
const (
	Missing Why = iota // no credentials
	Invalid            // wrong ones, or several
	Busy               // too many wait for theirs to be verified
	Whys               // how many there are
)
