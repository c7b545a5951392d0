package auth

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/valor-ivx/weir/proxy/message"
)

// OIDCOptions are those of an OIDC.
type OIDCOptions struct {
	Name, Realm      string
	Issuer           string // URL
	CA               []byte // PEM of the CAs that are trusted in place of the system's; nil: those
	ClientID         string
	ClientSecret     string   // "": none
	Scopes           []string // besides openid
	Callback, Logout string   // paths
	LogoutRedirect   string   // where a client goes that has logged out; "": it is told so
	Session          time.Duration
	Leeway           time.Duration
	Email, Groups    []string          // patterns: one of them must match; none at all: everybody whom the issuer knows
	UserClaim        string            // who it is
	Headers          map[string]string // claim → field for the upstream
	Keep             []string          // claims that Verdict.Claims has
	Secrets          [][]byte          // keys of cookies come from the first one; those of the others are still good
	Pause            time.Duration     // at least so long between two looks at the provider that logins cause
	Failed           func(err error)
}

const (
	mostSession   = 4096 // bytes of a cookie, its name and attributes included: what browsers take (RFC 6265 §6.1)
	mostSessions  = 10_000
	loginTime     = 10 * time.Minute // from the redirect to the provider to the way back
	loginsAtOnce  = 64               // that wait for the provider's token
	mostReturnURL = 1024
)

// OIDC sends browsers to an OpenID provider to log in (OpenID Connect Core 1.0 §3.1, RFC 7636) and keeps who they are in a cookie, sealed: nothing is kept here, so a
// session lasts over restarts, and while the provider is away. A session that was ended by Logout is not taken again by this process.
//
// It is safe for concurrent use. It has a goroutine, ended by Close.
type OIDC struct {
	options       OIDCOptions
	provider      *provider
	sessions      *sealer
	states        *sealer
	bound         string // what cookies are bound to besides their host: another name or other rules make them worthless
	sessionCookie string
	loginCookie   string
	owned         []string
	challenge     string
	known         *lru.Cache[[sha256.Size]byte, *session] // by digest of host and cookie
	ended         *lru.Cache[[sha256.Size]byte, struct{}] // as known
	used          *lru.Cache[string, struct{}]            // states that have come back
	slots         chan struct{}                           // of logins that are free to ask for a token
	lacking       atomic.Bool                             // the provider did not answer a login; with its fetcher's this is Good
}

// session is who a client is. It never changes.
type session struct {
	user   []byte
	fields []byte
	claims []Claim
	until  time.Time
}

// sealedSession is a session as its cookie has it.
type sealedSession struct {
	User   string      `json:"u,omitempty"`
	Fields string      `json:"f,omitempty"` // lines with their CRLF: the seal vouches for them
	Claims [][2]string `json:"c,omitempty"`
	Until  int64       `json:"e"` // Unix seconds
}

// OpenOIDC begins to look for the provider. Until that is found who has no session is answered 503.
func OpenOIDC(o OIDCOptions) (*OIDC, error) {
	rules := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q %q %q", o.Issuer, o.ClientID, o.Email, o.Groups, o.UserClaim, o.Headers, o.Keep)) // maps print sorted
	folded := make([]string, len(o.Email))
	for i, p := range o.Email {
		folded[i] = strings.ToLower(p)
	}
	o.Email = folded
	a := &OIDC{
		options: o, bound: fmt.Sprintf("%s %x", o.Name, rules), sessionCookie: "__Host-weir-session-" + o.Name, loginCookie: "__Host-weir-login-" + o.Name,
		sessions: newSealer(o.Secrets, "oidc session", o.Session), states: newSealer(o.Secrets, "oidc state", loginTime),
		owned: []string{userField}, slots: make(chan struct{}, loginsAtOnce),
		challenge: `Cookie realm="` + strings.NewReplacer(`"`, "", `\`, "").Replace(o.Realm) + `"`, // browsers have no scheme for it, 401 must name one (RFC 9110 §15.5.2)
	}
	for _, field := range o.Headers {
		a.owned = append(a.owned, field)
	}
	var err error
	if a.known, err = lru.New[[sha256.Size]byte, *session](mostSessions); err != nil {
		return nil, err
	}
	if a.ended, err = lru.New[[sha256.Size]byte, struct{}](mostSessions); err != nil {
		return nil, err
	}
	if a.used, err = lru.New[string, struct{}](mostSessions); err != nil {
		return nil, err
	}
	for range loginsAtOnce {
		a.slots <- struct{}{}
	}
	a.provider = findProvider(o)
	return a, nil
}

// Authenticate lets in who has a session, answers the callback and the way out, and sends others to the provider: those that open a page. For a session that is known
// it allocates nothing.
func (a *OIDC) Authenticate(r *Request) Verdict {
	switch string(r.Path) { // no allocation: the compiler compares in place
	case a.options.Callback:
		v := a.callback(r)
		v.Private = true
		return v
	case a.options.Logout:
		return a.logout(r)
	}
	s, why := a.session(r)
	if s == nil {
		return a.login(r, why)
	}
	return Verdict{User: s.user, Fields: s.fields, Claims: s.claims}
}

// session is that of the request's cookie, nil with the reason where there is none.
func (a *OIDC) session(r *Request) (*session, Why) {
	value := r.Header.CookieValue(a.sessionCookie)
	found := len(value) > 0
	switch {
	case !found:
		return nil, LoginRequired
	case len(value) > mostSession:
		return nil, SessionInvalid
	}
	id := sessionID(r.Host, value)
	s, known := a.known.Get(id)
	if !known {
		if s = a.open(r, value); s == nil {
			return nil, SessionInvalid
		}
		a.known.Add(id, s)
		if a.ended.Contains(id) { // asked behind Add, as logout does it the other way round: one of two at once sees the other
			a.known.Remove(id)
			return nil, SessionInvalid
		}
	}
	if !r.Now.Before(s.until) {
		return nil, SessionExpired
	}
	return s, 0
}

// sessionID is what a cookie is remembered by: a session of one host is none at another.
func sessionID(host, value []byte) [sha256.Size]byte {
	var text [mostHost + 1 + mostSession]byte
	n := len(appendHost(text[:0], host))
	n++ // a NUL, which no host has
	n += copy(text[n:], value)
	return sha256.Sum256(text[:n])
}

func (a *OIDC) open(r *Request, value []byte) *session {
	text := a.sessions.open(value, a.boundTo(r.Host), r.Now)
	var c sealedSession
	if text == nil || json.Unmarshal(text, &c) != nil {
		return nil
	}
	s := &session{user: []byte(c.User), fields: []byte(c.Fields), until: time.Unix(c.Until, 0)}
	for _, claim := range c.Claims {
		s.claims = append(s.claims, Claim{claim[0], []byte(claim[1])})
	}
	return s
}

func (a *OIDC) boundTo(host []byte) string { return a.bound + " " + string(appendHost(nil, host)) }

// mostHost is more than any host that message.ValidHost takes.
const mostHost = 264

// appendHost appends the host that cookies are for: without a port, in lower case, without a dot at its end.
func appendHost(b, host []byte) []byte {
	end := len(host)
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			end = i
			break
		}
	}
	if end > 0 && host[end-1] == '.' {
		end--
	}
	for _, c := range host[:min(end, mostHost)] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// Owns reports a field of requests that only weir writes: clients' own are taken out.
func (a *OIDC) Owns(name []byte) bool {
	for _, field := range a.owned {
		if sameField(name, field) {
			return true
		}
	}
	return false
}

// OwnsCookie reports the cookies of the session and of the way to it.
func (a *OIDC) OwnsCookie(name []byte) bool {
	return string(name) == a.sessionCookie || string(name) == a.loginCookie
}

// Reload has nothing to read.
func (a *OIDC) Reload() error { return nil }

// Good reports whether the provider was found when it was last looked for, and has answered the last login.
func (a *OIDC) Good() bool {
	return !a.provider.failing.Load() && a.provider.current.Load() != nil && !a.lacking.Load()
}

// Close ends the goroutine.
func (a *OIDC) Close() { a.provider.close() }

// navigates reports a request by which a browser opens a page: only that can be sent elsewhere and come back.
func navigates(r *Request) bool {
	if m := string(r.Method); m != "GET" && m != "HEAD" {
		return false
	}
	if mode, ok := r.Header.Get("Sec-Fetch-Mode"); ok && string(mode) != "navigate" {
		return false
	}
	for i := r.Header.Find(message.Accept, 0); i >= 0; i = r.Header.Find(message.Accept, i+1) {
		for list := r.Header.At(i).Value(); len(list) > 0; {
			var item []byte
			item, list = message.NextToken(list)
			if message.EqualFold(message.Bare(item), "text/html") {
				return true
			}
		}
	}
	return false
}
