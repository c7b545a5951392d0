package configs

import (
	"net/url"
	"strings"
)

// oidc checks an authentication by an OpenID provider.
func (c checker) oidc(a *Auth, path string) {
	c.needs(a, path, "issuer")
	c.needs(a, path, "client_id")
	if at := joinKey(path, "issuer"); c.pos.has(at) && !c.bad(at) {
		c.secureURL(at, a.Issuer)
		if u, err := url.Parse(a.Issuer); err == nil && u.RawQuery != "" && !c.bad(at) {
			c.value(at, "issuer %s has a query: an issuer has none", c.quote(at, a.Issuer))
		}
	}
	if at := joinKey(path, "client_id"); c.pos.has(at) && a.ClientID == "" && !c.bad(at) {
		c.value(at, "client_id is empty")
	}
	c.emptyList(joinKey(path, "scopes"), len(a.Scopes))
	for i, s := range a.Scopes {
		at := joinIndex(joinKey(path, "scopes"), i)
		if !c.bad(at) && (s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })) {
			c.value(at, "scope %s is no scope: visible ASCII without spaces, quotes and backslashes", c.quote(at, s))
		}
	}
	c.ownPath(joinKey(path, "callback"), a.Callback)
	c.ownPath(joinKey(path, "logout"), a.Logout)
	if at := joinKey(path, "logout"); a.Logout == a.Callback && !c.bad(at) && !c.bad(joinKey(path, "callback")) {
		c.key(path, "callback and logout are the same path")
	}
	if at := joinKey(path, "logout_redirect"); c.pos.has(at) && !c.bad(at) {
		local := strings.HasPrefix(a.LogoutRedirect, "/") && !strings.HasPrefix(a.LogoutRedirect, "//") && !strings.Contains(a.LogoutRedirect, `\`)
		if wrong := fieldValue(a.LogoutRedirect); wrong != "" || strings.Contains(a.LogoutRedirect, " ") {
			c.value(at, "logout_redirect %s is no URL", c.quote(at, a.LogoutRedirect))
		} else if !local {
			c.secureURL(at, a.LogoutRedirect)
		}
	}
	if at := joinKey(path, "user_claim"); a.UserClaim == "" && !c.bad(at) {
		c.value(at, "user_claim is empty")
	}
	c.claimHeaders(a, joinKey(path, "claim_headers"))
	c.authCA(a, path)
	if at := joinKey(path, "allow"); a.Allow != nil && !c.bad(at) {
		c.patterns(a, at, map[string][]string{"email": a.Allow.Email, "groups": a.Allow.Groups})
	}
}

// ownPath is a path that weir answers itself, in the one form in which requests are compared to it.
func (c checker) ownPath(at, p string) {
	if c.bad(at) {
		return
	}
	plain := strings.HasPrefix(p, "/") && len(p) > 1 && len(p) <= 200 && !strings.HasSuffix(p, "/") && !strings.Contains(p, "//") && !strings.Contains(p+"/", "/./") && !strings.Contains(p+"/", "/../")
	if !plain || strings.ContainsFunc(p, func(r rune) bool { return (r >= 0x80 || !isAlnum(byte(r))) && !strings.ContainsRune("/._~-", r) }) {
		c.value(at, "%s %s is no path of letters, digits and . _ ~ - between slashes", lastKey(at), c.quote(at, p))
	}
}
