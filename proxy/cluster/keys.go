package cluster

import (
	"crypto/hkdf"
	"crypto/sha256"
)

// keys are derived from the secret, one for each purpose, so that what one of them gives away says nothing about the others.
type keys struct {
	limits       [sha256.Size]byte // hashes what limits count by: Redis does not learn who the clients are
	certificates sealer
	tickets      sealer
}

// deriveKeys makes the keys of a secret and, for what is encrypted, of the one before it, "" for none.
func deriveKeys(secret, previous string) keys {
	secrets := []string{secret}
	if previous != "" {
		secrets = append(secrets, previous)
	}
	return keys{
		limits:       derive(secret, "weir cluster limits 1"),
		certificates: newSealer("weir cluster certificates 1", secrets...),
		tickets:      newSealer("weir cluster tickets 1", secret),
	}
}

// derive is HKDF (RFC 5869) with the purpose as its info. The secret has the entropy already (configs), so a salt would add nothing.
func derive(secret, purpose string) (key [sha256.Size]byte) {
	b, err := hkdf.Key(sha256.New, []byte(secret), nil, purpose, len(key))
	if err != nil {
		panic("cluster: derive key: " + err.Error()) // only for a length that SHA-256 cannot give
	}
	copy(key[:], b)
	return key
}
