package admin

import (
	"encoding/json"
	"time"
)

// ReloadResult is a reload that succeeded: POST /v1/reload.
type ReloadResult struct {
	Generation uint64 `json:"generation"`
	// Unchanged says that the file has the digest of what is in force already: nothing was done.
	Unchanged bool `json:"unchanged"`
	// Changed names what differs, such as "service.api.group.green". Never null.
	Changed []string `json:"changed"`
	// Warnings do not stop a reload: a new target that does not answer, an overlay in force.
	Warnings []Detail `json:"warnings,omitempty"`
	// Unconfirmed says until when it is in force unless it is confirmed; absent: for good.
	Unconfirmed *Unconfirmed `json:"unconfirmed,omitempty"`
}

// ExplainRequest describes a request to decide: POST /v1/explain.
type ExplainRequest struct {
	// Method is GET when empty.
	Method string `json:"method"`
	// URL is absolute, http or https: its scheme and port choose the listener, its host and path the route.
	URL     string        `json:"url"`
	Headers []HeaderField `json:"headers,omitempty"`
	// ClientIP is whom the connection comes from; 127.0.0.1 when empty.
	ClientIP string `json:"client_ip,omitempty"`
}

// HeaderField is one header line.
type HeaderField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Explanation is every decision for a request, in the order the data path takes them.
type Explanation struct {
	Generation uint64 `json:"generation"`
	Steps      []Step `json:"steps"`
	// Outcome is the end of it in one line: "forwarded to api/blue 127.0.0.1:5002" or "404 no route".
	Outcome string `json:"outcome"`
}

// Step is one decision. Phase is a name of the request's life: begin, match, admit, answer, choose, forward.
type Step struct {
	Phase    string `json:"phase"`
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
}

// ConfigView is the configuration in force: GET /v1/config.
type ConfigView struct {
	Path       string `json:"path"`
	Generation uint64 `json:"generation"`
	// Version is the entity tag, without quotes.
	Version string `json:"version"`
	// Config is the effective configuration with secrets redacted.
	Config json.RawMessage `json:"config"`
}

// Certificate is one certificate a TLS listener can present: GET /v1/certificates.
type Certificate struct {
	Subject   string    `json:"subject"`
	Names     []string  `json:"names"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	KeyType   string    `json:"key_type"`
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	// Source is where it came from: a file's path, or "acme".
	Source string `json:"source"`
	// State is valid, expired, or, of what is obtained automatically, obtaining or failed. One that failed may have an older certificate in force; one that
	// has none yet lacks issuer, serial, key type and times.
	State string `json:"state"`
	// Error says why the last attempt failed and what can be done about it.
	Error string `json:"error,omitempty"`
	// NextAttempt is when an automatic certificate is looked at again.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
}

// ECH is what clients need for Encrypted Client Hello: GET /v1/ech. Empty when it is off.
type ECH struct {
	PublicName string `json:"public_name"`
	// ConfigList is an ECHConfigList (RFC 9849) in base64, for the parameter ech of HTTPS records (RFC 9460).
	ConfigList string `json:"config_list"`
}

// StopResult answers POST /v1/stop: 202, the process ends after this answer.
type StopResult struct {
	PID  int    `json:"pid"`
	Mode string `json:"mode"`
}

// CSPReport is what reports of browsers on a Content-Security-Policy have in common: GET /v1/csp-reports, the one seen last first. URLs are without query and fragment.
type CSPReport struct {
	Headers   string `json:"headers"` // the [headers.NAME]
	Directive string `json:"directive"`
	// Blocked is a URL, or a word such as inline or eval.
	Blocked  string `json:"blocked"`
	Document string `json:"document"`
	Source   string `json:"source,omitempty"`
	Line     int    `json:"line,omitempty"`
	// Enforced is false for what a policy only reports.
	Enforced bool      `json:"enforced"`
	Count    uint64    `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
}
