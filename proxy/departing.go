package proxy

// departing is a downstream whose end is known at once, whoever is reading it.
type departing interface {
	// WhenGone has f called once the client has left, at once if it has already; nil takes that back. f must not wait.
	WhenGone(f func())
}

// left reports a client that has gone, as far as that can be asked while its body is being read, or whom Shutdown has cut off: then it was us who broke the upstream's side.
func (x *Exchange) left() bool {
	if x.proxy.cut.Load() {
		return true
	}
	_, ok := x.down.(departing)
	return ok && x.down.ClientGone()
}

// unbounded is a wait for the upstream that could not be bounded, because the connection is closed already.
func (x *Exchange) unbounded(reason Reason, err error) *Error {
	if x.left() {
		return &Error{499, ClientGone, err}
	}
	return &Error{502, reason, err}
}
