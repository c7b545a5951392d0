package auth

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/valor-ivx/weir/proxy/message"
)

const (
	knownFor  = 5 * time.Minute
	mostKnown = 10_000
	// userField tells the upstream who it is. A client's own is taken out, with underscores too (as message.IDOf says why).
	userField = "X-Forwarded-User"
)

// BasicOptions are those of a Basic.
type BasicOptions struct {
	Name      string
	Realm     string // visible ASCII without quotes and backslashes
	UsersFile string // htpasswd
	Work      *Work
}

// Basic lets in who knows a password of a file (RFC 7617). Who has been verified is remembered for five minutes, until the file changes, by a keyed hash of
// the credentials; wrong ones are not remembered, so that nobody can push others out of that memory with them.
//
// It is safe for concurrent use. It has no goroutine and nothing to close.
type Basic struct {
	options          BasicOptions
	missing, invalid *Denial
	busy, gone       *Denial
	current          atomic.Pointer[register] // written by Reload

	mu  sync.Mutex // guards sum; held by one Reload at a time
	sum [sha256.Size]byte
}

// register is the contents of a password file and who has been verified by it.
type register struct {
	users *users
	key   [sha256.Size]byte // of this process and register: what is in known tells nothing to who reads memory later
	known *lru.Cache[[sha256.Size]byte, known]
}

type known struct {
	user  *user
	until time.Time
}

// OpenBasic reads the file.
func OpenBasic(o BasicOptions) (*Basic, error) {
	challenge := `Basic realm="` + strings.NewReplacer(`"`, "", `\`, "").Replace(o.Realm) + `", charset="UTF-8"`
	b := &Basic{
		options: o,
		missing: &Denial{Status: 401, Why: Missing, Challenge: challenge},
		invalid: &Denial{Status: 401, Why: Invalid, Challenge: challenge},
		busy:    &Denial{Status: 503, Why: Busy},
		gone:    &Denial{Status: 499, Why: Gone},
	}
	return b, b.Reload()
}

// Authenticate verifies the request's credentials. For those that are known it allocates nothing; otherwise it takes as long as the hash is made to.
func (b *Basic) Authenticate(r *Request) Verdict {
	value, found := credentials(r.Header, "Basic", mostCredentials)
	switch {
	case !found:
		return Verdict{Denial: b.missing}
	case value == nil:
		return Verdict{Denial: b.invalid}
	}
	reg := b.current.Load()
	key := reg.keyOf(value)
	if k, ok := reg.known.Get(key); ok && r.Now.Before(k.until) {
		return Verdict{User: k.user.name, Fields: k.user.fields}
	}
	return b.verify(reg, key, value, r)
}

func (b *Basic) verify(reg *register, key [sha256.Size]byte, value []byte, r *Request) Verdict {
	name, password, ok := decodeBasic(value)
	if !ok {
		return Verdict{Denial: b.invalid}
	}
	u, there := reg.users.byName[string(name)]
	if !there {
		u = reg.users.decoy
	}
	matches := false
	switch b.options.Work.do(r, func() { matches = u.secret.MatchesPassword(string(password)) }) {
	case left:
		return Verdict{Denial: b.gone}
	case late:
		return Verdict{Denial: b.busy}
	}
	if !matches || !there {
		return Verdict{Denial: b.invalid}
	}
	reg.known.Add(key, known{u, r.Now.Add(knownFor)})
	return Verdict{User: u.name, Fields: u.fields}
}

// keyOf hashes credentials with the register's key. The hash leaves the process nowhere, so that a prefix is as good as HMAC, and costs half.
func (r *register) keyOf(value []byte) [sha256.Size]byte {
	var text [sha256.Size + mostCredentials]byte
	n := copy(text[:], r.key[:])
	n += copy(text[n:], value)
	return sha256.Sum256(text[:n])
}

// Owns reports a field of requests that only weir writes: clients' own are taken out.
func (b *Basic) Owns(name []byte) bool { return sameField(name, userField) }

// OwnsCookie is false: no cookie says who it is.
func (b *Basic) OwnsCookie([]byte) bool { return false }

// sameField compares names without case, an underscore as a hyphen: CGI-style backends see one variable.
func sameField(name []byte, field string) bool {
	if len(name) != len(field) {
		return false
	}
	for i, c := range name {
		if c == '_' {
			c = '-'
		}
		if !message.EqualFold(name[i:i+1], field[i:i+1]) && c != field[i] {
			return false
		}
	}
	return true
}

// Name is its name in the configuration.
func (b *Basic) Name() string { return b.options.Name }

// Reload reads the file again. With an error, which names file and line, everything stays as it is. Unless the file is the same, who was verified is
// verified again.
func (b *Basic) Reload() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, err := os.ReadFile(b.options.UsersFile)
	if err != nil {
		return fmt.Errorf("read users of auth %s: %w", b.options.Name, err)
	}
	sum := sha256.Sum256(text)
	if b.current.Load() != nil && sum == b.sum {
		return nil
	}
	list, err := readUsers(b.options.UsersFile, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("read users of auth %s: %w", b.options.Name, err)
	}
	memory, err := lru.New[[sha256.Size]byte, known](mostKnown)
	if err != nil {
		return fmt.Errorf("remember users of auth %s: %w", b.options.Name, err)
	}
	reg := &register{users: list, known: memory}
	_, _ = rand.Read(reg.key[:]) // never fails (crypto/rand, Go 1.24)
	b.current.Store(reg)
	b.sum = sum
	return nil
}
