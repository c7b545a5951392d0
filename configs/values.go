package configs

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Secret is a string that must not reach logs, errors or `weir config print`: every way of formatting
// it gives "[redacted]" (nothing for an empty one). Reveal is the only way to the value.
type Secret string

const redacted = "[redacted]"

// Reveal gives the value itself.
func (s Secret) Reveal() string { return string(s) }

// String redacts.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString redacts under %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText redacts in JSON and every other text form.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Weight is a share in hundredths of a percent: 0 to 10000.
type Weight int

// WeightFull is the weight of a lone group: 100 %.
const WeightFull Weight = 10000

// String gives percent with as few decimals as needed: "100", "2.5", "33.33".
func (w Weight) String() string {
	return strconv.FormatFloat(float64(w)/100, 'f', -1, 64)
}

func (w *Weight) parseNumber(f float64) error {
	// Not (f >= 0 && f <= 100) rather than f < 0 || f > 100: NaN must fail too.
	if !(f >= 0 && f <= 100) {
		return errors.New("must be from 0 to 100")
	}
	hundredths := math.Round(f * 100)
	// 1e-6 is far above the error of a double near 10000 (2e-12) and far below a third decimal (0.1).
	if math.Abs(f*100-hundredths) > 1e-6 {
		return errors.New("has more than two decimals")
	}
	*w = Weight(hundredths)
	return nil
}

// Size is a number of bytes; Unlimited (negative) means there is no limit.
type Size int64

// Unlimited is what "off" means for a Size.
const Unlimited Size = -1

type sizeUnit struct {
	suffix string
	bytes  int64
}

// sizeUnits are tried in this order when printing (largest that divides wins) and parsing ("B" ends
// every unit, so it comes last).
func sizeUnits() [5]sizeUnit {
	return [...]sizeUnit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// String gives the size as it is written in the file: "10MiB", "0B", "off".
func (s Size) String() string {
	if s < 0 {
		return "off"
	}
	for _, u := range sizeUnits() {
		if int64(s) >= u.bytes && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return "0B"
}

func (s *Size) parseText(text string) error {
	if text == "off" {
		*s = Unlimited
		return nil
	}
	for _, u := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok || !allDigits(digits) {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > math.MaxInt64/u.bytes {
			return errors.New("is too large")
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return errors.New(`is not a size: write a whole number and a unit, as "512B", "64KiB", "10MiB", "1GiB", or "off"`)
}

// Policy is how a target is chosen within a group.
type Policy string

// The policies.
const (
	PeakEWMA     Policy = "peak_ewma"
	LeastRequest Policy = "least_request"
	RoundRobin   Policy = "round_robin"
	LeastConn    Policy = "least_conn"
	Hash         Policy = "hash"
)

// KeySource is where the key of the hash policy comes from.
type KeySource string

// The sources of a hash key.
const (
	KeyClientIP KeySource = "client_ip"
	KeyPath     KeySource = "path"
	KeyHeader   KeySource = "header"
	KeyCookie   KeySource = "cookie"
)

// Balance is a policy and, for Hash only, its key.
type Balance struct {
	Policy Policy
	Source KeySource // set for Hash only
	Name   string    // header or cookie name, for KeyHeader and KeyCookie only
}

// String gives the balance as it is written in the file: "peak_ewma", "hash:header:X-Tenant".
func (b Balance) String() string {
	switch {
	case b.Policy != Hash:
		return string(b.Policy)
	case b.Name != "":
		return "hash:" + string(b.Source) + ":" + b.Name
	}
	return "hash:" + string(b.Source)
}

func (b *Balance) parseText(text string) error {
	key, isHash := strings.CutPrefix(text, "hash:")
	if !isHash {
		return b.parsePolicy(text)
	}
	source, name, named := strings.Cut(key, ":")
	switch KeySource(source) {
	case KeyClientIP, KeyPath:
		if named {
			return errors.New(source + " takes no name")
		}
	case KeyHeader, KeyCookie:
		if !isToken(name) {
			return errors.New("needs the name of a " + source + ", as hash:" + source + ":NAME")
		}
	default:
		return errors.New("has no known key: hash:client_ip, hash:path, hash:header:NAME, hash:cookie:NAME" +
			didYouMean(source, []string{"client_ip", "path", "header", "cookie"}))
	}
	*b = Balance{Policy: Hash, Source: KeySource(source), Name: name}
	return nil
}

func (b *Balance) parsePolicy(text string) error {
	switch Policy(text) {
	case PeakEWMA, LeastRequest, RoundRobin, LeastConn:
		*b = Balance{Policy: Policy(text)}
		return nil
	case Hash:
		return errors.New("needs a key: hash:client_ip, hash:path, hash:header:NAME, hash:cookie:NAME")
	}
	if text == "ip_hash" || text == "source" {
		return errors.New(`is "hash:client_ip" here`)
	}
	known := []string{"peak_ewma", "least_request", "round_robin", "least_conn", "hash:KEY"}
	return errors.New("is not a balance: " + strings.Join(known, ", ") + didYouMean(text, known[:4]))
}

// isToken reports whether s is a token of RFC 9110 §5.6.2: what header and cookie names are made of.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func allDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
