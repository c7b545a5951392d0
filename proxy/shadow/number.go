package shadow

import (
	"strconv"
	"strings"
)

// sameNumber reports two JSON numbers of the same value, however they are written: 1, 1.0 and 10e-1. It is exact for any number of digits, which floating point is not, and
// costs no more for an exponent of a million.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	x, okX := decimalOf(a)
	y, okY := decimalOf(b)
	return okX && okY && x == y
}

// decimal is 0.DIGITS × 10^exponent; zero has no digits.
type decimal struct {
	negative bool
	digits   string // neither begins nor ends with a 0
	exponent int64
}

// decimalOf reads a number in JSON's notation (RFC 8259 §6). Exponents beyond ±10^18 are left to the comparison of texts.
func decimalOf(text string) (d decimal, ok bool) {
	text, d.negative = strings.CutPrefix(text, "-")
	mantissa := text
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		e, err := strconv.ParseInt(text[i+1:], 10, 64)
		if err != nil || e > 1e18 || e < -1e18 {
			return d, false
		}
		mantissa, d.exponent = text[:i], e
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	d.exponent += int64(len(whole))
	short := strings.TrimLeft(digits, "0")
	d.exponent -= int64(len(digits) - len(short))
	if d.digits = strings.TrimRight(short, "0"); d.digits == "" {
		return decimal{}, true
	}
	return d, true
}
