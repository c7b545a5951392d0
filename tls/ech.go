package edgetls

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// ECH holds the keys of Encrypted Client Hello: clients that know the newest one's public part, from the HTTPS record of a host (RFC 9460), hide the host
// that they ask for behind the public name. Its keys are an immutable set that Rotate replaces; it has no goroutine. Safe for concurrent use, Rotate by one at a time.
type ECH struct {
	file string
	keys atomic.Pointer[echKeys]
}

// echKeys are newest first.
type echKeys struct {
	list []echKey
	tls  []tls.EncryptedClientHelloKey
}

// echKey is one key as it is stored.
type echKey struct {
	ID         uint8     `json:"id"`
	PublicName string    `json:"public_name"`
	Private    []byte    `json:"private"` // X25519
	Made       time.Time `json:"made"`
}

// echKept is how many keys are accepted: DNS caches and clients hold a record for days, a rotation takes weeks.
const echKept = 3

// OpenECH reads the keys of file and makes one where it is due (see Rotate).
func OpenECH(file, publicName string, rotation time.Duration, now time.Time) (*ECH, error) {
	e := &ECH{file: file}
	data, err := os.ReadFile(file)
	var list []echKey
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("read ech keys: %w", err)
	default:
		// Not replaced when it is broken: clients hold its public keys, and somebody may have a copy of the file.
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, fmt.Errorf("read ech keys: %s: %w: restore it, or remove it to have new ones made", file, err)
		}
	}
	keys, err := newECHKeys(list)
	if err != nil {
		return nil, fmt.Errorf("read ech keys: %s: %w", file, err)
	}
	e.keys.Store(keys)
	return e, e.Rotate(publicName, rotation, now)
}

// Rotate makes a new key the newest when there is none, the newest is older than rotation, or is for another public name; it is stored before it is used. Older ones
// are accepted on, three in all. Clients that use them are told the newest.
func (e *ECH) Rotate(publicName string, rotation time.Duration, now time.Time) error {
	old := e.keys.Load().list
	if len(old) > 0 && old[0].PublicName == publicName && now.Sub(old[0].Made) < rotation {
		return nil
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make ech key: %w", err)
	}
	key := echKey{PublicName: publicName, Private: private.Bytes(), Made: now.UTC()}
	for slices.ContainsFunc(old, func(k echKey) bool { return k.ID == key.ID }) {
		key.ID++ // one that no accepted key has: servers choose by it
	}
	keys, err := newECHKeys(append([]echKey{key}, old[:min(len(old), echKept-1)]...))
	if err != nil {
		return fmt.Errorf("make ech key: %w", err)
	}
	data, err := json.MarshalIndent(keys.list, "", " ")
	if err == nil {
		err = writeAtomic(e.file, data, 0o600, os.Rename)
	}
	if err != nil {
		return fmt.Errorf("keep ech key: %w", err)
	}
	e.keys.Store(keys)
	return nil
}

// ConfigList is what the parameter ech of the hosts' HTTPS records is to hold, in base64.
func (e *ECH) ConfigList() string {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(e.keys.Load().tls[0].Config) })
	return base64.StdEncoding.EncodeToString(b.BytesOrPanic()) // a configuration is far below 64 KiB
}

func newECHKeys(list []echKey) (*echKeys, error) {
	out := &echKeys{list: list}
	for i, k := range list {
		private, err := ecdh.X25519().NewPrivateKey(k.Private)
		if err != nil {
			return nil, err
		}
		config, err := k.config(private.PublicKey().Bytes())
		if err != nil {
			return nil, err
		}
		out.tls = append(out.tls, tls.EncryptedClientHelloKey{Config: config, PrivateKey: k.Private, SendAsRetry: i == 0})
	}
	return out, nil
}

// config is the ECHConfig of a key (RFC 9849 §4).
func (k echKey) config(public []byte) ([]byte, error) {
	const (
		version          = 0xfe0d
		kemX25519        = 0x0020 // DHKEM(X25519, HKDF-SHA256), RFC 9180 §7.1
		kdfSHA256        = 0x0001
		aes128, aes256   = 0x0001, 0x0002
		chacha20Poly1305 = 0x0003
		maxNameLength    = 0 // no advice: clients pad to 32 bytes at least by themselves
	)
	var b cryptobyte.Builder
	b.AddUint16(version)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(k.ID)
		b.AddUint16(kemX25519)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(public) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, aead := range [...]uint16{aes128, aes256, chacha20Poly1305} {
				b.AddUint16(kdfSHA256)
				b.AddUint16(aead)
			}
		})
		b.AddUint8(maxNameLength)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(k.PublicName)) })
		b.AddUint16(0) // no extensions
	})
	return b.Bytes()
}

// UseECH makes e's keys those of every Config from now on, of handshakes that begin from now on; nil: none.
func (m *Manager) UseECH(e *ECH) { m.ech.Store(e) }

// echKeys implements tls.Config.GetEncryptedClientHelloKeys.
func (m *Manager) echKeys(*tls.ClientHelloInfo) ([]tls.EncryptedClientHelloKey, error) {
	if e := m.ech.Load(); e != nil {
		return e.keys.Load().tls, nil
	}
	return nil, nil
}
