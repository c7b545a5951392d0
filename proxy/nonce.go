package proxy

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
)

// nonce is the one of an exchange's answer, made when it is first wanted.
type nonce struct {
	made bool
	text [len(header.NonceSlot)]byte
	bits [16]byte
}

// nonceField tells an upstream the nonce for the scripts and styles of its page.
const nonceField = "X-CSP-Nonce"

// nonced is the nonce of this exchange: the same in the request to the upstream, however often it is said, and in the answer.
func (x *Exchange) nonced() []byte {
	n := &x.nonce
	if !n.made {
		n.made = true
		_, _ = rand.Read(n.bits[:]) // never fails: crypto/rand ends the process instead
		base64.RawURLEncoding.Encode(n.text[:], n.bits[:])
	}
	return n.text[:]
}

// appendNonce tells the upstream the nonce where the policy of the answer has one. What the client says it is leaves: who knows the nonce of a page can run
// scripts in it.
func (x *Exchange) appendNonce(b []byte) []byte {
	p := x.policy()
	if p == nil || !p.Nonced() {
		return b
	}
	for i := 0; i < x.req.Header.Len(); {
		if !isNonceField(x.req.Header.At(i).Name()) {
			i++
			continue
		}
		x.req.Header.Remove(i)
	}
	return line(b, nonceField+": ", x.nonced())
}

// isNonceField takes underscores for hyphens, as CGI and WSGI do.
func isNonceField(name []byte) bool {
	if len(name) != len(nonceField) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		if !message.EqualFold([]byte{c}, nonceField[i:i+1]) {
			return false
		}
	}
	return true
}
