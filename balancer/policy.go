package balancer

// Policy picks one peer of a live set. Its implementations are values made by
// New.
type Policy interface {
	// Pick returns the index in v.Peers of the peer for one attempt, -1 when there is
	// none or every one was tried. key is used by Hash alone.
	Pick(v *View, key uint64) int
}

// Kind names a policy.
type Kind uint8

// The policies.
const (
	// PeakEWMA picks by expected wait: recent latency times requests in flight,
	// failures penalised. The default.
	PeakEWMA Kind = iota
	// LeastRequest compares the requests in flight of two peers drawn at random.
	LeastRequest
	// RoundRobin goes round in the smooth weighted order.
	RoundRobin
	// LeastConn picks the fewest requests in flight of all.
	LeastConn
	// Hash keeps a key on its peer, by rendezvous with bounded load.
	Hash
)

// DefaultLoadFactor bounds a peer's requests in flight to 1.25 times its fair
// share under Hash: Mirrokni, Thorup and Zadimoghaddam (arXiv 1608.01350) show a
// constant number of displaced keys for any factor over 1; 1.25 is the common
// choice between locality and overload.
const DefaultLoadFactor = 1.25

// Options are the settings of New.
type Options struct {
	// LoadFactor bounds load under Hash, > 1; 0 means DefaultLoadFactor.
	LoadFactor float64
}

// New returns the policy of a kind for one live set. peers is what every View
// passed to Pick must hold. An unknown kind is PeakEWMA.
func New(kind Kind, peers []Candidate, o Options) Policy {
	if len(peers) == 1 {
		return single{}
	}
	switch kind {
	case LeastRequest:
		return &leastRequest{roster: newRoster(peers)}
	case RoundRobin:
		return &roundRobin{roster: newRoster(peers), order: smoothOrder(peers)}
	case LeastConn:
		return &leastConn{roster: newRoster(peers)}
	case Hash:
		if o.LoadFactor == 0 {
			o.LoadFactor = DefaultLoadFactor
		}
		return &rendezvous{roster: newRoster(peers), factor: o.LoadFactor}
	default:
		return &peakEWMA{roster: newRoster(peers)}
	}
}
