package cluster

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// What is private is stored as
//
//	version (1) | id of the key (4) | time of storing, Unix ms (8) | nonce (12) | AES-256-GCM ciphertext and tag
//
// with everything before the nonce and the name it is stored under as additional data: nobody who can write to Redis can pass off one thing for another,
// or an old name for a new one. What he can do is to put back what was stored under the same name before. Nonces are random: a key may seal 2³² values
// (NIST SP 800-38D §8.3), and certificates, tickets and a ledger are a few thousand in a year.
const (
	sealVersion  = 1
	sealHeader   = 1 + 4 + 8
	sealOverhead = sealHeader + 12 + 16
)

// sealer encrypts under the first of its keys and reads what any of them has encrypted.
type sealer struct{ keys []sealKey }

type sealKey struct {
	id   [4]byte
	aead cipher.AEAD
}

// newSealer derives a key for the purpose from each secret, the one in use first.
func newSealer(purpose string, secrets ...string) sealer {
	var s sealer
	for _, secret := range secrets {
		key := derive(secret, purpose)
		block, err := aes.NewCipher(key[:])
		if err != nil {
			panic("cluster: AES: " + err.Error()) // only for another length of key
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic("cluster: GCM: " + err.Error()) // only for another block size
		}
		k := sealKey{aead: aead}
		sum := sha256.Sum256(key[:]) // of a key with 256 bits: its hash gives nothing away
		copy(k.id[:], sum[:])
		s.keys = append(s.keys, k)
	}
	return s
}

// errSealed is what cannot be read.
var (
	errSealedBroken  = errors.New("what is stored is not ours, or was changed")
	errSealedUnknown = errors.New("what is stored was encrypted under another cluster.secret: set it as previous_secret")
)

func (s sealer) seal(name string, value []byte, now time.Time) []byte {
	k := s.keys[0]
	out := make([]byte, sealHeader+k.aead.NonceSize(), sealOverhead+len(value))
	out[0] = sealVersion
	copy(out[1:], k.id[:])
	binary.BigEndian.PutUint64(out[5:], uint64(now.UnixMilli()))
	nonce := out[sealHeader:]
	_, _ = rand.Read(nonce) // never fails (crypto/rand, Go 1.24)
	return k.aead.Seal(out, nonce, value, additional(out[:sealHeader], name))
}

func (s sealer) open(name string, sealed []byte) (value []byte, stored time.Time, err error) {
	if len(sealed) < sealOverhead || sealed[0] != sealVersion {
		return nil, time.Time{}, errSealedBroken
	}
	for _, k := range s.keys {
		if k.id != [4]byte(sealed[1:5]) {
			continue
		}
		n := sealHeader + k.aead.NonceSize()
		value, err = k.aead.Open(nil, sealed[sealHeader:n], sealed[n:], additional(sealed[:sealHeader], name))
		if err != nil {
			return nil, time.Time{}, errSealedBroken
		}
		return value, time.UnixMilli(int64(binary.BigEndian.Uint64(sealed[5:]))), nil
	}
	return nil, time.Time{}, fmt.Errorf("%w (key %x)", errSealedUnknown, sealed[1:5])
}

// additional is the header and the name; the header's length is fixed, so no two pairs read the same.
func additional(header []byte, name string) []byte {
	return append(append(make([]byte, 0, len(header)+len(name)), header...), name...)
}
