package header

// Preset is a set of fields to begin with.
type Preset uint8

// The presets. Basic is safe for any application and yields to what an upstream says itself; Strict is for applications that were written or checked for
// it and replaces what an upstream says.
const (
	Off Preset = iota
	Basic
	Strict
)

// hsts is the only field that goes out over TLS alone (RFC 6797 §7.2).
const hsts = "Strict-Transport-Security"

// fields of a preset, in the order in which they are written.
func (p Preset) fields() []Field {
	switch p {
	case Basic:
		return []Field{
			{Name: "X-Content-Type-Options", Value: "nosniff"},
			{Name: "Referrer-Policy", Value: "strict-origin-when-cross-origin"}, // what browsers do by themselves, for those that do not
			{Name: hsts, Value: "max-age=31536000"},                             // a year; not for subdomains, of which a host may not be the master
		}
	case Strict:
		return []Field{
			{Name: "X-Content-Type-Options", Value: "nosniff"},
			{Name: "X-Frame-Options", Value: "DENY"},
			{Name: "Referrer-Policy", Value: "same-origin"},
			{Name: "Permissions-Policy", Value: "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()"},
			{Name: policyField, Value: "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"},
			{Name: "Cross-Origin-Opener-Policy", Value: "same-origin"},
			{Name: hsts, Value: "max-age=31536000; includeSubDomains"},
		}
	}
	return nil
}

const (
	policyField     = "Content-Security-Policy"
	reportOnlyField = "Content-Security-Policy-Report-Only"
)
