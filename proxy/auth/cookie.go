package auth

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// CookieName is the name of a pair, without the space before "=" that some readers of cookies do not mind; of a pair without "=" all of it.
func CookieName(pair []byte) []byte {
	name, _, _ := bytes.Cut(pair, []byte("="))
	return message.Trim(name)
}
