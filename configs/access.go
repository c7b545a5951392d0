package configs

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

	// basic: user name and password (RFC 7617), which clients send with every request: only over TLS.
	Type AuthType `toml:"type" required:"true" enum:"basic"`
	// What a browser shows to who is asked for a password.
	Realm string `toml:"realm" default:"restricted"`
	// Password file as of htpasswd (or weir hash-password): NAME:HASH a line, "#" begins a comment. Hashes: bcrypt, $5$, $6$, $apr1$, {SSHA},
	// {SHA}; plain text and DES crypt are refused. A changed one is in force within a second, and one with a mistake leaves the users as they
	// were (weir_auth_last_reload_successful).
	UsersFile string `toml:"users_file"`
	// true: the client's Authorization field goes on to the upstream.
	ForwardCredentials bool `toml:"forward_credentials" default:"false"`
}

// AuthType is the kind of an Auth.
type AuthType string

// The kinds.
const (
	AuthBasic AuthType = "basic"
)
