package upstream

// Outcome is how one attempt at a peer ended, as far as the peer is concerned.
type Outcome uint8

// The outcomes. ServerError is an answer with a 5xx status: it speaks against the peer in the choice of peers and in the error ratio, but the
// peer did answer, so it does not count as a consecutive failure. Aborted is the client's doing, or our own shortage of ports or files: held
// against nobody. Outrun is an attempt that was given up because another peer was faster: not held against it either, but it is known that it
// would have taken longer.
const (
	Success Outcome = iota
	ServerError
	ConnectFailed
	TimedOut
	Broken
	Aborted
	Outrun
)

// String is the word that status and logs use.
func (o Outcome) String() string {
	switch o {
	case Success:
		return "success"
	case ServerError:
		return "server_error"
	case ConnectFailed:
		return "connect_failed"
	case TimedOut:
		return "timed_out"
	case Broken:
		return "broken"
	case Outrun:
		return "outrun"
	default:
		return "aborted"
	}
}

// failed reports an attempt that speaks against the peer.
func (o Outcome) failed() bool { return o != Success && o != Aborted && o != Outrun }

// silent reports an attempt that got no usable answer: these in a row eject.
func (o Outcome) silent() bool { return o == ConnectFailed || o == TimedOut || o == Broken }
