package auth

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	edgetls "github.com/valor-ivx/weir/tls"
)

// Request is what is asked about. The header is only read.
type Request struct {
	Header *message.Header
	Now    time.Time         // the wall clock
	Client *edgetls.Identity // what the client's certificate has proved to us; nil: nothing
	Asker  Asker             // nil: nothing is known of it

	Method []byte // by name
	Host   []byte // with a port where the client names one
	Path   []byte // as the upstream is sent it
	Query  []byte // behind "?", nil when there is none
	Secure bool   // the client speaks TLS, to us or to a trusted proxy
}

// Asker is who waits for the verdict.
type Asker interface {
	// Gone reports a client that has left: nobody waits any more. It is asked on the goroutine that Authenticate was called on.
	Gone() bool
	// Introduce appends the lines that tell an upstream of the client and how its request came, each with its CRLF.
	Introduce(b []byte) []byte
}

// Verdict is the answer to a Request.
type Verdict struct {
	User   []byte  // who it is, for the log; never changes, empty where nobody is known
	Fields []byte  // lines for the upstream, each with its CRLF; never changes
	Claims []Claim // of a token, those that were asked for in JWTOptions; never change
	Denial *Denial // nil: let in
	// Private says that the request's query holds what is good for a login: it is not logged.
	Private bool
	Answer  *Answer // for the client, in place of what it asked for; nil: with a Denial the proxy's own, else there is none
}

// Answer is a response to the client.
type Answer struct {
	Status  int
	Reason  string // phrase
	Fields  []Field
	Body    []byte
	Relayed bool // somebody else's
}

// Field is a header field of an Answer.
type Field struct{ Name, Value string }

// Claim is a verified claim of a token as text.
type Claim struct {
	Name  string
	Value []byte
}

// Claim is the value of a claim, nil for one that the token does not have.
func (v *Verdict) Claim(name string) []byte {
	for i := range v.Claims {
		if v.Claims[i].Name == name {
			return v.Claims[i].Value
		}
	}
	return nil
}

// Denial is why a request is not let in and what the client is told.
type Denial struct {
	Status    int // 401, 403, 499 or 503, or that of the Answer
	Why       Why
	Challenge string // WWW-Authenticate (RFC 9110 §11.6.1); "": none
	Err       error  // more for the log; nil: nothing
}

// Why is the kind of a Denial. The set is closed: it becomes a metric label.
type Why uint8

// The kinds.
const (
	Missing Why = iota // no credentials
	Invalid            // wrong ones, or several
	Busy               // too many wait for theirs to be verified
	TokenMissing
	TokenInvalid // not a token of this issuer for us, or altered
	TokenExpired // or not valid yet
	ClaimRefused // a token that is good, but not for this
	KeysAway     // there are no keys yet to verify tokens by
	CertificateMissing
	CertificateRefused // verified, but none that may come in
	CertificateExpired // since the handshake
	Refused            // by the service that was asked
	Unavailable        // who is to be asked
	LoginRequired
	SessionInvalid // a cookie that is none of ours, for this host, under these rules, or was logged out
	SessionExpired
	LoginFailed   // on its way back from the provider
	LoginInsecure // without TLS
	Gone          // the client has left while its request waited; nothing can be said to it
	Whys          // how many there are
)
