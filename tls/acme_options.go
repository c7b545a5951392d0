package edgetls

import (
	"crypto/x509"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// LetsEncrypt is the directory used when none is configured. ZeroSSL, which contract.md names as its deputy, gives nothing without an external account
// binding (RFC 8555 §7.3.4), which is the operator's: it is asked when it is configured with one.
const LetsEncrypt = certmagic.LetsEncryptProductionCA

// ACMEOptions is what an ACME works with for its whole life; another set makes another ACME.
type ACMEOptions struct {
	Email  string // contact of the accounts; "": none
	CAs    []CA   // tried in order; none: LetsEncrypt
	Folder string // where certificates, keys, accounts and the ledger live; may be shared with other machines

	// Storage keeps certificates, keys, accounts and the answers to challenges under way instead of Folder: replicas that share one share them. nil: Folder.
	Storage certmagic.Storage

	// The listeners of this process that a CA's validations arrive at, IP:PORT, bound before Manage. HTTPAddress answers http-01,
	// TLSAddress tls-alpn-01; an empty one switches its challenge off. certmagic opens a socket of its own where nobody listens,
	// which is why there are no defaults.
	HTTPAddress, TLSAddress string

	// DNS proves wildcards, and every name when both addresses are empty, by dns-01; nil: nothing is.
	DNS *DNSOptions

	// OnDemand obtains certificates for names that handshakes ask for and nobody has one for; nil: nothing does.
	OnDemand *OnDemandOptions

	Logger *zap.Logger // nil: none
	// Resolvers are DNS servers, IP:PORT, asked before the CA is; none: as the system resolves.
	Resolvers []string
	Limits    *Limits                          // what the ledger holds the CA's orders to; nil: the CA's documented ones
	Retry     func(failures int) time.Duration // pause after so many failures in a row; nil: 1 minute growing to 6 hours
	Now       func() time.Time                 // nil: time.Now
	Changed   func()                           // called after every check of a name, without any lock held; nil: nobody wants to know
}

// CA is one authority.
type CA struct {
	Directory string         // https URL
	Roots     *x509.CertPool // trusted for the directory; nil: the system's
	Profile   string         // certificate profile; "": its default

	// External account binding: the key's id, and the key in base64url as CAs hand it out. Both empty: none.
	KeyID, Key string
}

func (o ACMEOptions) withDefaults() ACMEOptions {
	if len(o.CAs) == 0 {
		o.CAs = []CA{{Directory: LetsEncrypt}}
	}
	if o.Storage == nil {
		o.Storage = &certmagic.FileStorage{Path: o.Folder}
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Retry == nil {
		o.Retry = retryAfter
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return o
}
