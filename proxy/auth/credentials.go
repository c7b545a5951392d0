package auth

import (
	"bytes"
	"encoding/base64"

	"github.com/valor-ivx/weir/proxy/message"
)

// mostCredentials bounds what a client can have hashed: bytes of base64.
const mostCredentials = 2048

// credentials are what follows the scheme in the request's only Authorization field (RFC 9110 §11.4: one space and a token68, or as nginx reads it,
// several spaces), at most so many bytes. found is false where there is no such field; several, or one of another scheme, are nil.
func credentials(h *message.Header, scheme string, most int) (value []byte, found bool) {
	i := h.Find(message.Authorization, 0)
	if i < 0 {
		return nil, false
	}
	if h.Find(message.Authorization, i+1) >= 0 {
		return nil, true // of two, somebody behind us may read the other one
	}
	value = h.At(i).Value()
	if len(value) <= len(scheme) || !message.EqualFold(value[:len(scheme)], scheme) || value[len(scheme)] != ' ' {
		return nil, true
	}
	value = bytes.TrimLeft(value[len(scheme):], " ")
	if len(value) == 0 || len(value) > most {
		return nil, true
	}
	return value, true
}

// decodeBasic splits the credentials of RFC 7617: base64 of "user:password".
func decodeBasic(value []byte) (name, password []byte, ok bool) {
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Strict().Decode(plain, value)
	if err != nil {
		return nil, nil, false
	}
	name, password, ok = bytes.Cut(plain[:n], []byte(":"))
	return name, password, ok && bytes.IndexByte(plain[:n], 0) < 0 // C libraries end a password at it
}
