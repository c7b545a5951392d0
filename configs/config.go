package configs

import "time"

// Config is one configuration file after loading: expanded, typed, with every default filled in.
// It is a value: nothing in it changes after Load or Parse returns, and it may be shared freely.
type Config struct {
	Admin       Admin        `toml:"admin"`
	Log         Log          `toml:"log"`
	Recorder    Recorder     `toml:"recorder"`
	Tracing     *Tracing     `toml:"tracing"`    // nil: none
	ClientIP    *ClientIP    `toml:"client_ip"`  // nil: no proxy is trusted
	Cluster     *Cluster     `toml:"cluster"`    // nil: this process alone
	Kubernetes  *Kubernetes  `toml:"kubernetes"` // nil: the defaults, see KubernetesAPI
	TLS         TLS          `toml:"tls"`
	Listeners   []Listener   `toml:"listener"` // in file order
	Headers     []Headers    `toml:"headers"`  // sorted by name
	Limits      []Limit      `toml:"limit"`    // sorted by name
	AccessLists []AccessList `toml:"access"`   // sorted by name
	Auths       []Auth       `toml:"auth"`     // sorted by name
	WAFs        []WAF        `toml:"waf"`      // sorted by name
	Services    []Service    `toml:"service"`  // sorted by name
	Routes      []Route      `toml:"route"`    // in file order

	// Files lists every file the configuration was read from, sorted: the file itself (when it came
	// from Load), certificates, keys and ${file:…} references. A change to any of them can change Digest.
	Files []string `toml:"-"`
}

// Admin is the operator's side: API, metrics, dashboard and the state that outlives a process.
type Admin struct {
	// Where the admin API, /metrics and the dashboard listen: IP:PORT, or "unix:///run/weir/admin.sock", which only its user may use, and its
	// group where the umask lets it.
	Address AdminAddress `toml:"address" default:"127.0.0.1:9180"`
	// Bearer token every admin request must carry. Required unless the address is loopback or a unix
	// socket. Write it as ${VAR} or ${file:PATH} so that it stays out of the file.
	Token Secret `toml:"token"`
	// Folder for the runtime overlay (weights, drains), the stickiness secret and certificates.
	// Default: $STATE_DIRECTORY, else /var/lib/weir as root, else $XDG_STATE_HOME/weir or
	// ~/.local/state/weir.
	StateDir string `toml:"state_dir"`
}

// Log says what is written and where.
type Log struct {
	// Least severe level that is written: debug, info, warn or error.
	Level string `toml:"level" default:"info" enum:"debug|info|warn|error"`
	// Form of the access log, one line per request: json, combined (byte for byte what nginx and
	// Apache write, for fail2ban and GoAccess) or off.
	Access Access `toml:"access" default:"json" enum:"json|combined|off"`
	// "stdout", "stderr" or the path of a file, which is reopened on SIGUSR1.
	Output string `toml:"output" default:"stdout"`
	// Where access lines go, if not to output: the same kinds of places. A file that fail2ban or GoAccess read holds nothing else then.
	AccessOutput string `toml:"access_output"`
	// Where the audit log goes (every write through the admin API: who, what, before, after), if not to output: the same kinds of places. Nothing of it is ever left out, whatever level says.
	Audit string `toml:"audit"`
	// Share of access lines that is written, by chance: 0.1 is one in ten. Always written are status 400 and more, what took slow or longer, was tried again, was ended by weir for a reason, matched a
	// firewall's rule, or is a gRPC call that failed. The JSON form has the share as weir.sample_rate in the lines that chance has let through, so that counts can be divided by it; combined has no place for it. What is left
	// out is counted in weir_log_sampled_out_total.
	Sample float64 `toml:"sample" default:"1" min:"0" max:"1"`
	// With sample: from when on a request is a slow one, whose line is always written. Its whole time, to the end of the answer.
	Slow time.Duration `toml:"slow" default:"1s" min:"1ms" max:"1h"`
	// Query parameters whose values are not written, besides those that are never: password, token, access_token, code, api_key, session and the like (docs/operations.md lists them). Letter case, "-" for "_",
	// percent-encoding and parents (user[pin]) do not matter. In request targets and in Referer.
	RedactQuery []string `toml:"redact_query"`
}

// Access is the form of the access log.
type Access string

// The forms of the access log.
const (
	AccessJSON     Access = "json"
	AccessCombined Access = "combined"
	AccessOff      Access = "off"
)

// TLS is shared by every listener with tls = true.
type TLS struct {
	// Oldest protocol version accepted: "1.2" or "1.3".
	MinVersion string `toml:"min_version" default:"1.2" enum:"1.2|1.3"`
	// How often a new secret seals session tickets; those of the last two are still accepted. They are kept in
	// state_dir/tickets.json, so that clients resume their sessions after a restart too.
	SessionTicketRotation time.Duration `toml:"session_ticket_rotation" default:"12h" min:"1m" max:"168h"`
	// Certificates served by name (SNI); a client that names none, or one nobody has, gets the first.
	Certificates []Certificate `toml:"certificate"`
	// What is asked of clients' certificates, by host; of the others nothing.
	ClientAuths []ClientAuth `toml:"client_auth"`
	// Obtains certificates for the hosts of the routes that none of the above covers.
	ACME *ACME `toml:"acme"`
	// Obtains certificates for names that clients ask for and nobody has one for.
	OnDemand *OnDemand `toml:"on_demand"`
	// Hides the host that clients ask for.
	ECH *ECH `toml:"ech"`
}

// Certificate is one static key pair. Both files are read and checked against each other at load, so
// that what was checked and digested is what gets served.
type Certificate struct {
	// PEM file with the certificate, leaf first, then its intermediates.
	Cert string `toml:"cert" required:"true"`
	// PEM file with the private key of the leaf.
	Key string `toml:"key" required:"true"`

	CertPEM []byte `toml:"-"` // contents of Cert as read at load
	KeyPEM  Secret `toml:"-"` // contents of Key as read at load
}

// Listener is one socket that clients connect to.
type Listener struct {
	// Label in logs and metrics; unique. Default: the address.
	Name string `toml:"name"`
	// IP:PORT or :PORT (every address of the machine). Port 0 lets the system choose. Two listeners
	// must not overlap.
	Address string `toml:"address" required:"true"`
	// true: clients must speak TLS; needs a certificate, or [tls.acme] to obtain them.
	TLS bool `toml:"tls" default:"false"`
	// "https": answer every request for a host and path that a route serves with 308 to the same on the
	// first TLS listener, others with 404. ACME validations are answered as on every plain listener.
	Redirect string `toml:"redirect" enum:"https"`
	// Protocols spoken. On TLS they are offered by ALPN. On a plain listener h2 is HTTP/2 with prior knowledge,
	// which a proxy in front may speak (h2c): the connection's first bytes tell; there is no Upgrade. Default:
	// http/1.1 and h2 with tls = true, else http/1.1. h3 (HTTP/3) needs tls = true and one of the others, on which
	// Alt-Svc advertises it; it listens on the UDP port of the same number.
	Protocols []string `toml:"protocols" default:"http/1.1" enum:"http/1.1|h2|h3"`
	// true: HTTP/3 clients that come back may send requests in their first packet, before the handshake has ended (0-RTT). Somebody
	// who recorded it could send it again, so only safe methods are served, with Early-Data: 1 to the upstream; others get 425.
	EarlyData bool `toml:"early_data" default:"false"`
	// Who begins connections with a PROXY header, v1 or v2, as networks or single addresses: load balancers that pass on TCP or TLS (HAProxy's
	// send-proxy, nginx's proxy_protocol on). From them it is required within 2 s, and the address it states is the client's for
	// limits, logs and forwarded fields; a LOCAL or UNKNOWN one states none. From everybody else it is not read, and a bad request.
	ProxyProtocol []CIDR `toml:"proxy_protocol"`
	// Fields of responses where the route names none, and of those that no route made (400, 404, 408): a [headers.NAME], or a
	// preset: basic, strict, off.
	Headers string `toml:"headers" default:"basic"`

	// What follows bounds clients. A reload changes it for new connections without touching the socket or those that are open.

	// From the first byte of a request's head (on HTTP/2: of a frame or header block) to its last. Beyond it: 408, or GOAWAY.
	HeaderTimeout time.Duration `toml:"header_timeout" default:"10s" min:"100ms" max:"10m"`
	// How long a connection may rest between two requests, and before the first.
	IdleTimeout time.Duration `toml:"idle_timeout" default:"75s" min:"100ms" max:"24h"`
	// How long a request's body may rest between two arrivals. Beyond it: 408.
	BodyTimeout time.Duration `toml:"body_timeout" default:"60s" min:"100ms" max:"24h"`
	// How long a client may take for one write (32 KiB at most), or, on HTTP/2, leave a stream without a window. Beyond it the connection or
	// the stream is reset.
	WriteTimeout time.Duration `toml:"write_timeout" default:"60s" min:"100ms" max:"24h"`
	// Bytes per second that a request's body must bring while weir waits for it: in each body_timeout of waiting at least this many times its
	// seconds, else 408. What the upstream holds up does not count, nor what comes after it began to answer. 0: no such bound.
	MinBodyRate int `toml:"min_body_rate" default:"250" min:"0" max:"1000000000"`
	// Bytes per second of a response that a client must take while weir waits for it, in each write_timeout of waiting likewise; responses of up
	// to 64 KiB are left to write_timeout alone. 0: no such bound.
	MinSendRate int `toml:"min_send_rate" default:"250" min:"0" max:"1000000000"`
	// Connections at a time. One more takes the place of the connection that has been idle for longest; where none is idle it is closed.
	// Default: "0", what the limit of open files leaves room for, two for each connection, all listeners together.
	MaxConnections int `toml:"max_connections" default:"0" min:"0" max:"10000000"`
	// Connections at a time from one client address (IPv6: from one /64); more are closed. 0: any number, because behind one address may be a whole
	// company.
	MaxConnectionsPerIP int `toml:"max_connections_per_ip" default:"0" min:"0" max:"10000000"`
	// Longest request head, at most 32KiB; longer ones are 431.
	MaxHeader Size `toml:"max_header" default:"32KiB"`
	// Longest request target, at most max_header; longer ones are 414. Default: "8KiB", or max_header if that is less.
	MaxURI Size `toml:"max_uri" default:"8KiB"`
}
