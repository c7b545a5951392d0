package auth

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/valor-ivx/weir/proxy/message"
)

// callback is where the provider sends a browser back to.
func (a *OIDC) callback(r *Request) Verdict {
	if string(r.Method) != "GET" {
		return a.deny(http.StatusBadRequest, LoginFailed, errNotGET)
	}
	if !r.Secure {
		return a.deny(http.StatusForbidden, LoginInsecure, errNotSecure)
	}
	q, err := url.ParseQuery(string(r.Query))
	if err != nil {
		return a.deny(http.StatusBadRequest, LoginFailed, errQuery)
	}
	key := browserKey(r, a.loginCookie)
	s, err := a.returned(r, q, key)
	if err != nil {
		return a.deny(http.StatusBadRequest, LoginFailed, err)
	}
	p := a.provider.current.Load()
	if p == nil {
		return a.deny(http.StatusServiceUnavailable, Unavailable, errNotFound)
	}
	if known := a.used.Contains(s.ID); known { // the provider should refuse its code too
		return a.deny(http.StatusBadRequest, LoginFailed, errStateUsed)
	}
	a.used.Add(s.ID, struct{}{})
	return a.redeem(r, redemption{a.client(p, r.Host), p.verifier, q.Get("code"), derived(key, s.ID, "verifier"), derived(key, s.ID, "nonce"), s.Return})
}

// returned is the login that an answer of the provider's belongs to.
func (a *OIDC) returned(r *Request, q url.Values, key string) (*loginState, error) {
	if key == "" {
		return nil, errNoCookie
	}
	s := &loginState{}
	if len(q["state"]) != 1 || json.Unmarshal(a.states.open([]byte(q.Get("state")), a.boundTo(r.Host), r.Now), s) != nil ||
		subtle.ConstantTimeCompare([]byte(s.Browser), []byte(digest(key))) != 1 {
		return nil, errState
	}
	age := r.Now.Sub(time.Unix(s.Began, 0))
	switch {
	case age > loginTime || age < -a.options.Leeway:
		return nil, errStateLate
	case q.Has("iss") && q.Get("iss") != a.options.Issuer:
		return nil, errIssuer
	case q.Has("error"):
		return nil, fmt.Errorf("%w: %s", errProviderNo, errorCode(q.Get("error")))
	case len(q["code"]) != 1 || q.Get("code") == "":
		return nil, errNoCode
	}
	return s, nil
}

// errorCode is a code of the provider's for the log (RFC 6749 §4.1.2.1), without what anybody may have written in its place.
func errorCode(text string) string {
	if text == "" || len(text) > 64 || !message.All(text, message.TokenByte) {
		return "unknown"
	}
	return text
}

// redemption is a code and what makes it good.
type redemption struct {
	client                 *oauth2.Config
	verifier               *oidc.IDTokenVerifier
	code, proof, nonce, to string
}

// redeem waits for the token that the code is good for, or until the client leaves.
func (a *OIDC) redeem(r *Request, c redemption) Verdict {
	until := time.Now().Add(fetchTimeout)
	switch r.await(a.slots, nil, fetchTimeout) {
	case left:
		return a.deny(499, Gone, nil)
	case late:
		return a.deny(http.StatusServiceUnavailable, Unavailable, errForwardBusy)
	}
	ctx, cancel := context.WithDeadline(oidc.ClientContext(context.Background(), a.provider.client), until)
	defer cancel()
	var token *oidc.IDToken
	var err error
	done := make(chan struct{})
	go func() { // ends with ctx
		defer func() { a.slots <- struct{}{} }()
		token, err = c.token(ctx)
		close(done)
	}()
	switch r.await(done, nil, time.Until(until)) {
	case left:
		return a.deny(499, Gone, nil)
	case late:
		a.lacking.Store(true)
		return a.deny(http.StatusServiceUnavailable, Unavailable, errForwardLate)
	}
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return a.deny(http.StatusBadRequest, LoginFailed, err)
	case err != nil:
		a.lacking.Store(true)
		return a.deny(http.StatusServiceUnavailable, Unavailable, err)
	}
	a.lacking.Store(false)
	return a.begin(r, token, c.to)
}

// refusedError is of a code or token that is no good, unlike one of a provider that could not be asked.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// token asks for the token and verifies it. Its errors hold nothing of what was sent or received but error codes.
func (c *redemption) token(ctx context.Context) (*oidc.IDToken, error) {
	got, err := c.client.Exchange(ctx, c.code, oauth2.VerifierOption(c.proof))
	var said *oauth2.RetrieveError
	switch {
	case errors.As(err, &said) && said.Response.StatusCode >= 400 && said.Response.StatusCode < 500:
		return nil, &refusedError{"the provider gives no token for the code: " + errorCode(said.ErrorCode)}
	case errors.As(err, &said):
		return nil, fmt.Errorf("ask the provider for a token: status %d", said.Response.StatusCode)
	case err != nil:
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, fmt.Errorf("ask the provider for a token: %w", err)
	}
	raw, _ := got.Extra("id_token").(string)
	if raw == "" {
		return nil, &refusedError{"the provider's answer has no id_token"}
	}
	token, err := c.verifier.Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, &refusedError{"the id_token has expired: compare the clocks"}
	case err != nil && strings.Contains(err.Error(), "fetching keys"):
		return nil, errors.New("fetch the provider's keys")
	case err != nil:
		return nil, &refusedError{"the id_token does not verify: it is not of this issuer, for this client, or signed by its keys"}
	case subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(c.nonce)) != 1:
		return nil, &refusedError{"the id_token is of another login"}
	}
	return token, nil
}

// begin gives the browser a session, if the claims let it in.
func (a *OIDC) begin(r *Request, token *oidc.IDToken, to string) Verdict {
	var raw json.RawMessage
	var claims map[string]any
	err := token.Claims(&raw)
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err != nil || d.Decode(&claims) != nil {
		return a.deny(http.StatusBadRequest, LoginFailed, errors.New("the id_token's claims cannot be read"))
	}
	if azp, there := claims["azp"]; there && azp != a.options.ClientID { // OpenID Connect Core 1.0 §3.1.3.7
		return a.deny(http.StatusBadRequest, LoginFailed, errors.New("the id_token is for another client"))
	}
	s, ok := a.told(claims)
	if !ok {
		return a.deny(http.StatusBadRequest, LoginFailed, errors.New("a claim of the id_token cannot be a header field"))
	}
	if !a.admits(claims) {
		v := a.deny(http.StatusForbidden, ClaimRefused, nil)
		v.User = []byte(s.User)
		return v
	}
	s.Until = r.Now.Add(a.options.Session).Unix()
	text, err := json.Marshal(s)
	if err != nil {
		return a.deny(http.StatusServiceUnavailable, Unavailable, err)
	}
	sealed, err := a.sessions.seal(text, a.boundTo(r.Host), r.Now)
	if err != nil {
		return a.deny(http.StatusServiceUnavailable, Unavailable, err)
	}
	field := setCookie(a.sessionCookie, sealed, a.options.Session)
	if len(field.Value) > mostSession {
		return a.deny(http.StatusBadRequest, LoginFailed, fmt.Errorf("the session does not fit into a cookie: %d bytes of %d; take fewer claim_headers", len(field.Value), mostSession))
	}
	return Verdict{User: []byte(s.User), Answer: redirect(http.StatusSeeOther, to, field)}
}

// told puts together who a client is and what the upstream is told of it; false for claims that no field can carry.
func (a *OIDC) told(claims map[string]any) (s sealedSession, ok bool) {
	s.User = text(claims[a.options.UserClaim])
	if !presentable(s.User) {
		return s, false
	}
	if s.User != "" {
		s.Fields = userField + ": " + s.User + "\r\n"
	}
	for _, name := range sortedKeys(a.options.Headers) {
		value := text(claims[name])
		if !presentable(value) {
			return s, false
		}
		if value != "" {
			s.Fields += a.options.Headers[name] + ": " + value + "\r\n"
		}
	}
	for _, name := range a.options.Keep {
		if value := text(claims[name]); value != "" {
			s.Claims = append(s.Claims, [2]string{name, value})
		}
	}
	return s, true
}

// admits holds the claims to the patterns. An address that the provider itself does not vouch for is nobody's.
func (a *OIDC) admits(claims map[string]any) bool {
	o := &a.options
	if len(o.Email)+len(o.Groups) == 0 {
		return true
	}
	email, _ := claims["email"].(string)
	verified, said := claims["email_verified"]
	if email != "" && (!said || verified == true || verified == "true") && matchesOne(o.Email, strings.ToLower(email), "@") {
		return true
	}
	groups, many := claims["groups"].([]any)
	if !many {
		groups = []any{claims["groups"]}
	}
	for _, g := range groups {
		if name, ok := g.(string); ok && matchesOne(o.Groups, name, "") {
			return true
		}
	}
	return false
}
