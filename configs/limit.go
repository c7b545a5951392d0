package configs

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limit is what routes name in limits: a rate, a number of requests at a time, or both. The rate is a bucket of burst tokens per key, refilled at rate, a request
// taking one. An empty bucket, and one request too many at a time, is 429 with Retry-After. What a limit remembers outlives reloads, also when rate or burst change, and is bounded: 100,000 keys, those unused for longest go first.
type Limit struct {
	Name string `toml:"-"` // from the table's name; same letters as a service's

	// Requests that a key is given, as "10/s", "300/m" or "1000/h".
	Rate Rate `toml:"rate" required:"check"`
	// Requests that a key may make at once. Default: the number in rate.
	Burst int `toml:"burst" min:"1" max:"1000000"`
	// Requests of a key that may be under way at a time, from the head to the end of the answer: an event stream or WebSocket counts for its life.
	// In place of rate or beside it. Default: any number.
	Concurrency int `toml:"concurrency" min:"1" max:"1000000"`
	// What is counted apart: client_ip (an IPv6 address by its /64), header:NAME, cookie:NAME, jwt:CLAIM (a verified claim of the token of the route's auth, which must
	// be of type jwt; such a limit is asked behind it), route, or several joined by "+" as "client_ip+route". A request without the header or cookie is counted by its client address in its place.
	Key LimitKey `toml:"key" default:"client_ip"`
	// true: counted across replicas through [cluster]. Over any time t they together admit at most rate·t + burst + (replicas − 1)·lease, a lease being
	// burst/replicas and at least 1. While Redis is away each gives rate/replicas.
	Shared bool `toml:"shared" default:"false"`
	// true: count and log decisions as metrics (decision="dry_run") and refuse nothing.
	DryRun bool `toml:"dry_run" default:"false"`
}

// MaxLimits is how many limits one route can name.
const MaxLimits = 8

// Rate is a number of requests per unit of time.
type Rate struct {
	Count int
	Unit  time.Duration // second, minute or hour
}

// PerSecond is the rate in requests per second.
func (r Rate) PerSecond() float64 { return float64(r.Count) / r.Unit.Seconds() }

// String gives the rate as it is written in the file.
func (r Rate) String() string {
	unit := map[time.Duration]string{time.Second: "/s", time.Minute: "/m", time.Hour: "/h"}[r.Unit]
	return strconv.Itoa(r.Count) + unit
}

func (r *Rate) parseText(text string) error {
	digits, unit, _ := strings.Cut(text, "/")
	per, known := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	if !known || !allDigits(digits) {
		return errors.New(`is not a rate: write a whole number and a unit, as "10/s", "300/m" or "1000/h"`)
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > 1_000_000 {
		return errors.New("must be from 1 to 1000000")
	}
	*r = Rate{n, per}
	return nil
}

// LimitKey is what requests are counted by: the parts together.
type LimitKey struct{ Parts []LimitKeyPart }

// LimitKeyPart is one part of a composite key.
type LimitKeyPart struct {
	Source KeySource // KeyClientIP, KeyHeader, KeyCookie or KeyRoute
	Name   string    // header or cookie name
}

// KeyRoute counts the requests of a route together.
const KeyRoute KeySource = "route"

// KeyJWT counts by a verified claim of the request's token.
const KeyJWT KeySource = "jwt"

// String gives the key as it is written in the file.
func (k LimitKey) String() string {
	parts := make([]string, len(k.Parts))
	for i, p := range k.Parts {
		if parts[i] = string(p.Source); p.Name != "" {
			parts[i] += ":" + p.Name
		}
	}
	return strings.Join(parts, "+")
}

// Has reports whether a part of the key is of that source.
func (k LimitKey) Has(source KeySource) bool {
	return slices.ContainsFunc(k.Parts, func(p LimitKeyPart) bool { return p.Source == source })
}

func (k *LimitKey) parseText(text string) error {
	var key []LimitKeyPart
	for part := range strings.SplitSeq(text, "+") {
		source, name, named := strings.Cut(part, ":")
		p := LimitKeyPart{KeySource(source), name}
		switch p.Source {
		case KeyClientIP, KeyRoute:
			if named {
				return errors.New("gives " + source + " a name, which it has none of")
			}
		case KeyHeader, KeyCookie:
			if !isToken(name) {
				return errors.New("needs the name of a " + source + ", as " + source + ":NAME")
			}
		case KeyJWT:
			if wrong := fieldValue(name); wrong != "" {
				return errors.New("needs the name of a claim, as jwt:CLAIM, which " + wrong)
			}
		default:
			return errors.New("is no key: client_ip, header:NAME, cookie:NAME, jwt:CLAIM, route, or several joined by +" +
				didYouMean(source, []string{"client_ip", "header", "cookie", "jwt", "route"}))
		}
		if slices.Contains(key, p) {
			return errors.New("has " + part + " twice")
		}
		key = append(key, p)
	}
	k.Parts = key
	return nil
}
