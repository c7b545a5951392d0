package configs

import "time"

// Auth is a way to find out who asks, for the routes that name it in auth. Who does not pass is answered 401 or 403. The upstream is told by X-Forwarded-User
// who passed; clients' own fields of that name are taken out, with underscores in it too. The access log has it as user. docs/auth.md has an example of each type.
type Auth struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// basic: user name and password (RFC 7617), which clients send with every request: only over TLS. jwt: a signed token (RFC 6750, RFC 7519) that an issuer
	// gave the client, as "Authorization: Bearer", verified against the issuer's public keys. mtls: the certificate that the client has shown for the connection, as
	// [[tls.client_auth]] asks for it; every host of the route must have one.
	Type AuthType `toml:"type" required:"true" enum:"basic|jwt|mtls"`
	// What a browser shows to who is asked for a password; for tokens, a name for what they open.
	Realm string `toml:"realm" default:"restricted"`
	// Type basic: password file as of htpasswd (or weir hash-password): NAME:HASH a line, "#" begins a comment. Hashes: bcrypt, $5$, $6$, $apr1$, {SSHA},
	// {SHA}; plain text and DES crypt are refused. A changed one is in force within a second, and one with a mistake leaves the users as they
	// were (weir_auth_last_reload_successful).
	UsersFile string `toml:"users_file"`
	// Type jwt: who must have given the token, its iss.
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
	// Type mtls: who may come in.
	Allow *AuthAllow `toml:"allow"`
	// PEM file with the CAs that are trusted in place of the system's for jwks_url.
	CA string `toml:"ca"`
	// true: the client's Authorization field, and the cookie that says who it is, go on to the upstream.
	ForwardCredentials bool `toml:"forward_credentials" default:"false"`

	CAPEM []byte `toml:"-"` // contents of CA as read at load
}

// AuthAllow is who may come in: one match of any list is enough. Others are 403, certificate_refused. In a pattern "*" stands for one or more characters of one
// part of the text.
type AuthAllow struct {
	// Type mtls: subjects of certificates as the access log has them (RFC 4514), "CN=*,O=Example". "*" is within one attribute and stands for nothing that is escaped.
	Subject []string `toml:"subject" single:"true"`
	// Type mtls: DNS names of certificates, "*.clients.example.com"; "*" is within one label.
	DNS []string `toml:"dns" single:"true"`
	// Type mtls: URIs of certificates, "spiffe://example.com/ns/*/sa/web"; "*" is within one segment.
	URI []string `toml:"uri" single:"true"`
	// Addresses of certificates, "*@example.com"; "*" is on one side of the at sign. Letter case does not matter.
	Email []string `toml:"email" single:"true"`
}

// AuthType is the kind of an Auth.
type AuthType string

// The kinds.
const (
	AuthBasic AuthType = "basic"
	AuthJWT   AuthType = "jwt"
	AuthMTLS  AuthType = "mtls"
)
