package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// day is how long a key seals. A key is never near the 2^32 messages that random nonces allow it (NIST SP 800-38D §8.3): half of those in a day are 25,000 a second.
const day = 24 * time.Hour

// A sealed text is a version, the day of its key, a nonce, and what AES-256-GCM makes of the text; in base64url.
const (
	sealVersion = 1
	sealHead    = 1 + 4
	sealNonce   = 12
	sealTag     = 16
)

// sealer seals what clients keep for us, for one purpose: what is sealed for another, or by others, does not open. Its keys are derived from secrets, one for each
// day, so there is nothing to rotate but the secrets.
type sealer struct {
	secrets [][]byte // the first one seals, each opens
	purpose string
	kept    time.Duration // what is older does not open, whatever it says of itself

	mu   sync.Mutex // guards keys
	keys map[keyID]cipher.AEAD
}

type keyID struct {
	secret int
	day    uint32
}

func newSealer(secrets [][]byte, purpose string, kept time.Duration) *sealer {
	return &sealer{secrets: secrets, purpose: purpose, kept: kept, keys: map[keyID]cipher.AEAD{}}
}

func dayOf(now time.Time) uint32 { return uint32(now.Unix() / int64(day/time.Second)) }

// key derives a key, or remembers it.
func (s *sealer) key(id keyID) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, ok := s.keys[id]; ok {
		return k, nil
	}
	secret, err := hkdf.Key(sha256.New, s.secrets[id.secret], nil, fmt.Sprintf("weir %s, day %d", s.purpose, id.day), 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	k, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	if len(s.keys) > 2*(int(s.kept/day)+3)*len(s.secrets) { // those of days that have gone
		clear(s.keys)
	}
	s.keys[id] = k
	return k, nil
}

// seal gives text that only open gives back, with the same bound text.
func (s *sealer) seal(text []byte, bound string, now time.Time) (string, error) {
	k, err := s.key(keyID{0, dayOf(now)})
	if err != nil {
		return "", err
	}
	b := make([]byte, sealHead+sealNonce, sealHead+sealNonce+len(text)+sealTag)
	b[0] = sealVersion
	binary.BigEndian.PutUint32(b[1:], dayOf(now))
	_, _ = rand.Read(b[sealHead:]) // never fails (crypto/rand, Go 1.24)
	b = k.Seal(b, b[sealHead:sealHead+sealNonce], text, append(b[:sealHead:sealHead], bound...))
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// open gives back what was sealed; nil for anything else.
func (s *sealer) open(sealed []byte, bound string, now time.Time) []byte {
	b := make([]byte, base64.RawURLEncoding.DecodedLen(len(sealed)))
	n, err := base64.RawURLEncoding.Strict().Decode(b, sealed)
	if err != nil || n < sealHead+sealNonce+sealTag || b[0] != sealVersion {
		return nil
	}
	b = b[:n]
	id := keyID{0, binary.BigEndian.Uint32(b[1:])}
	if today := int64(dayOf(now)); int64(id.day) > today+1 || int64(id.day) < today-int64(s.kept/day)-1 { // a clock may be set; no key is derived for what nobody can have
		return nil
	}
	for id.secret = range s.secrets {
		k, err := s.key(id)
		if err != nil {
			return nil
		}
		if text, err := k.Open(nil, b[sealHead:sealHead+sealNonce], b[sealHead+sealNonce:], append(b[:sealHead:sealHead], bound...)); err == nil {
			return text
		}
	}
	return nil
}
