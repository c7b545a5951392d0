package http3

import (
	"bytes"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/proxy/message"
)

// outSize is how many bytes are gathered before they are written: a dozen packets. quic-go copies nothing of a write that is larger than one.
const outSize = 16 << 10

// maxDataHead is a DATA frame's type and length, for payloads below outSize.
const maxDataHead = 1 + 4

// WriteInterim sends a 1xx response at once (RFC 9114 §4.1). 101 does not exist here (§4.5) and is dropped.
func (s *Stream) WriteInterim(resp *message.Response) {
	if resp.Status == 101 || s.began || s.Err() != nil {
		return
	}
	open := len(s.out)
	s.out = appendStatus(beginHeaders(s.out), resp.Status)
	s.fieldsOf(&resp.Header)
	endHeaders(s.out, open)
	s.Flush()
}

// WriteHead gathers a final response head: resp's fields but the hop-by-hop ones, then the lines in own (each "Name: value" ended by CRLF). last has no meaning on one
// stream of many: see Conn.Drain.
func (s *Stream) WriteHead(resp *message.Response, own []byte, last bool) {
	s.began = true
	s.noBody = s.head || resp.Status == 204 || resp.Status == 304 || resp.Framing == message.None
	s.promised = -1
	if resp.Framing == message.Length {
		s.promised = resp.ContentLength
		s.noBody = s.noBody || s.promised == 0
	}
	open := len(s.out)
	s.out = appendStatus(beginHeaders(s.out), resp.Status)
	s.fieldsOf(&resp.Header)
	for len(own) > 0 {
		var line []byte
		line, own, _ = bytes.Cut(own, crlf)
		if name, value, ok := bytes.Cut(line, colon); ok {
			if id := message.IDOf(name); !id.HopByHop() {
				s.out = appendField(s.out, name, message.Trim(value), id)
			}
		}
	}
	endHeaders(s.out, open)
}

var (
	crlf  = []byte("\r\n")
	colon = []byte(":")
)

// fieldsOf encodes what may be forwarded: not what belongs to one connection, nor the request id, which is ours to say.
func (s *Stream) fieldsOf(h *message.Header) {
	for i := range h.Len() {
		if f := h.At(i); !f.ID().HopByHop() && f.ID() != message.XRequestID {
			s.out = appendField(s.out, f.Name(), f.Value(), f.ID())
		}
	}
}

// Write gathers body bytes, and waits for the client where they are more than are gathered. Where the response has no body nothing is sent.
func (s *Stream) Write(p []byte) {
	if s.noBody || s.Err() != nil {
		return
	}
	if s.promised >= 0 {
		if int64(len(p)) > s.promised {
			p = p[:s.promised] // RFC 9114 §4.1.2: more than was announced would make the response malformed
		}
		s.promised -= int64(len(p))
	}
	for len(p) > 0 && s.fault == nil {
		room := outSize - len(s.out) - maxDataHead
		if room <= 0 {
			s.Flush()
			continue
		}
		n := min(len(p), room)
		s.out = append(appendVarint(append(s.out, frameData), uint64(n)), p[:n]...)
		p = p[n:]
	}
}

// Finish ends the response, with trailers if there are any, and lets it go. A response shorter than announced is reset.
func (s *Stream) Finish(trailers *message.Header) {
	if s.Err() != nil || !s.began || s.sentEnd {
		return
	}
	if s.promised > 0 && !s.noBody {
		s.Abort(InternalError)
		return
	}
	if trailers != nil && trailers.Len() > 0 && !s.noBody {
		open := len(s.out)
		s.out = beginHeaders(s.out)
		s.fieldsOf(trailers)
		endHeaders(s.out, open)
	}
	s.Flush()
	if s.fault == nil {
		s.sentEnd = true
		_ = s.quic.Close() // of a stream that is reset meanwhile nobody waits for the end
	}
}

// Flush lets go what was gathered. A client that takes nothing of it for WriteTimeout is given up.
func (s *Stream) Flush() {
	if len(s.out) == 0 || s.Err() != nil {
		s.out = s.out[:0]
		return
	}
	_ = s.quic.SetWriteDeadline(time.Now().Add(s.conn.o.WriteTimeout)) // never fails
	n, err := s.quic.Write(s.out)
	s.sent += int64(n)
	s.out = s.out[:0]
	if err != nil {
		s.fault = translate(err)
		s.quic.CancelWrite(quic.StreamErrorCode(InternalError)) // what is not whole must not look whole; nothing where the client reset it
	}
}
