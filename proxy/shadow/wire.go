package shadow

import (
	"context"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/upstream"
)

// wire is one asking's connection: one of HTTP/1, or a stream of a shared one. What the methods promise is written at http1.ClientConn.
type wire interface {
	Reused() bool
	Begin()
	WriteHead(req *message.Request, path, own []byte)
	Finish(trailers *message.Header)
	AwaitWrite(now time.Time, d time.Duration)
	Err() error

	Await(now time.Time, d time.Duration) error
	ReadResponse(resp *message.Response, m message.Method, upgrade bool) error
	Answered() bool
	Content() content

	// Break makes whoever uses it fail at once. It may be called by anybody.
	Break()
	// End gives it back. whole: nothing of the answer is left over. late: it did not come in time.
	End(whole, late bool, now int64)
}

// content is a body as it comes.
type content interface {
	Complete() bool
	Next() ([]byte, error)
}

// ownConn is a connection of HTTP/1.
type ownConn struct{ *upstream.Conn }

// Content implements wire.
func (c ownConn) Content() content { return c.Body() }

// Break implements wire.
func (c ownConn) Break() { _ = c.Cut() } // that it is closed already is what was wanted

// End implements wire.
func (c ownConn) End(whole, _ bool, now int64) { c.Release(whole && c.Reusable(), now) }

// sharedStream is a stream of a connection of HTTP/2.
type sharedStream struct{ *http2.ClientStream }

// Content implements wire.
func (s sharedStream) Content() content { return s.Body() }

// End implements wire.
func (s sharedStream) End(_, late bool, _ int64) { s.Release(late) }

// reach gets a connection to a peer, a resting one unless fresh is wanted, until ctx ends. A PROXY header names nobody: the connection is for no client.
func reach(ctx context.Context, peer *upstream.Peer, fresh bool, now int64) (wire, error) {
	if peer.Multiplexed() {
		left := time.Second
		if deadline, ok := ctx.Deadline(); ok {
			left = max(time.Until(deadline), time.Millisecond)
		}
		s, err := peer.Stream(left)
		if err != nil {
			return nil, err
		}
		return sharedStream{s}, nil
	}
	if !fresh {
		if c := peer.ConnFor(upstream.Client{}, now); c != nil {
			return ownConn{c}, nil
		}
	}
	c, err := peer.DialFor(ctx, upstream.Client{}, 0)
	if err != nil {
		return nil, err
	}
	return ownConn{c}, nil
}
