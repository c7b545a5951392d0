package proxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"

	"github.com/valor-ivx/weir/proxy/message"
)

// StickyCookie makes and reads the cookie by which a service knows its clients: one generation of it, immutable.
//
// It says nothing about the client but a random number, and nothing about its group: that follows from the number and the weights in force, so that a change of
// weights needs no new cookies. It is signed because the number decides the group: who could choose it could choose the group, and load one.
type StickyCookie struct {
	name         string
	epoch        uint64
	round        uint32
	inner, outer [sha256.BlockSize]byte // the key of HMAC-SHA256 (RFC 2104) with its two paddings
}

const (
	// A cookie is its version, the epoch and the round in which it was dealt, the client's key, and the first half of an HMAC-SHA256 over these: 128 bits, as RFC 2104 §5
	// allows. 45 bytes are 60 letters of base64 without a bit left over, so that there is one text for each.
	stickyVersion = 1
	stickyKey     = 16
	stickySigned  = 1 + 8 + 4 + stickyKey
	stickySize    = stickySigned + 16
	stickyText    = stickySize / 3 * 4
)

// NewStickyCookie is the cookie of a service, named weir_SERVICE. secret is the edge's. A cookie of another epoch is no cookie; round is what new ones carry.
func NewStickyCookie(secret []byte, service string, epoch uint64, round uint32) *StickyCookie {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("weir sticky cookie 1\x00" + service))
	key := mac.Sum(nil)
	c := &StickyCookie{name: "weir_" + service, epoch: epoch, round: round}
	copy(c.inner[:], key)
	copy(c.outer[:], key)
	for i := range c.inner {
		c.inner[i] ^= 0x36
		c.outer[i] ^= 0x5c
	}
	return c
}

// Name is the cookie's name.
func (c *StickyCookie) Name() string { return c.name }

// visitor is a client as its cookie makes it known.
type visitor struct {
	key   [stickyKey]byte
	round uint32 // in which it was first dealt
	fresh bool   // it had no valid cookie, and is to be given one
}

// find reads the first valid cookie of a request. One that is malformed, forged or of another epoch is none.
func (c *StickyCookie) find(h *message.Header, v *visitor) bool {
	for i := h.Find(message.Cookie, 0); i >= 0; i = h.Find(message.Cookie, i+1) {
		for list := h.At(i).Value(); len(list) > 0; {
			var pair []byte
			pair, list = message.NextCookie(list)
			if pair = message.Trim(pair); message.IsCookie(pair, c.name) && c.read(pair[len(c.name)+1:], v) {
				return true
			}
		}
	}
	return false
}

func (c *StickyCookie) read(text []byte, v *visitor) bool {
	if len(text) != stickyText {
		return false
	}
	var raw [stickySize]byte
	if n, err := base64.RawURLEncoding.Decode(raw[:], text); err != nil || n != stickySize {
		return false
	}
	if raw[0] != stickyVersion || binary.BigEndian.Uint64(raw[1:]) != c.epoch {
		return false
	}
	sum := c.sign(raw[:stickySigned])
	if subtle.ConstantTimeCompare(sum[:stickySize-stickySigned], raw[stickySigned:]) != 1 {
		return false
	}
	v.round = binary.BigEndian.Uint32(raw[9:])
	copy(v.key[:], raw[13:stickySigned])
	return true
}

// deal makes a client known that was not.
func (c *StickyCookie) deal(v *visitor) {
	_, _ = rand.Read(v.key[:]) // never fails: crypto/rand ends the process instead
	v.round, v.fresh = c.round, true
}

// appendTo appends the value for v.
func (c *StickyCookie) appendTo(b []byte, v *visitor) []byte {
	var raw [stickySize]byte
	raw[0] = stickyVersion
	binary.BigEndian.PutUint64(raw[1:], c.epoch)
	binary.BigEndian.PutUint32(raw[9:], v.round)
	copy(raw[13:], v.key[:])
	sum := c.sign(raw[:stickySigned])
	copy(raw[stickySigned:], sum[:])
	return base64.RawURLEncoding.AppendEncode(b, raw[:])
}

// sign is HMAC-SHA256 by hand: crypto/hmac allocates, and every request of a known client asks.
func (c *StickyCookie) sign(p []byte) [sha256.Size]byte {
	var in [sha256.BlockSize + stickySigned]byte
	copy(in[:], c.inner[:])
	copy(in[sha256.BlockSize:], p)
	sum := sha256.Sum256(in[:])
	var out [sha256.BlockSize + sha256.Size]byte
	copy(out[:], c.outer[:])
	copy(out[sha256.BlockSize:], sum[:])
	return sha256.Sum256(out[:])
}
