package configs

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// authKeys are the keys that only some types have.
func authKeys() map[AuthType][]string {
	return map[AuthType][]string{
		AuthBasic: {"realm", "users_file", "forward_credentials"},
		AuthJWT:   {"realm", "forward_credentials", "issuer", "audience", "jwks_url", "jwks_refresh", "keys_file", "algorithms", "leeway", "cookie", "user_claim", "require", "claim_headers", "ca"},
		AuthMTLS:  {"allow"},
		AuthOIDC: {"realm", "forward_credentials", "issuer", "leeway", "user_claim", "claim_headers", "client_id", "client_secret", "scopes", "callback", "logout",
			"logout_redirect", "session", "allow", "ca"},
		AuthForward: {"url", "request_headers", "response_headers", "user_header", "timeout", "ca"},
	}
}

// foreign reports a key that belongs to other types alone.
func foreign(t AuthType, key string) (is bool) {
	for typ, keys := range authKeys() {
		if slices.Contains(keys, key) {
			if typ == t {
				return false
			}
			is = true
		}
	}
	return is
}

// foreignKeys refuses keys of another type: they would do nothing.
func (c checker) foreignKeys(a *Auth, path string) {
	for _, keys := range authKeys() {
		for _, key := range keys {
			if at := joinKey(path, key); a.Type != "" && foreign(a.Type, key) && c.pos.has(at) && !c.bad(at) {
				c.key(at, "%s has no use with type = %q", key, a.Type)
				c.fail(at)
			}
		}
	}
}

// needs says that a key is missing.
func (c checker) needs(a *Auth, path, key string) {
	if at := joinKey(path, key); !c.pos.has(at) && !c.bad(at) && !c.bad(path) {
		c.key(path, "auth %q of type %q needs %s", a.Name, a.Type, key)
	}
}

func (c checker) jwt(a *Auth, path string) {
	c.needs(a, path, "issuer")
	if at := joinKey(path, "issuer"); c.pos.has(at) && a.Issuer == "" && !c.bad(at) {
		c.value(at, "issuer is empty")
	}
	at, file := joinKey(path, "jwks_url"), joinKey(path, "keys_file")
	switch {
	case c.bad(at) || c.bad(file):
	case c.pos.has(at) && c.pos.has(file):
		c.value(file, "keys_file and jwks_url are two sources of keys: one is enough")
	case c.pos.has(at):
		c.secureURL(at, a.JWKSURL)
	case !c.pos.has(file):
		c.key(path, "auth %q of type \"jwt\" needs jwks_url or keys_file", a.Name)
	}
	c.followed(file, &a.KeysFile)
	c.authCA(a, path)
	if at := joinKey(path, "ca"); c.pos.has(file) && c.pos.has(at) && !c.bad(at) {
		c.key(at, "ca has no use with keys_file: nothing is fetched")
	}
	c.emptyList(joinKey(path, "audience"), len(a.Audience))
	c.emptyList(joinKey(path, "algorithms"), len(a.Algorithms))
	for i, audience := range a.Audience {
		if at := joinIndex(joinKey(path, "audience"), i); audience == "" && !c.bad(at) {
			c.value(at, "audience is empty")
		}
	}
	if at := joinKey(path, "cookie"); c.pos.has(at) && !c.bad(at) && !isToken(a.Cookie) {
		c.value(at, "cookie %s is no name of a cookie", c.quote(at, a.Cookie))
	}
	if at := joinKey(path, "user_claim"); a.UserClaim == "" && !c.bad(at) {
		c.value(at, "user_claim is empty")
	}
	for _, f := range a.Require {
		if at := joinKey(joinKey(path, "require"), f.Name); f.Value == "" && !c.bad(at) {
			c.value(at, "%s is empty; leave it out to not require it", f.Name)
		}
	}
	c.claimHeaders(a, joinKey(path, "claim_headers"))
}

// claimHeaders: a field that weir or the client's message has a use for is nobody's claim.
func (c checker) claimHeaders(a *Auth, path string) {
	seen := []string{"authorization", "cookie", "host", "content-type", "content-encoding", "forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-proto",
		"x-forwarded-host", "x-forwarded-port", "x-forwarded-user", "expect", "date"}
	taken := len(seen)
	for _, f := range a.ClaimHeaders {
		at, low := joinKey(path, f.Name), strings.ToLower(strings.ReplaceAll(f.Value, "_", "-"))
		if c.bad(at) {
			continue
		}
		wrong := fieldName(f.Value)
		if i := slices.Index(seen, low); i >= taken {
			wrong = "is another claim's too"
		} else if i >= 0 {
			wrong = "is not for claims"
		}
		if wrong != "" {
			c.value(at, "field %s %s", c.quote(at, f.Value), wrong)
		}
		seen = append(seen, low)
	}
}

// secureURL: keys and answers that decide who comes in are not taken from whoever is on the way.
func (c checker) secureURL(path, text string) {
	u, err := url.Parse(text)
	loopback := false
	if err == nil {
		ip, parseErr := netip.ParseAddr(u.Hostname())
		loopback = u.Hostname() == "localhost" || parseErr == nil && ip.IsLoopback()
	}
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
		c.value(path, "%s %s is not an absolute http or https URL without user information and fragment", lastKey(path), c.quote(path, text))
	case u.Scheme == "http" && !loopback:
		c.value(path, "%s %s is http: whoever is on the way could let himself in; https, or http to loopback", lastKey(path), c.quote(path, text))
	}
}

// claimLimits: a limit by a claim needs a token, and comes after it.
func (c checker) claimLimits(rt *Route, route string) {
	path := joinKey(route, "limits")
	if c.bad(path) || c.bad(joinKey(route, "auth")) {
		return
	}
	byToken := slices.ContainsFunc(c.cfg.Auths, func(a Auth) bool { return a.Name == rt.Auth && (a.Type == AuthJWT || a.Type == AuthOIDC) })
	for i, name := range rt.Limits {
		at := joinIndex(path, i)
		by := slices.ContainsFunc(c.cfg.Limits, func(l Limit) bool { return l.Name == name && l.Key.Has(KeyJWT) })
		if by && !byToken && !c.bad(at) {
			c.value(at, "limit %s counts by a claim of a token: the route needs an auth of type \"jwt\" or \"oidc\"", c.quote(at, name))
		}
	}
}
