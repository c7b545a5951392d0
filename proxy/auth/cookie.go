package auth

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// NextCookie splits the first pair, trimmed, off the value of a Cookie field (RFC 6265 §4.2.1). Empty pairs come back empty.
func NextCookie(list []byte) (pair, rest []byte) {
	pair, rest, _ = bytes.Cut(list, []byte(";"))
	return message.Trim(pair), rest
}

// CookieName is the name of a pair, without the space before "=" that some readers of cookies do not mind; of a pair without "=" all of it.
func CookieName(pair []byte) []byte {
	name, _, _ := bytes.Cut(pair, []byte("="))
	return message.Trim(name)
}
