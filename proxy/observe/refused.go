package observe

// Refusal is why a connection was closed before it carried a request, and the value of the label of weir_connections_refused_total.
type Refusal uint8

// The refusals.
const (
	RefusedProxyProtocol Refusal = iota // a sender of PROXY headers began without a valid one
	RefusedFull                         // max_connections, or what files allow, and nobody idle to make room
	RefusedPerIP                        // max_connections_per_ip
	refusals
)

var refusalNames = [refusals]string{
	RefusedProxyProtocol: "proxy_protocol",
	RefusedFull:          "max_connections",
	RefusedPerIP:         "max_connections_per_ip",
}

// Refused counts a connection that was closed before Accepted could count it.
func (l *Listener) Refused(why Refusal) { l.refused[why].Add(1) }

// Evicted counts an idle connection that was told to close to make room.
func (l *Listener) Evicted() { l.evicted.Add(1) }

// mostReasons is room for the reasons of Ended: a closed set of the data path's, some dozens. It is all that a uint8 can say, so none can be counted as another.
const mostReasons = 256

// SetReasons names the reasons that Ended is called with, by their index; "" is one that has no series. It is called once, before the first scrape.
func (m *Metrics) SetReasons(names []string) {
	m.listeners.reasons = names
}

// Ended counts a request that ended for a reason other than a forwarded answer.
func (l *Listener) Ended(reason uint8) { l.ended[reason].Add(1) }
