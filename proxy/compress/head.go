package compress

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// Announce makes the head of an answer that fits that of the same in a coding. scratch is memory for what it puts together, and comes back. What remains of the tag is weak: it says that
// the content is the same, which is all that another coding of it may say (RFC 9110 §8.8.3.3), and what an upstream compares If-None-Match by.
func Announce(resp *message.Response, c message.Coding, scratch []byte) []byte {
	h := &resp.Header
	h.Del("Content-Length")
	h.Del("Accept-Ranges") // which ranges there are is said of the bytes as they were
	h.Add("Content-Encoding", c.String())
	if tag, ok := h.Get("ETag"); ok {
		scratch = weaken(h, tag, scratch)
	}
	if resp.ContentLength = -1; resp.Framing != message.None {
		resp.Framing = message.Chunked
	}
	return scratch
}

// Confirm readies a 304: a client that has asked by the weak tag of Announce is told that one again. A strong one in its place would belong to no answer that it has (RFC 9111 §4.3.4).
func Confirm(req *message.Request, resp *message.Response, scratch []byte) []byte {
	tag, ok := resp.Header.Get("ETag")
	if !ok || len(tag) < 2 || tag[0] != '"' {
		return scratch
	}
	scratch = append(append(scratch[:0], "W/"...), tag...)
	for i := range req.Header.Len() {
		f := req.Header.At(i)
		if f.ID() == message.Other && message.EqualFold(f.Name(), "if-none-match") && bytes.Contains(f.Value(), scratch) { // no tag has a quote within
			return weaken(&resp.Header, tag, scratch)
		}
	}
	return scratch
}

func weaken(h *message.Header, tag, scratch []byte) []byte {
	if len(tag) > 0 && tag[0] == '"' {
		scratch = append(append(scratch[:0], "W/"...), tag...)
		h.Del("ETag")
		h.AddBytes("ETag", scratch)
	}
	return scratch
}

// Vary says that the answer depends on Accept-Encoding, compressed or not, unless it is said already. scratch is as of Announce.
func Vary(h *message.Header, scratch []byte) []byte {
	last := -1
	for i := range h.Len() {
		if f := h.At(i); f.ID() == message.Other && message.EqualFold(f.Name(), "vary") {
			if message.HasToken(f.Value(), "accept-encoding") || message.HasToken(f.Value(), "*") {
				return scratch
			}
			last = i
		}
	}
	scratch = scratch[:0]
	if last >= 0 { // one field of two: not every cache reads a second
		if scratch = append(scratch, h.At(last).Value()...); len(scratch) > 0 {
			scratch = append(scratch, ", "...)
		}
		h.Remove(last)
	}
	scratch = append(scratch, "Accept-Encoding"...)
	h.AddBytes("Vary", scratch)
	return scratch
}
