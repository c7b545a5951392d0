package configs

import "time"

// ACME is an automatic source of certificates (RFC 8555). They are obtained for exactly the host names and
// IP addresses of the routes that no static certificate covers, kept in state_dir/certificates and renewed.
// Names must lead to this machine from where the CA is, unless dns-01 proves them.
type ACME struct {
	// Contact that the CA may write to. Optional with most CAs.
	Email string `toml:"email"`
	// Directory URL of the CA, or a list of them: the next is asked when one gives no certificate. CAs with
	// an account binding, roots or profiles of their own are [[tls.acme.ca]].
	Directories []string `toml:"directory" default:"https://acme-v02.api.letsencrypt.org/directory" single:"true"`
	// PEM file with the roots to trust for the directory instead of the system's: for a private CA.
	RootCA string `toml:"root_ca"`
	// Ways to prove control of a name: "tls-alpn-01" on a TLS listener (port 443 from outside), "http-01" on a
	// plain one (port 80 from outside), "dns-01" by a record that [tls.acme.dns] publishes. Wildcards are proven
	// by dns-01, other names by it only when neither of the other two is possible.
	Challenges []string `toml:"challenges" default:"tls-alpn-01,http-01" enum:"tls-alpn-01|http-01|dns-01"`
	// Certificate profile of the CA, as "shortlived" or "tlsserver". Default: the CA's.
	Profile string `toml:"profile"`
	// DNS servers, IP or IP:PORT, that are asked whether a name leads anywhere and who may issue for it (CAA) before a CA is: where this machine's own show an
	// inner view of the names. Default: the system's.
	Resolvers []string `toml:"resolvers" single:"true"`
	// Who publishes the records of dns-01.
	DNS *ACMEDNS `toml:"dns"`
	// CAs in the order in which they are asked, instead of directory, root_ca and profile.
	CAs []ACMECA `toml:"ca"`

	RootPEM []byte   `toml:"-"` // contents of RootCA as read at load
	Hosts   []string `toml:"-"` // what to obtain certificates for, in the order of the routes; IPv6 without brackets
}

// Authorities are the CAs in the order in which they are asked, however the file names them.
func (a *ACME) Authorities() []ACMECA {
	if len(a.CAs) > 0 {
		return a.CAs
	}
	list := make([]ACMECA, len(a.Directories))
	for i, d := range a.Directories {
		list[i] = ACMECA{Directory: d, RootCA: a.RootCA, Profile: a.Profile, RootPEM: a.RootPEM}
	}
	return list
}

// ACMECA is one of several CAs, the next of which is asked when one gives no certificate.
type ACMECA struct {
	// Directory URL of the CA.
	Directory string `toml:"directory" required:"true"`
	// External account binding (RFC 8555 §7.3.4), for CAs that give certificates to accounts they know only,
	// as ZeroSSL, Google Trust Services and many private ones: the key's id.
	EABKeyID string `toml:"eab_kid"`
	// The key of that binding, in base64url as the CA shows it. Write it as ${VAR} or ${file:PATH}.
	EABKey Secret `toml:"eab_hmac"`
	// PEM file with the roots to trust for the directory instead of the system's.
	RootCA string `toml:"root_ca"`
	// Certificate profile of the CA. Default: the CA's.
	Profile string `toml:"profile"`

	RootPEM []byte `toml:"-"` // contents of RootCA as read at load
}

// ACMEDNS publishes the records of dns-01 (RFC 8555 §8.4). A challenge name that is a CNAME is followed: the
// record is published where it leads.
type ACMEDNS struct {
	// Who publishes: "cloudflare", "route53", "rfc2136" (dynamic updates of BIND, Knot, PowerDNS and others),
	// "acme-dns", "httpreq" (POST of {"fqdn", "value"} to ENDPOINT/present and /cleanup) or "exec" (a program,
	// called with present or cleanup, the record's name and its value).
	Provider string `toml:"provider" required:"true" enum:"cloudflare|route53|rfc2136|acme-dns|httpreq|exec"`
	// DNS servers, IP or IP:PORT, that must have the record before the CA is told, instead of all servers of its
	// zone: for networks that those cannot be reached from.
	Resolvers []string `toml:"resolvers" single:"true"`
	// How long to wait until they all have it.
	PropagationTimeout time.Duration `toml:"propagation_timeout" default:"2m" min:"1s" max:"1h"`

	// cloudflare: API token that may read the zone and edit its records.
	Token Secret `toml:"token"`

	// route53: key that may list and change the zone's records. Default: as the AWS SDK finds one (environment,
	// ~/.aws, the instance's role).
	AccessKeyID string `toml:"access_key_id"`
	// route53: its secret.
	SecretAccessKey Secret `toml:"secret_access_key"`
	// route53: of temporary credentials.
	SessionToken Secret `toml:"session_token"`
	// route53: AWS region, which matters for partitions only. Default: us-east-1.
	Region string `toml:"region"`
	// route53: id of the hosted zone. Default: found by the name.
	HostedZoneID string `toml:"hosted_zone_id"`
	// route53: ARN of a role to take on.
	AssumeRole string `toml:"assume_role"`

	// rfc2136: the primary server that takes updates, HOST or HOST:PORT.
	Nameserver string `toml:"nameserver"`
	// rfc2136: the zone to update. Default: the server is asked.
	Zone string `toml:"zone"`
	// rfc2136: name of the TSIG key (RFC 8945). Default: updates are not signed.
	TSIGKey string `toml:"tsig_key"`
	// rfc2136: its secret, in base64.
	TSIGSecret Secret `toml:"tsig_secret"`
	// rfc2136: its algorithm. Default: hmac-sha256.
	TSIGAlgorithm string `toml:"tsig_algorithm" enum:"hmac-sha1|hmac-sha224|hmac-sha256|hmac-sha384|hmac-sha512"`

	// httpreq, acme-dns: base URL of the service.
	Endpoint string `toml:"endpoint"`
	// httpreq: for basic authentication, optional. acme-dns: of the registration.
	Username string `toml:"username"`
	// httpreq, acme-dns: its password.
	Password Secret `toml:"password"`
	// acme-dns: the registration's subdomain, to which the names' _acme-challenge must lead by CNAME.
	Subdomain string `toml:"subdomain"`

	// exec: path of the program.
	Program string `toml:"program"`
}
