package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How long tokens are good for. An access token cannot be taken back, so it is short; a session ends when nobody refreshes it for so long.
const (
	AccessFor  = time.Hour
	RefreshFor = 30 * 24 * time.Hour
)

// leeway is for clocks that differ between instances.
const leeway = 5 * time.Second

const (
	issuer     = "valor-ivx"
	typeAccess = "access"
)

// Identity is who a token speaks for.
type Identity struct{ User, Tenant string }

// Errors of Parse.
var (
	ErrExpired = errors.New("token expired")
	ErrInvalid = errors.New("invalid token")
)

// Tokens signs access tokens (RFC 7519, HS256) and reads them. It never changes; instances with one secret read each other's.
type Tokens struct {
	signer jose.Signer
	key    []byte
}

// claims are those of an access token. Type keeps tokens for other purposes from passing as one.
type claims struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	Tenant  string `json:"tid"`
	Type    string `json:"typ"`
	Issued  int64  `json:"iat"`
	Expires int64  `json:"exp"`
}

// NewTokens makes them of a secret of 32 bytes or more.
func NewTokens(secret string) (*Tokens, error) {
	if len(secret) < 32 {
		return nil, fmt.Errorf("make tokens: a secret of %d bytes is too short", len(secret))
	}
	// Not the secret itself: other keys may come of it.
	key := sha256.Sum256([]byte("valor-ivx access tokens\n" + secret))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key[:]}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("make tokens: %w", err)
	}
	return &Tokens{signer: signer, key: key[:]}, nil
}

// Access is a token for somebody.
func (t *Tokens) Access(who Identity, now time.Time) (string, error) {
	payload, err := json.Marshal(claims{issuer, who.User, who.Tenant, typeAccess, now.Unix(), now.Add(AccessFor).Unix()})
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	signed, err := t.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}

// Parse is who a token speaks for, or ErrExpired or ErrInvalid.
func (t *Tokens) Parse(token string, now time.Time) (Identity, error) {
	who, _, err := t.ParseUntil(token, now)
	return who, err
}

// ParseUntil is Parse with when the token ends, for what goes on after the request that showed it.
func (t *Tokens) ParseUntil(token string, now time.Time) (Identity, time.Time, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return Identity{}, time.Time{}, ErrInvalid
	}
	payload, err := signed.Verify(t.key)
	var c claims
	if err != nil || json.Unmarshal(payload, &c) != nil || c.Issuer != issuer || c.Type != typeAccess || c.Subject == "" || c.Tenant == "" {
		return Identity{}, time.Time{}, ErrInvalid
	}
	if now.Add(leeway).Before(time.Unix(c.Issued, 0)) {
		return Identity{}, time.Time{}, ErrInvalid
	}
	if now.After(time.Unix(c.Expires, 0).Add(leeway)) {
		return Identity{}, time.Time{}, ErrExpired
	}
	return Identity{c.Subject, c.Tenant}, time.Unix(c.Expires, 0), nil
}

// NewRefresh is a token that means nothing but that its hash is stored.
func NewRefresh() (token string, hash []byte) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, RefreshHash(token)
}

// RefreshHash is what is stored of a refresh token. It needs no salt: nobody guesses 256 bits.
func RefreshHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
