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
