package proxy

import "github.com/valor-ivx/weir/proxy/message"

// shareable reports an answer that says shared caches may give it to other clients, which would hand one client's cookie to all (RFC 9111 §7.3 has Set-Cookie not
// prevent it): it is passed on as it is, without a cookie. private reports one that they must not store; what is neither becomes private by a word of ours, because they
// may store it by heuristics (§4.2.2) or for revalidation (§5.2.2.4).
func shareable(h *message.Header) (shared, private bool) {
	for i := range h.Len() {
		f := h.At(i)
		switch {
		case message.EqualFold(f.Name(), "Cache-Control"):
			s, p := directives(f.Value())
			shared, private = shared || s, private || p
		case message.EqualFold(f.Name(), "CDN-Cache-Control"), message.EqualFold(f.Name(), "Surrogate-Control"):
			// Caches that know these do not read Cache-Control (RFC 9213 §2.2), so that no word of ours there would be heard.
			if _, p := directives(f.Value()); !p {
				return true, false
			}
		}
	}
	return shared && !private, private
}

// directives reads one field.
func directives(list []byte) (shared, private bool) {
	for len(list) > 0 {
		var item []byte
		item, list = message.NextToken(list)
		switch {
		case message.EqualFold(item, "no-store"), message.EqualFold(item, "private"): // not private="…", which is about fields
			private = true
		case message.EqualFold(item, "public"), message.EqualFold(item, "immutable"), hasPrefixFold(item, "s-maxage="):
			shared = true
		case hasPrefixFold(item, "max-age="):
			for _, c := range item[len("max-age="):] {
				shared = shared || '1' <= c && c <= '9'
			}
		}
	}
	return shared, private
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && message.EqualFold(b[:len(prefix)], prefix)
}
