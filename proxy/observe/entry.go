package observe

import (
	"net/netip"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Entry is one finished exchange as the access log sees it. Slices may point into connection buffers: Log retains nothing. Zero values stand for
// "unknown" or "none" and are left out of JSON.
type Entry struct {
	Time     time.Time     // when the exchange ended; its location gives the zone of the combined format
	Duration time.Duration // from a complete request head to the end of the response

	Client netip.Addr // the one client address that everything in the exchange used
	Source netip.Addr // the connection's peer; logged when it is not the client
	User   []byte     // authenticated name, never a password or token

	Method     message.Method
	MethodName []byte // the token, for MethodOther; empty there when no request line could be read
	Target     []byte // as received; secrets in it are replaced on the way out
	Host       []byte // authority as received
	Proto      message.Proto
	RequestID  []byte
	Trace      [16]byte // the trace it is part of; JSON only, as Span
	Span       [8]byte  // our own in it; zero where only a caller's word is known
	Referer    []byte
	UserAgent  []byte
	BytesIn    int64 // request body
	BytesOut   int64 // response body, as nginx's $body_bytes_sent

	Status int // sent, or 499 when the client left first

	TLSVersion    uint16 // of crypto/tls; 0 on a plain connection
	ServerName    string // SNI
	ClientSubject string // of the client's verified certificate

	Listener, Route, Service, Group string

	Peer             string        // upstream address of the last attempt
	UpstreamStatus   int           // of the last attempt
	UpstreamDuration time.Duration // all attempts
	Attempts         int

	Error      string // what an upstream failed with, for people; JSON only
	WAFRules   string // numbers of the rules that matched; JSON only
	GRPCStatus string // name of the status code that a gRPC call ended with, as the client saw it

	Reason string // why the exchange ended as it did, from the closed set of package proxy
}
