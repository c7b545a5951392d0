package auth

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	mostKeys   = 100     // of a set: each may be tried for a token that names none
	mostKeySet = 1 << 20 // bytes
	mostTokens = 10_000  // remembered by their hashes
)

// keySet is keys and the tokens that were verified by them: those of a key that is withdrawn are forgotten with it. It never changes but for that memory.
type keySet struct {
	keys []jose.JSONWebKey
	sum  [sha256.Size]byte // of the text that it was read from
	seen *lru.Cache[[sha256.Size]byte, *token]
}

var errNoKeys = errors.New("no public key in it that signs")

// readKeys reads a JWK set (RFC 7517 §5) or, in PEM, public keys and certificates. Only public keys count, and only those to verify signatures by.
func readKeys(text []byte) (*keySet, error) {
	if len(text) > mostKeySet {
		return nil, fmt.Errorf("more than %d bytes", mostKeySet)
	}
	s := &keySet{sum: sha256.Sum256(text)}
	var err error
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		s.keys, err = pemKeys(text)
	} else {
		s.keys, err = jsonKeys(text)
	}
	switch {
	case err != nil:
		return nil, err
	case len(s.keys) == 0:
		return nil, errNoKeys
	case len(s.keys) > mostKeys:
		return nil, fmt.Errorf("%d keys, at most %d", len(s.keys), mostKeys)
	}
	s.seen, err = lru.New[[sha256.Size]byte, *token](mostTokens)
	return s, err
}

// jsonKeys skips keys of kinds that are not known: RFC 7517 §5 has a set survive them.
func jsonKeys(text []byte) (keys []jose.JSONWebKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a JWK set: it is no JSON object with keys")
	}
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if json.Unmarshal(raw, &k) == nil && k.Valid() && k.IsPublic() && k.Use != "enc" {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

func pemKeys(text []byte) (keys []jose.JSONWebKey, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		k := jose.JSONWebKey{}
		switch block.Type {
		case "PUBLIC KEY":
			k.Key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				k.Key = c.PublicKey
			}
		default:
			return nil, fmt.Errorf("a PEM block of type %q: PUBLIC KEY or CERTIFICATE", block.Type)
		}
		if err != nil {
			return nil, fmt.Errorf("PEM %s: %w", block.Type, err)
		}
		if k.Valid() && k.IsPublic() {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// verify gives the payload of a token that one of the keys has signed. named reports whether any key could be the one meant: of a token whose key is not
// there the key may be new.
func (s *keySet) verify(t *jose.JSONWebSignature) (payload []byte, named bool) {
	head := t.Signatures[0].Header // a compact serialization has exactly one
	for i := range s.keys {
		k := &s.keys[i]
		if k.KeyID != "" && head.KeyID != "" && k.KeyID != head.KeyID || k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		named = true
		// The bare key: go-jose then takes no hints of the token's, and refuses an algorithm that is not of the key's kind.
		if payload, err := t.Verify(k.Key); err == nil {
			return payload, true
		}
	}
	return nil, named
}
