package proxy

import "fmt"

// Reason says why an exchange ended other than by forwarding a response. The set is closed: it is a metric label and a log field. Names are RFC 9209
// §2.3 error types where one fits.
type Reason uint8

// The reasons.
const (
	ReasonNone Reason = iota
	BadRequest
	NoRoute
	UnknownHost
	MethodRefused
	BodyTooLarge
	RateLimited
	Misdirected
	AccessDenied
	CredentialsMissing
	CredentialsInvalid
	LoginsBusy
	TokenMissing
	TokenInvalid
	TokenExpired
	ClaimRefused
	WAFBlocked
	WAFFailed
	KeysAway
	CertificateMissing
	CertificateRefused
	CertificateExpired
	AuthRefused
	AuthUnavailable
	LoginRequired
	SessionInvalid
	SessionExpired
	LoginFailed
	LoginInsecure
	TooEarly
	ConcurrencyLimited
	HeaderTimeout
	BodyTimeout
	SlowBody
	WriteTimeout
	SlowReader
	ClientGone
	QueueFull
	QueueTimeout
	Overloaded
	PauseFull
	PauseTimeout
	TargetsFull
	NoPeer
	NoGroup
	GroupEvicted
	ConnectRefused
	ConnectTimeout
	ConnectFailed
	TLSCertificate
	TLSAlert
	TLSProtocol
	UpstreamBroken
	UpstreamInvalid
	ResponseTruncated
	ResponseTimeout
	TotalTimeout
	DeadlineExceeded
	ConnectionLimit
	UpgradeFailed
	FileNotFound
	FileRefused
	FileFailed
	FileChanged
	DiskBusy
	PreconditionFailed
	RangeUnsatisfiable
	Internal
	reasons
)

var reasonNames = [reasons]string{
	ReasonNone:         "",
	BadRequest:         "http_request_error",
	NoRoute:            "no_route",
	UnknownHost:        "unknown_host",
	MethodRefused:      "http_request_denied",
	BodyTooLarge:       "body_too_large",
	RateLimited:        "rate_limited",
	Misdirected:        "misdirected_request",
	AccessDenied:       "access_denied",
	CredentialsMissing: "credentials_missing",
	CredentialsInvalid: "credentials_invalid",
	LoginsBusy:         "logins_busy",
	TokenMissing:       "token_missing",
	TokenInvalid:       "token_invalid",
	TokenExpired:       "token_expired",
	ClaimRefused:       "claim_refused",
	KeysAway:           "keys_unavailable",
	WAFBlocked:         "waf_blocked",
	WAFFailed:          "waf_failed",
	CertificateMissing: "certificate_missing",
	CertificateRefused: "certificate_refused",
	CertificateExpired: "certificate_expired",
	AuthRefused:        "auth_refused",
	AuthUnavailable:    "auth_unavailable",
	LoginRequired:      "login_required",
	SessionInvalid:     "session_invalid",
	SessionExpired:     "session_expired",
	LoginFailed:        "login_failed",
	LoginInsecure:      "login_insecure",
	ConcurrencyLimited: "concurrency_limited",
	TooEarly:           "too_early",
	HeaderTimeout:      "client_header_timeout",
	BodyTimeout:        "client_timeout",
	SlowBody:           "client_body_slow",
	WriteTimeout:       "client_write_timeout",
	SlowReader:         "client_read_slow",
	ClientGone:         "client_gone",
	QueueFull:          "queue_full",
	QueueTimeout:       "queue_timeout",
	Overloaded:         "overloaded",
	PauseFull:          "pause_full",
	PauseTimeout:       "pause_timeout",
	TargetsFull:        "targets_full",
	NoPeer:             "destination_unavailable",
	NoGroup:            "no_group",
	GroupEvicted:       "group_evicted",
	ConnectRefused:     "connection_refused",
	ConnectTimeout:     "connection_timeout",
	ConnectFailed:      "destination_ip_unroutable",
	TLSCertificate:     "tls_certificate_error",
	TLSAlert:           "tls_alert_received",
	TLSProtocol:        "tls_protocol_error",
	UpstreamBroken:     "connection_terminated",
	UpstreamInvalid:    "http_protocol_error",
	ResponseTruncated:  "http_response_incomplete",
	ResponseTimeout:    "http_response_timeout",
	TotalTimeout:       "total_timeout",
	DeadlineExceeded:   "client_deadline",
	ConnectionLimit:    "connection_limit_reached",
	UpgradeFailed:      "http_upgrade_failed",
	FileNotFound:       "file_not_found",
	FileRefused:        "file_refused",
	FileFailed:         "file_failed",
	FileChanged:        "file_changed",
	DiskBusy:           "disk_busy",
	PreconditionFailed: "precondition_failed",
	RangeUnsatisfiable: "range_unsatisfiable",
	Internal:           "proxy_internal_error",
}

// String is the reason as metrics and logs name it; empty for none.
func (r Reason) String() string { return reasonNames[r] }

// Reasons are all reasons by their number, for metrics that want them ahead.
func Reasons() []string { return append([]string(nil), reasonNames[:]...) }

// RetryReasons are the reasons that an attempt can be followed by another for, for metrics that want them ahead.
func RetryReasons() []string {
	return []string{
		ConnectRefused.String(), ConnectTimeout.String(), ConnectFailed.String(), TLSCertificate.String(), TLSAlert.String(), TLSProtocol.String(),
		UpstreamBroken.String(), UpstreamInvalid.String(), ConnectionLimit.String(),
	}
}

// ShedReasons are the reasons for which a full service refuses a request.
func ShedReasons() []string {
	return []string{QueueFull.String(), QueueTimeout.String(), Overloaded.String()}
}

// Error ends an exchange with an answer of our own, or with a broken connection where an answer has already begun.
type Error struct {
	Status int    // 499 is logged and never sent
	Reason Reason // label and log field
	Err    error  // detail for the log; its text reaches the client only for BadRequest
}

// Error makes it an error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Reason.String()
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
