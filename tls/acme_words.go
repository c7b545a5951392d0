package edgetls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// failure is why one CA gave no certificate.
type failure struct {
	directory string
	err       error
}

// Error implements error.
func (f *failure) Error() string { return authorityName(f.directory) + ": " + f.err.Error() }

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.err }

// refusal is a no of our own, before a CA was asked.
type refusal struct {
	words string
	until time.Time // when the reason is gone; zero when only a person can remove it
}

// Error implements error.
func (r *refusal) Error() string { return r.words }

// authorityName is the host of a directory's URL.
func authorityName(directory string) string {
	if u, err := url.Parse(directory); err == nil && u.Host != "" {
		return u.Host
	}
	return directory
}

// explain words an error of an attempt for somebody who has to do something about it: one part per CA.
func explain(err error) string {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return explainOne(err)
	}
	var parts []string
	for _, e := range joined.Unwrap() {
		parts = append(parts, explainOne(e))
	}
	return strings.Join(parts, "; ")
}

func explainOne(err error) string {
	who := "the CA"
	var f *failure
	if errors.As(err, &f) {
		who = authorityName(f.directory)
	}
	var own *refusal
	var problem acme.Problem
	var untrusted x509.UnknownAuthorityError
	switch {
	case errors.As(err, &own):
		return own.words
	case errors.As(err, &problem) && isAboutAccount(err):
		return fmt.Sprintf("%s does not accept the account: %s (is the external account binding, if it asks for one, the one it gave you?)", who, problem.Detail)
	case errors.As(err, &problem):
		return who + " " + wordsOf(problem)
	case errors.As(err, &untrusted):
		return who + " has a TLS certificate that is not trusted here: name its root in tls.acme.root_ca"
	}
	return err.Error()
}

// wordsOf tells what a CA's problem document (RFC 8555 §6.7) means.
func wordsOf(p acme.Problem) string {
	detail := p.Detail
	if detail == "" {
		detail = p.Title
	}
	for _, sub := range p.Subproblems {
		detail += fmt.Sprintf("; %s: %s", sub.Identifier.Value, sub.Detail)
	}
	hint := ""
	switch p.Type {
	case acme.ProblemTypeRateLimited:
		return "takes no more orders for now (rate limit): " + detail
	case acme.ProblemTypeConnection:
		hint = "does port 80 or 443 of the host lead to this machine from outside"
	case acme.ProblemTypeDNS:
		hint = "is the DNS record of the host published"
	case acme.ProblemTypeUnauthorized, acme.ProblemTypeTLS, acme.ProblemTypeIncorrectResponse:
		hint = "something else answers for the host: does its DNS record point to this machine"
	case acme.ProblemTypeCAA:
		hint = "the host's CAA record names other CAs"
	default:
		return "refused: " + detail
	}
	return "could not validate the host: " + detail + " (" + hint + "?)"
}

// isValidationFailure reports an answer that a CA counts against the host.
func isValidationFailure(err error) bool {
	var p acme.Problem
	if !errors.As(err, &p) || isAboutAccount(err) {
		return false
	}
	switch p.Type {
	case acme.ProblemTypeConnection, acme.ProblemTypeDNS, acme.ProblemTypeUnauthorized, acme.ProblemTypeTLS,
		acme.ProblemTypeIncorrectResponse, acme.ProblemTypeCAA:
		return true
	}
	return false
}

// isAboutAccount reports a refusal that came before there was an order: its problem types are the same as those of validations. certmagic words it so.
func isAboutAccount(err error) bool {
	var p acme.Problem
	return errors.As(err, &p) && p.Type != acme.ProblemTypeRateLimited && strings.Contains(err.Error(), "registering account")
}

// notBefore is the earliest time at which one of an attempt's CAs could say yes; zero when it is not known for one of them.
func notBefore(err error) time.Time {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return notBeforeOne(err)
	}
	var first time.Time
	for i, e := range joined.Unwrap() {
		if t := notBeforeOne(e); i == 0 || t.Before(first) {
			first = t
		}
	}
	return first
}

func notBeforeOne(err error) time.Time {
	var own *refusal
	if errors.As(err, &own) {
		return own.until
	}
	var p acme.Problem
	if errors.As(err, &p) && p.Type == acme.ProblemTypeRateLimited {
		if until := announced(p.Detail); !until.IsZero() {
			return until
		}
	}
	if late := new(postponed); errors.As(err, &late) {
		return late.until
	}
	return time.Time{}
}

// announced finds the time in "…, retry after 2026-11-23 10:00:00 UTC: see …": Let's Encrypt says it in words, to the second.
func announced(detail string) time.Time {
	_, rest, _ := strings.Cut(detail, "retry after ")
	for _, form := range []string{"2006-01-02 15:04:05 UTC", "2006-01-02T15:04:05Z"} {
		if len(rest) < len(form) {
			continue
		}
		if t, err := time.Parse(form, rest[:len(form)]); err == nil {
			return t
		}
	}
	return time.Time{}
}
