package proxy

import (
	"github.com/valor-ivx/weir/proxy/compress"
	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// Compression is what a route compresses, and where it is counted.
type Compression struct {
	Policy  *compress.Policy
	Metrics *observe.Compression
}

// encode readies a final answer for the route's compression. Where the client takes it so, the body goes through x.encoder.
func (x *Exchange) encode(c *Compression) {
	resp := &x.resp
	if resp.Status == 304 { // which of the answers it is about is not known: it is told like each of them
		x.scratchKey = compress.Vary(&resp.Header, compress.Confirm(&x.req, resp, x.scratchKey))
		return
	}
	if x.rpc.call || !c.Policy.Fits(&x.req, resp) {
		return
	}
	x.scratchKey = compress.Vary(&resp.Header, x.scratchKey)
	coding, ok := c.Policy.Choose(&x.req.Header)
	if !ok {
		return
	}
	if x.req.Method != message.HEAD { // which has a head as if
		if x.encoder = x.proxy.encoders.Take(coding, x.down); x.encoder == nil {
			c.Metrics.Skipped()
			return
		}
	}
	x.scratchKey = compress.Announce(resp, coding, x.scratchKey)
}

// write sends a part of the body.
func (x *Exchange) write(p []byte) *Error {
	z := x.encoder
	if z == nil {
		x.down.Write(p)
		x.sent += int64(len(p))
		return nil
	}
	return x.encoded(z.Write(p))
}

// flush sends what was gathered of the body.
func (x *Exchange) flush() (err *Error) {
	if z := x.encoder; z != nil {
		err = x.encoded(z.Flush())
	}
	x.down.Flush()
	return err
}

// endBody ends a body that is whole.
func (x *Exchange) endBody() *Error {
	if z := x.encoder; z != nil {
		return x.encoded(z.Close())
	}
	return nil
}

// encoded tells what a call of the encoder came to.
func (x *Exchange) encoded(err error) *Error {
	x.sent = x.encoder.Sent()
	if err != nil {
		return &Error{500, Internal, err}
	}
	return nil
}

// endEncoding gives the encoder back and counts what it has done.
func (x *Exchange) endEncoding() {
	z := x.encoder
	x.encoder = nil
	x.route.Compress.Metrics.Done(z.Coding, z.In, z.Sent())
	x.proxy.encoders.Return(z)
}
