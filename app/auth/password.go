// Package auth is what the API service knows of secrets: how passwords are chosen and kept, and the tokens that say who asks.
//
// It stores nothing and knows no HTTP.
package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The length of a password, in characters and in bytes. There is no cut: argon2id takes them all, where bcrypt would ignore those after 72.
const (
	MinPassword = 12
	MaxPassword = 1024
)

// Argon2id with 19 MiB, two passes and one thread: OWASP's lesser setting, about 20 ms. The parameters are in each hash, so that raising them keeps old ones good.
const (
	memory  = 19 << 10 // KiB
	passes  = 2
	threads = 1
	keySize = 32
)

// CheckPassword says in words what is wrong with a password; "" is nothing.
func CheckPassword(p string) string {
	switch {
	case !utf8.ValidString(p) || len(p) > MaxPassword:
		return fmt.Sprintf("may have %d bytes of UTF-8", MaxPassword)
	case utf8.RuneCountInString(p) < MinPassword:
		return fmt.Sprintf("must have at least %d characters", MinPassword)
	}
	var lower, upper, digit, special bool
	for _, r := range p {
		switch {
		case unicode.IsLower(r):
			lower = true
		case unicode.IsUpper(r):
			upper = true
		case unicode.IsDigit(r):
			digit = true
		default:
			special = true
		}
	}
	if !lower || !upper || !digit || !special {
		return "must have a lower case letter, an upper case letter, a digit and another character"
	}
	return ""
}

// Hash is a password as it is kept, in the PHC string format.
func Hash(password string) string {
	var salt [16]byte
	_, _ = rand.Read(salt[:]) // never fails (crypto/rand)
	key := argon2.IDKey([]byte(password), salt[:], passes, memory, threads, keySize)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, memory, passes, threads,
		base64.RawStdEncoding.EncodeToString(salt[:]), base64.RawStdEncoding.EncodeToString(key))
}

var errHash = errors.New("the stored hash is not one of ours")

// Verify reports whether the password is the one that was hashed. The error says that the hash is damaged.
func Verify(hash, password string) (bool, error) {
	var version, m, t, p int
	var rest string
	if _, err := fmt.Sscanf(hash, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s", &version, &m, &t, &p, &rest); err != nil || version != argon2.Version {
		return false, errHash
	}
	saltText, keyText, _ := strings.Cut(rest, "$")
	salt, err := base64.RawStdEncoding.DecodeString(saltText)
	if err != nil || len(salt) < 8 {
		return false, errHash
	}
	key, err := base64.RawStdEncoding.DecodeString(keyText)
	if err != nil || len(key) < 16 || m < 8 || m > 1<<20 || t < 1 || t > 100 || p < 1 || p > 16 {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, uint32(t), uint32(m), uint8(p), uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}
