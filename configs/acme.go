package configs

// ACME is an automatic source of certificates (RFC 8555). They are obtained for exactly the host names and
// IP addresses of the routes that no static certificate covers, kept in state_dir/certificates and renewed.
// Names must lead to this machine from where the CA is.
type ACME struct {
	// Contact that the CA may write to. Optional with most CAs.
	Email string `toml:"email"`
	// Directory URL of the CA, or a list of them: the next is asked when one gives no certificate.
	Directories []string `toml:"directory" default:"https://acme-v02.api.letsencrypt.org/directory" single:"true"`
	// PEM file with the roots to trust for the directory instead of the system's: for a private CA.
	RootCA string `toml:"root_ca"`
	// Ways to prove control of a name: "tls-alpn-01" on a TLS listener (port 443 from outside), "http-01" on a
	// plain one (port 80 from outside).
	Challenges []string `toml:"challenges" default:"tls-alpn-01,http-01" enum:"tls-alpn-01|http-01"`
	// Certificate profile of the CA, as "shortlived" or "tlsserver". Default: the CA's.
	Profile string `toml:"profile"`

	RootPEM []byte   `toml:"-"` // contents of RootCA as read at load
	Hosts   []string `toml:"-"` // what to obtain certificates for, in the order of the routes; IPv6 without brackets
}
