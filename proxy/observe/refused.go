package observe

// Refusal is why a connection was closed before it carried a request, and the value of the label of weir_connections_refused_total.
type Refusal uint8

// The refusals.
const (
	RefusedProxyProtocol Refusal = iota // a sender of PROXY headers began without a valid one
	refusals
)

var refusalNames = [refusals]string{
	RefusedProxyProtocol: "proxy_protocol",
}

// Refused counts a connection that was closed before Accepted could count it.
func (l *Listener) Refused(why Refusal) { l.refused[why].Add(1) }
