package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// loginState is a login under way, sealed into the state parameter: it comes back by the browser that it was sent with. What ties it to that browser is the key in its
// login cookie, of which the PKCE verifier and the nonce are derived: a state, or a code, in another browser is worth nothing. One cookie serves any number of tabs.
type loginState struct {
	ID      string `json:"i"` // random; good once
	Browser string `json:"b"` // digest of the browser's key
	Began   int64  `json:"t"` // Unix seconds
	Return  string `json:"r"` // path on the same host
}

var (
	errNotFound   = errors.New("the provider has not been found yet")
	errNotSecure  = errors.New("log in over https: a session over http would be anybody's on the way")
	errNoCookie   = errors.New("this browser has not begun to log in, or sends no cookies")
	errState      = errors.New("the state is none of ours for this browser and host")
	errStateLate  = errors.New("the login took too long")
	errStateUsed  = errors.New("the state has been used")
	errIssuer     = errors.New("the answer names another issuer (RFC 9207)")
	errNoCode     = errors.New("the answer has no code")
	errNotGET     = errors.New("the provider's answer comes by GET")
	errOtherSite  = errors.New("another site cannot end a session")
	errQuery      = errors.New("the answer's parameters cannot be read")
	errProviderNo = errors.New("the provider refused")
)

func (a *OIDC) deny(status int, why Why, err error) Verdict {
	if err != nil {
		err = fmt.Errorf("auth %s: %w", a.options.Name, err)
	}
	d := &Denial{Status: status, Why: why, Err: err}
	if status == http.StatusUnauthorized {
		d.Challenge = a.challenge
	}
	return Verdict{Denial: d}
}

// login sends a browser that opens a page to the provider; others cannot log in.
func (a *OIDC) login(r *Request, why Why) Verdict {
	p := a.provider.current.Load()
	switch {
	case !navigates(r):
		return a.deny(http.StatusUnauthorized, why, nil)
	case !r.Secure:
		return a.deny(http.StatusForbidden, LoginInsecure, errNotSecure)
	case p == nil:
		if a.provider.renew(r) == left {
			return a.deny(499, Gone, nil)
		}
		if p = a.provider.current.Load(); p == nil {
			return a.deny(http.StatusServiceUnavailable, Unavailable, errNotFound)
		}
	}
	key := browserKey(r, a.loginCookie)
	if key == "" {
		key = rand.Text() + rand.Text() // 260 bits
	}
	s := loginState{ID: rand.Text(), Browser: digest(key), Began: r.Now.Unix(), Return: returnURL(r)}
	text, err := json.Marshal(s)
	if err != nil {
		return a.deny(http.StatusServiceUnavailable, Unavailable, err)
	}
	state, err := a.states.seal(text, a.boundTo(r.Host), r.Now)
	if err != nil {
		return a.deny(http.StatusServiceUnavailable, Unavailable, err)
	}
	to := a.client(p, r.Host).AuthCodeURL(state, oidc.Nonce(derived(key, s.ID, "nonce")), oauth2.S256ChallengeOption(derived(key, s.ID, "verifier")))
	return Verdict{
		Denial: &Denial{Status: http.StatusFound, Why: why},
		Answer: redirect(http.StatusFound, to, setCookie(a.loginCookie, key, loginTime)),
	}
}

// client is weir to the provider. It is at one address for each host: cookies are of hosts.
func (a *OIDC) client(p *described, host []byte) *oauth2.Config {
	return &oauth2.Config{
		ClientID: a.options.ClientID, ClientSecret: a.options.ClientSecret, Endpoint: p.endpoint,
		RedirectURL: "https://" + strings.ToLower(string(host)) + a.options.Callback, Scopes: append([]string{oidc.ScopeOpenID}, a.options.Scopes...),
	}
}

// browserKey is the key in a browser's login cookie, "" if there is none of the form that ours have.
func browserKey(r *Request, name string) string {
	value := r.Header.CookieValue(name)
	if len(value) != 2*len(rand.Text()) {
		return ""
	}
	for _, c := range value {
		if !('A' <= c && c <= 'Z' || '2' <= c && c <= '7') {
			return ""
		}
	}
	return string(value)
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// derived is a secret of one login for one use: 43 letters, as RFC 7636 §4.1 wants of a verifier at least.
func derived(key, id, use string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(use + " " + id))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// returnURL is where the browser goes when it has logged in: what it asked for, if a browser takes that for a path of the same host. "//host" and "/\host" are
// other hosts to it, and it drops white space and controls before it looks.
func returnURL(r *Request) string {
	to := string(r.Path)
	if r.Query != nil {
		to += "?" + string(r.Query)
	}
	if len(to) > mostReturnURL || to == "" || to[0] != '/' || len(to) > 1 && (to[1] == '/' || to[1] == '\\') {
		return "/"
	}
	for i := range len(to) {
		if to[i] <= ' ' || to[i] >= 0x7f || to[i] == '\\' {
			return "/"
		}
	}
	return to
}

// logout ends the browser's session. Pages of other sites cannot do it to somebody.
func (a *OIDC) logout(r *Request) Verdict {
	if site, ok := r.Header.Get("Sec-Fetch-Site"); ok && string(site) == "cross-site" {
		return a.deny(http.StatusForbidden, LoginFailed, errOtherSite)
	}
	v := Verdict{}
	if s, _ := a.session(r); s != nil {
		value := r.Header.CookieValue(a.sessionCookie)
		id := sessionID(r.Host, value)
		a.ended.Add(id, struct{}{})
		a.known.Remove(id)
		v.User = s.user
	}
	gone := []Field{setCookie(a.sessionCookie, "", 0), setCookie(a.loginCookie, "", 0)}
	if to := a.options.LogoutRedirect; to != "" {
		v.Answer = redirect(http.StatusSeeOther, to, gone...)
		return v
	}
	v.Answer = &Answer{Status: http.StatusOK, Reason: "OK", Fields: append(gone, Field{"Cache-Control", "no-store"}, Field{"Content-Type", "text/html; charset=utf-8"}),
		Body: []byte("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Logged out</title><h1>Logged out</h1></html>\n")}
	return v
}

func redirect(status int, to string, more ...Field) *Answer {
	return &Answer{Status: status, Reason: http.StatusText(status), Fields: append([]Field{{"Location", to}, {"Cache-Control", "no-store"}}, more...)}
}

// setCookie is the field that sets a cookie of this host alone (RFC 6265bis §4.1.3.2), over https alone, that no script reads and that comes along when a page of
// another site links here, as the provider does. With no time to live it is taken away.
func setCookie(name, value string, life time.Duration) Field {
	return Field{"Set-Cookie", fmt.Sprintf("%s=%s; Path=/; Max-Age=%d; Secure; HttpOnly; SameSite=Lax", name, value, int(life/time.Second))}
}
