package header

import (
	"bytes"
	"slices"
	"strings"
)

// nonceMark is where a Content-Security-Policy wants the nonce of the answer.
const nonceMark = "{nonce}"

// NonceSlot stands where the nonce of an answer goes in the lines of a Nonced policy, until Fill writes it there. It is as long as one: 128 bits, which is
// what CSP3 §7.1 wants at least, in base64url without padding.
const NonceSlot = "{nonce-of-this-answer}"

// Nonced reports a policy whose lines have slots that Fill must be given.
func (p *Policy) Nonced() bool { return p.unmodified != nil }

// Unmodified is what a Nonced policy is on a 304: without the field that has the nonce. A cache replaces the fields of what it stored by those of the 304 (RFC 9111
// §3.2), and what it stored has the nonce that its body was made with.
func (p *Policy) Unmodified() *Policy { return p.unmodified }

// Fill writes a nonce of the slot's length into lines, in place.
func Fill(lines, nonce []byte) {
	for {
		i := bytes.Index(lines, []byte(NonceSlot))
		if i < 0 {
			return
		}
		lines = lines[i+copy(lines[i:i+len(NonceSlot)], nonce):]
	}
}

// slotted makes slots of the marks in a Content-Security-Policy.
func slotted(policy string) string { return strings.ReplaceAll(policy, nonceMark, NonceSlot) }

// withoutNonce is the options of Unmodified, for a policy with a nonce.
func (o Options) withoutNonce() Options {
	o.Remove = slices.Clone(o.Remove)
	if strings.Contains(o.ContentSecurityPolicy, nonceMark) {
		o.ContentSecurityPolicy, o.Remove = "", append(o.Remove, policyField)
	}
	if strings.Contains(o.ReportOnly, nonceMark) {
		o.ReportOnly, o.Remove = "", append(o.Remove, reportOnlyField)
	}
	return o
}
