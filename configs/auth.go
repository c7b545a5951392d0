package configs

import "time"

// Auth is a way to find out who asks, for the routes that name it in auth. Who does not pass is answered 401 or 403. The upstream is told by X-Forwarded-User
// who passed; clients' own fields of that name are taken out, with underscores in it too. The access log has it as user. docs/auth.md has an example of each type.
type Auth struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// basic: user name and password (RFC 7617), which clients send with every request: only over TLS. jwt: a signed token (RFC 6750, RFC 7519) that an issuer
	// gave the client, as "Authorization: Bearer", verified against the issuer's public keys. mtls: the certificate that the client has shown for the connection, as
	// [[tls.client_auth]] asks for it; every host of the route must have one. forward: the word of a service that is asked about each request, as of nginx's
	// auth_request and Traefik's forwardAuth. oidc: a login at an OpenID provider (authorization code with PKCE), kept in a sealed cookie of weir's own; only over TLS.
	Type AuthType `toml:"type" required:"true" enum:"basic|jwt|mtls|forward|oidc"`
	// What a browser shows to who is asked for a password; for tokens, a name for what they open.
	Realm string `toml:"realm" default:"restricted"`
	// Type basic: password file as of htpasswd (or weir hash-password): NAME:HASH a line, "#" begins a comment. Hashes: bcrypt, $5$, $6$, $apr1$, {SSHA},
	// {SHA}; plain text and DES crypt are refused. A changed one is in force within a second, and one with a mistake leaves the users as they
	// were (weir_auth_last_reload_successful).
	UsersFile string `toml:"users_file"`
	// Types jwt and oidc: who must have given the token, its iss. For oidc it is an https URL (http on loopback) beneath which the provider describes itself; it is looked for in
	// the background, and while it is away sessions go on and logins are 503, auth_unavailable.
	Issuer string `toml:"issuer"`
	// For whom: one of these must be among its aud. Default: for anybody, which check and reload warn of.
	Audience []string `toml:"audience" single:"true"`
	// Where the issuer's keys are: an https URL (http on loopback) of a JWK set, fetched at the start, every jwks_refresh, and for a token with a new key, the
	// latter at most every 10 s. While the issuer is away its last keys stay; before the first ones tokens are answered 503, keys_unavailable.
	JWKSURL string `toml:"jwks_url"`
	// How often the keys are fetched.
	JWKSRefresh time.Duration `toml:"jwks_refresh" default:"15m" min:"10s" max:"24h"`
	// In place of jwks_url: a file with a JWK set, or PEM public keys or certificates. Followed as users_file is.
	KeysFile string `toml:"keys_file"`
	// Algorithms that a token may be signed by. A shared secret (HS256) or none at all never.
	Algorithms []string `toml:"algorithms" default:"RS256,ES256,EdDSA" enum:"RS256|RS384|RS512|PS256|PS384|PS512|ES256|ES384|ES512|EdDSA"`
	// By how much clocks may differ where a token begins and ends. One without an end (exp) is refused.
	Leeway time.Duration `toml:"leeway" default:"30s" min:"0s" max:"10m"`
	// Name of a cookie that the token is taken from when there is no Authorization field. It is not sent on to the upstream. Default: none.
	Cookie string `toml:"cookie"`
	// Claim that says who it is, for X-Forwarded-User and the access log.
	UserClaim string `toml:"user_claim" default:"sub"`
	// Claims that a token must have, as { groups = "staff" }: of a list (or the words of scope) one must be it. Otherwise 403, claim_refused.
	Require FieldSet `toml:"require"`
	// Claims that the upstream is told in fields, as { email = "X-Email" }, the elements of a list joined by commas. Clients' own fields of these names are
	// taken out, with underscores in them too.
	ClaimHeaders FieldSet `toml:"claim_headers"`
	// Type forward: where the service is asked, by GET without a body, an http or https URL. It is told of the request by X-Forwarded-Method, -Proto, -Host, -Uri and
	// -For (X-Original-Method and X-Original-URI say the same as two of them), X-Real-IP and X-Request-ID. 2xx lets the request in. Any other answer is the client's:
	// status, fields and up to 64 KiB of body, reason auth_refused; redirects are not followed. Without one in time the request is answered 503, auth_unavailable.
	URL string `toml:"url"`
	// Type forward: fields of the request that the service is sent. Default: all that do not belong to the body, the connection, conditions or ranges.
	RequestHeaders []string `toml:"request_headers"`
	// Type forward: fields of its 2xx answer that the upstream is sent. Clients' own fields of these names are taken out, with underscores in them too.
	ResponseHeaders []string `toml:"response_headers"`
	// Type forward: field of its 2xx answer that says who it is, for X-Forwarded-User and the access log. Clients' own is taken out.
	UserHeader string `toml:"user_header" default:"X-Forwarded-User"`
	// Type forward: how long its answer may take. 256 questions are under way at a time, more wait within this time.
	Timeout time.Duration `toml:"timeout" default:"5s" min:"10ms" max:"1m"`
	// Type oidc: as what weir is registered with the provider. The redirect URI to register is https://HOST followed by callback, for each host.
	ClientID string `toml:"client_id"`
	// Type oidc: its password there, as "${file:secret}" or "${NAME}". Default: none (a public client, by PKCE alone).
	ClientSecret Secret `toml:"client_secret"`
	// Type oidc: what is asked for besides openid.
	Scopes []string `toml:"scopes" default:"email,profile"`
	// Type oidc: path that the provider sends browsers back to. A route with this auth must take it, for each host of its routes; the upstream never sees it.
	Callback string `toml:"callback" default:"/.weir/oauth/callback"`
	// Type oidc: path that ends the session, likewise.
	Logout string `toml:"logout" default:"/.weir/oauth/logout"`
	// Type oidc: where the browser goes then: a path, or an https URL such as the provider's own for it. Default: a page that says so.
	LogoutRedirect string `toml:"logout_redirect"`
	// Type oidc: how long a login lasts. It is not made longer by requests; the provider may let the browser in again without a question.
	Session time.Duration `toml:"session" default:"8h" min:"1m" max:"720h"`
	// Types mtls and oidc: who may come in.
	Allow *AuthAllow `toml:"allow"`
	// PEM file with the CAs that are trusted in place of the system's for jwks_url, url or issuer. A changed one is in force with the next reload.
	CA string `toml:"ca"`
	// true: the client's Authorization field, and the cookie that says who it is, go on to the upstream.
	ForwardCredentials bool `toml:"forward_credentials" default:"false"`

	CAPEM []byte `toml:"-"` // contents of CA as read at load
}

// AuthAllow is who may come in: one match of any list is enough. Others are 403, certificate_refused or claim_refused. In a pattern "*" stands for one or more characters of one
// part of the text.
type AuthAllow struct {
	// Type mtls: subjects of certificates as the access log has them (RFC 4514), "CN=*,O=Example". "*" is within one attribute and stands for nothing that is escaped.
	Subject []string `toml:"subject" single:"true"`
	// Type mtls: DNS names of certificates, "*.clients.example.com"; "*" is within one label.
	DNS []string `toml:"dns" single:"true"`
	// Type mtls: URIs of certificates, "spiffe://example.com/ns/*/sa/web"; "*" is within one segment.
	URI []string `toml:"uri" single:"true"`
	// Addresses of certificates, or of the claim email unless email_verified is false: "*@example.com"; "*" is on one side of the at sign. Letter case does not matter.
	Email []string `toml:"email" single:"true"`
	// Type oidc: names in the claim groups, "team-*".
	Groups []string `toml:"groups" single:"true"`
}

// AuthType is the kind of an Auth.
type AuthType string

// The kinds.
const (
	AuthBasic AuthType = "basic"
	AuthJWT   AuthType = "jwt"
	AuthMTLS  AuthType = "mtls"
	// AuthOIDC sends browsers to a provider.
	AuthOIDC AuthType = "oidc"
	// AuthForward asks a service.
	AuthForward AuthType = "forward"
)
