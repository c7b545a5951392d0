package shadow

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// Marker is the field that tells an application that a request is no client's. Its value is the group that is asked. Clients cannot send it.
const Marker = "X-Weir-Shadow"

// question is a copy of a request, without what would make its answer depend on what its client has already.
type question struct {
	head     message.Request
	path     []byte
	own      []byte // lines of the edge's, and those that all askings have
	id       string
	endpoint string
}

// newQuestion copies a request.
func newQuestion(r *Request) *question {
	h := &r.Head.Header
	size := len(r.Head.MethodName) + len(r.Path) + len(r.Head.Query) + len(r.Head.Host) + len(r.Own) + len(plainAnswer)
	for i := range h.Len() {
		size += len(h.At(i).Line())
	}
	arena := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		start := len(arena)
		arena = append(arena, b...)
		return arena[start:len(arena):len(arena)]
	}
	q := &question{id: string(r.ID), endpoint: endpointOf(r.Head.Method.String(), r.Path)}
	q.head.Method, q.head.Proto = r.Head.Method, r.Head.Proto
	q.head.MethodName, q.head.Host = keep(r.Head.MethodName), keep(r.Head.Host)
	if q.path = keep(r.Path); r.Head.Query != nil {
		q.head.Query = keep(r.Head.Query)
	}
	for i := range h.Len() {
		if f := h.At(i); !personal(f.Name()) {
			q.head.Header.AppendLine(keep(f.Line()), len(f.Name()), len(f.Line())-len(f.Value()), f.ID())
		}
	}
	own := len(arena)
	arena = append(append(arena, r.Own...), plainAnswer...)
	q.own = arena[own:]
	return q
}

// plainAnswer asks for bodies that can be compared.
const plainAnswer = "Accept-Encoding: identity\r\n"

// personal reports fields that make an answer depend on what the client has: conditions (RFC 9110 §13.1), ranges (§14.2), and which codings it takes.
func personal(name []byte) bool {
	for _, known := range [...]string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Accept-Encoding"} {
		if message.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// marked are the lines of ours for a group.
func (q *question) marked(group string) []byte {
	b := make([]byte, 0, len(q.own)+len(Marker)+len(group)+4)
	b = append(append(append(append(b, q.own...), Marker...), ": "...), group...)
	return append(b, "\r\n"...)
}

// telling reports a request that says who it is from, or carries what may be used once only: in fields that are made for it, or in others and in parameters by their names.
func telling(r *Request) bool {
	h := &r.Head.Header
	for i := range h.Len() {
		switch f := h.At(i); f.ID() {
		case message.Authorization, message.Cookie, message.ClientCert, message.ClientCertChain, message.XClientCertSubject, message.XClientCertFingerprint:
			return true
		case message.Other:
			if secretive(f.Name()) {
				return true
			}
		}
	}
	for list := r.Head.Query; len(list) > 0; {
		var pair []byte
		pair, list, _ = bytes.Cut(list, []byte("&"))
		name, _, _ := bytes.Cut(pair, []byte("="))
		if secretive(name) || bytes.IndexByte(name, '%') >= 0 || bytes.EqualFold(name, []byte("code")) || bytes.EqualFold(name, []byte("key")) {
			return true
		}
	}
	return false
}
