package auth

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/valor-ivx/weir/proxy/message"
)

// question is what the service is asked about a request: GET, the request's fields, and ours that say what was asked for, by whom and how. nginx's auth_request is
// usually made to say X-Original-URI and -Method, Traefik's forwardAuth says X-Forwarded-Uri and -Method: services read the one or the other.
func (f *Forward) question(ctx context.Context, r *Request) *http.Request {
	q := f.url.WithContext(ctx)
	q.Header = http.Header{}
	var cookies []string
	for i := range r.Header.Len() {
		field := r.Header.At(i)
		name, value := field.Name(), string(field.Value())
		switch {
		case !f.asksWith(field) || f.Owns(name):
		case field.ID() == message.Cookie: // HTTP/2 may send each in a field of its own (RFC 9113 §8.2.3)
			cookies = append(cookies, value)
		default:
			key := http.CanonicalHeaderKey(string(name))
			q.Header[key] = append(q.Header[key], value)
		}
	}
	if cookies != nil {
		q.Header["Cookie"] = []string{strings.Join(cookies, "; ")}
	}
	uri := string(r.Path)
	if r.Query != nil {
		uri += "?" + string(r.Query)
	}
	q.Header["X-Forwarded-Method"] = []string{string(r.Method)}
	q.Header["X-Original-Method"] = []string{string(r.Method)}
	q.Header["X-Forwarded-Uri"] = []string{uri}
	q.Header["X-Original-Uri"] = []string{uri}
	if r.Asker != nil {
		for line := range bytes.Lines(r.Asker.Introduce(nil)) {
			name, value, _ := bytes.Cut(bytes.TrimSuffix(line, []byte("\r\n")), []byte(": "))
			q.Header[http.CanonicalHeaderKey(string(name))] = []string{string(value)}
		}
	}
	if q.Header["User-Agent"] == nil {
		q.Header["User-Agent"] = []string{""} // else net/http says its own
	}
	return q
}

// asksWith reports a field of the client's that the service is to see. Those of the body are not: it is not sent. Those of conditions and ranges are not either: they
// are about what the upstream has, and a 304 would be no answer to the question.
func (f *Forward) asksWith(field *message.Field) bool {
	switch id := field.ID(); {
	case id.HopByHop() || id.Identity():
		return false
	case id == message.Host || id == message.ContentLength || id == message.Trailer || id == message.Expect || id == message.EarlyData:
		return false
	}
	name := field.Name()
	if hasPrefix(name, "x-forwarded-") || hasPrefix(name, "x-original-") || hasPrefix(name, "if-") || message.EqualFold(name, "range") {
		return false
	}
	if f.options.RequestHeaders == nil {
		return true
	}
	for _, wanted := range f.options.RequestHeaders {
		if message.EqualFold(name, wanted) {
			return true
		}
	}
	return false
}

// hasPrefix compares as sameField does.
func hasPrefix(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && sameField(name[:len(prefix)], prefix)
}
