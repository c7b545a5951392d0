package configs

import "time"

// AccessList is who may use the routes that name it in access, by the client's address (that of [client_ip]). Unlike nginx's, order decides nothing: deny
// wins over allow, however exact; where anything is allowed, what is not is denied too. Denied is 403, reason access_denied. Files hold one network or
// address a line, "#" begins a comment; a changed one is in force within a second, and one with a mistake leaves the list as it was
// (weir_access_list_last_reload_successful).
type AccessList struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// Who may pass, as "10.0.0.0/8", "2001:db8::/32" or "10.0.0.1".
	Allow []Network `toml:"allow"`
	// Who may not, in the same words.
	Deny []Network `toml:"deny"`
	// File with more of those that may pass; an empty one allows nobody.
	AllowFile string `toml:"allow_file"`
	// File with more of those that may not.
	DenyFile string `toml:"deny_file"`
}

// Auth is a way to find out who asks, for the routes that name it in auth. Who does not pass is answered 401. The upstream is told by X-Forwarded-User who
// passed; clients' own fields of that name are taken out, with underscores in it too. The access log has it as user.
type Auth struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// basic: user name and password (RFC 7617), which clients send with every request: only over TLS. jwt: a signed token (RFC 6750, RFC 7519) that an issuer
	// gave the client, as "Authorization: Bearer", verified against the issuer's public keys.
	Type AuthType `toml:"type" required:"true" enum:"basic|jwt"`
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
	// Name of a cookie that the token is taken from when there is no Authorization field. Default: none.
	Cookie string `toml:"cookie"`
	// Claim that says who it is, for X-Forwarded-User and the access log.
	UserClaim string `toml:"user_claim" default:"sub"`
	// Claims that a token must have, as { groups = "staff" }: of a list (or the words of scope) one must be it. Otherwise 403, claim_refused.
	Require FieldSet `toml:"require"`
	// Claims that the upstream is told in fields, as { email = "X-Email" }, the elements of a list joined by commas. Clients' own fields of these names are
	// taken out, with underscores in them too.
	ClaimHeaders FieldSet `toml:"claim_headers"`
	// true: the client's Authorization field goes on to the upstream.
	ForwardCredentials bool `toml:"forward_credentials" default:"false"`
}

// AuthType is the kind of an Auth.
type AuthType string

// The kinds.
const (
	AuthBasic AuthType = "basic"
	AuthJWT   AuthType = "jwt"
)
