package auth

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// mostToken bounds what a client can have decoded.
const mostToken = 8 << 10

// JWTOptions are those of a JWT.
type JWTOptions struct {
	Name, Realm string
	Issuer      string
	Audience    []string // one of them must be among the token's; none: any will do
	KeysFile    string   // a JWK set or PEM; "": Remote
	Remote      RemoteOptions
	Algorithms  []string // of Algorithms()
	Leeway      time.Duration
	Cookie      string            // where a token is looked for when there is no Authorization field; "": nowhere
	UserClaim   string            // who it is
	Require     map[string]string // claims that must have this value, or have it among theirs
	Headers     map[string]string // claim → field for the upstream
	Keep        []string          // claims that Verdict.Claims has
}

// Algorithms are those that can be allowed: signatures by public keys. What is signed by a shared secret, or not at all, is nobody's word.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// JWT lets in who brings a token that an issuer has signed (RFC 7519, RFC 6750, RFC 8725). A verified token is remembered by its hash until it runs
// out or the keys change.
//
// It is safe for concurrent use. With Remote it has a goroutine, ended by Close.
type JWT struct {
	options    JWTOptions
	algorithms []jose.SignatureAlgorithm
	owned      []string // fields of requests that only weir writes
	denials    [Whys]*Denial

	remote  *remoteKeys            // nil: a file
	current atomic.Pointer[keySet] // of the file; written by Reload
	mu      sync.Mutex             // one Reload at a time
}

// token is a verified one. It never changes.
type token struct {
	user    []byte
	fields  []byte
	claims  []Claim
	from    time.Time // leeway included, as in until
	until   time.Time
	refused bool // a required claim is missing
}

// OpenJWT reads the file, or begins to fetch: until the first keys are there tokens are answered 503.
func OpenJWT(o JWTOptions) (*JWT, error) {
	j := &JWT{options: o, owned: []string{userField}}
	for _, a := range o.Algorithms {
		if !slices.Contains(Algorithms(), a) {
			return nil, fmt.Errorf("auth %s: algorithm %q is not one of %s", o.Name, a, strings.Join(Algorithms(), ", "))
		}
		j.algorithms = append(j.algorithms, jose.SignatureAlgorithm(a))
	}
	for _, field := range o.Headers {
		j.owned = append(j.owned, field)
	}
	challenge := `Bearer realm="` + strings.NewReplacer(`"`, "", `\`, "").Replace(o.Realm) + `"`
	j.denials = [Whys]*Denial{
		TokenMissing: {Status: 401, Why: TokenMissing, Challenge: challenge},
		TokenInvalid: {Status: 401, Why: TokenInvalid, Challenge: challenge + `, error="invalid_token"`},
		TokenExpired: {Status: 401, Why: TokenExpired, Challenge: challenge + `, error="invalid_token", error_description="the token expired"`},
		ClaimRefused: {Status: 403, Why: ClaimRefused, Challenge: challenge + `, error="insufficient_scope"`},
		KeysAway:     {Status: 503, Why: KeysAway},
		Gone:         {Status: 499, Why: Gone},
	}
	if o.KeysFile == "" {
		j.remote = fetchKeys(o.Remote)
		return j, nil
	}
	return j, j.Reload()
}

// Authenticate verifies the request's token. For one that is known it allocates nothing. One whose key is not known waits up to 3 s for the keys to be fetched
// again, where they are fetched.
func (j *JWT) Authenticate(r *Request) Verdict {
	text, found := credentials(r.Header, "Bearer", mostToken)
	if !found && j.options.Cookie != "" {
		text = r.Header.CookieValue(j.options.Cookie)
		found = len(text) > 0
	}
	set := j.keys()
	switch {
	case !found:
		return j.deny(TokenMissing)
	case text == nil || len(text) > mostToken:
		return j.deny(TokenInvalid)
	case set == nil:
		return j.deny(KeysAway)
	}
	sum := sha256.Sum256(text)
	t, known := set.seen.Get(sum)
	if !known {
		var o outcome
		switch set, t, o = j.verify(set, string(text), r); {
		case o == left:
			return j.deny(Gone)
		case t == nil:
			return j.deny(TokenInvalid)
		}
		if r.Now.Before(t.until) {
			set.seen.Add(sum, t)
		}
	}
	switch {
	case !r.Now.Before(t.until) || r.Now.Before(t.from):
		return j.deny(TokenExpired)
	case t.refused:
		v := j.deny(ClaimRefused)
		v.User = t.user
		return v
	}
	return Verdict{User: t.user, Fields: t.fields, Claims: t.claims}
}

func (j *JWT) deny(why Why) Verdict { return Verdict{Denial: j.denials[why]} }

func (j *JWT) keys() *keySet {
	if j.remote != nil {
		return j.remote.current.Load()
	}
	return j.current.Load()
}

// verify gives the token and the keys that it was verified by, a nil token for one that is not good whatever the time. With left it has not been looked at.
func (j *JWT) verify(set *keySet, text string, r *Request) (*keySet, *token, outcome) {
	signed, err := jose.ParseSignedCompact(text, j.algorithms)
	if err != nil {
		return set, nil, came
	}
	payload, named := set.verify(signed)
	if payload == nil && !named && j.remote != nil {
		var o outcome
		if set, o = j.remote.renewed(r); o == left {
			return set, nil, left
		}
		payload, _ = set.verify(signed)
	}
	if payload == nil {
		return set, nil, came
	}
	return set, j.read(payload), came
}

// Owns reports a field of requests that only weir writes: clients' own are taken out.
func (j *JWT) Owns(name []byte) bool {
	for _, field := range j.owned {
		if sameField(name, field) {
			return true
		}
	}
	return false
}

// OwnsCookie reports the cookie that tokens come in.
func (j *JWT) OwnsCookie(name []byte) bool {
	return j.options.Cookie != "" && string(name) == j.options.Cookie
}

// Reload reads the file again. With an error everything stays as it is. Without a file there is nothing to read.
func (j *JWT) Reload() error {
	if j.remote != nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	text, err := os.ReadFile(j.options.KeysFile)
	if err != nil {
		return fmt.Errorf("read keys of auth %s: %w", j.options.Name, err)
	}
	if old := j.current.Load(); old != nil && old.sum == sha256.Sum256(text) {
		return nil
	}
	set, err := readKeys(text)
	if err != nil {
		return fmt.Errorf("read keys of auth %s: %s: %w", j.options.Name, j.options.KeysFile, err)
	}
	j.current.Store(set)
	return nil
}

// Good reports whether the last fetch went well; with a file, always.
func (j *JWT) Good() bool {
	return j.remote == nil || !j.remote.failing.Load() && j.remote.current.Load() != nil
}

// Close ends the goroutine.
func (j *JWT) Close() {
	if j.remote != nil {
		j.remote.close()
	}
}
