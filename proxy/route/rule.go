package route

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Kind says how a rule's path is compared.
type Kind uint8

// The kinds, in the order in which the zero value is the common one, not in order of precedence.
const (
	Prefix Kind = iota // whole segments: "/api" takes /api and /api/x; "/api/" only what is below
	Exact              // that path and no other
	Regex              // RE2, found anywhere in the path unless anchored
)

// Rule is one route as configured.
type Rule struct {
	Name  string   // for messages; a rule without one is called by its place, "#1" first
	Hosts []string // "www.example.com", "*.example.com", "10.0.0.1", "::1"; empty means any host
	Kind  Kind
	Path  string // a path as clients send it, or the regex; an empty prefix means "/"
}

// Pattern is the path as the configuration writes it: "=/exact", "~regex", anything else a prefix.
func (r Rule) Pattern() string {
	switch r.Kind {
	case Exact:
		return "=" + r.Path
	case Regex:
		return "~" + r.Path
	}
	if r.Path == "" {
		return "/"
	}
	return r.Path
}

// label is how messages call rule i.
func label(rules []Rule, i int) string {
	if rules[i].Name != "" {
		return fmt.Sprintf("%q", rules[i].Name)
	}
	return fmt.Sprintf("#%d", i+1)
}

// key is the reading of an exact or prefix path that requests are compared with.
func (r Rule) key() (string, error) {
	path := r.Path
	if path == "" && r.Kind == Prefix {
		path = "/"
	}
	canon, err := Canonical(nil, []byte(path))
	if err != nil {
		return "", fmt.Errorf("path %q: %w", r.Path, err)
	}
	if path == "*" || !bytes.Equal(canon, []byte(path)) {
		return "", fmt.Errorf("path %q: no request ever has it: write %q", r.Path, canon)
	}
	return string(appendReading(nil, canon)), nil
}

// expression compiles a regex path. Without (?s) a "%0A" would slip through the "." of a rule that is meant to guard a whole tree.
func (r Rule) expression() (*regexp.Regexp, error) {
	if r.Path == "" {
		return nil, errors.New("regex is empty")
	}
	re, err := regexp.Compile(dotAll + r.Path)
	if err != nil {
		return nil, fmt.Errorf("regex %q: %w", r.Path, err)
	}
	return re, nil
}

const dotAll = "(?s)"

// hostPattern checks one configured host and returns the key it is stored under: the name in lower case, or for a wildcard the
// suffix with its dot (".example.com").
func hostPattern(host string) (key string, wild bool, err error) {
	name := strings.ToLower(host)
	literal := name
	if len(name) > 2 && name[0] == '[' && name[len(name)-1] == ']' {
		literal = name[1 : len(name)-1]
	}
	if addr, err := netip.ParseAddr(literal); err == nil {
		if addr.Zone() != "" {
			return "", false, fmt.Errorf("host %q: a zone means nothing to other machines", host)
		}
		return addr.String(), false, nil
	}
	if name == "*" {
		return "", false, errors.New(`host "*": leave host out to match any`)
	}
	rest, wild := strings.CutPrefix(name, "*.")
	rest = strings.TrimSuffix(rest, ".")
	if err := checkName(rest); err != nil {
		return "", false, fmt.Errorf("host %q: %w", host, err)
	}
	if wild {
		return "." + rest, true, nil
	}
	return rest, false, nil
}

// checkName allows what DNS can hold and what people use besides it (the underscore of internal names).
func checkName(name string) error {
	if len(name) > maxHost {
		return errors.New("longer than the 253 bytes DNS allows")
	}
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		case c == ':':
			return errors.New("has a port: every port of a listener serves the host")
		case c == '*':
			return errors.New(`"*" may only be the whole first label, as in "*.example.com"`)
		case c >= 0x80:
			return errors.New("is not ASCII: write it as clients send it, in punycode (xn--…)")
		default:
			return fmt.Errorf("%q cannot be in a host name", c)
		}
	}
	if name == "" || name[0] == '.' || strings.Contains(name, "..") {
		return errors.New("has an empty label")
	}
	return nil
}
