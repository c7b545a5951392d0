package proxy

import "github.com/valor-ivx/weir/proxy/message"

// Mirror is given requests whose answers have been sent, to ask them again where no client waits. It is safe for concurrent use.
type Mirror interface {
	// Due reports whether a request that is about to be forwarded is to be given. It allocates nothing.
	Due() bool
	// Take copies what it wants of a request: nothing of it is used after the call, which does not wait.
	Take(m Mirrored)
}

// Mirrored is a request as it was forwarded.
type Mirrored struct {
	Request *message.Request
	Path    []byte // canonical
	Own     []byte // lines that were added to it
	ID      []byte
	Known   bool // a Guard or a certificate said who it is from
}

// sample decides, when the request's own lines are put together, whether it is one for the service's Mirror. Only what changes nothing and is all in its head can be
// asked again; what is itself a mirrored request is not, or two edges in a row would make nine of it.
func (x *Exchange) sample(m Mirror) {
	r := &x.req
	switch {
	case r.Method != message.GET && r.Method != message.HEAD && r.Method != message.OPTIONS:
	case r.Framing != message.None || r.Upgrade || x.socket.stream != nil || x.rpc.call || len(r.Host) == 0 || x.path[0] != '/':
	case x.down.Early() || r.Header.Find(message.XWeirShadow, 0) >= 0:
	case m.Due():
		x.mirror, x.said = m, append(x.said[:0], x.lines...) // the lines' memory is the answer's next
	}
}

// reflect gives a sampled request to the Mirror, if its answer was whole and an upstream's. It is called when there is nothing left to do for the client.
func (x *Exchange) reflect() {
	m := x.mirror
	x.mirror = nil
	if x.status == 499 || x.status < 200 || x.ours || x.reason != ReasonNone || x.eventStream {
		return
	}
	known := x.route.Guard != nil || x.client.session != nil && x.client.session.Client() != nil
	m.Take(Mirrored{Request: &x.req, Path: x.path, Own: x.said, ID: x.id, Known: known})
}
