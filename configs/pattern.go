package configs

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// PatternKind is how a path pattern is compared.
type PatternKind string

// The kinds of path pattern.
const (
	PathPrefix PatternKind = "prefix"
	PathExact  PatternKind = "exact"
	PathRegex  PatternKind = "regex"
)

// Pattern is the path of a route, split into how it is compared and with what.
type Pattern struct {
	Kind PatternKind
	Text string // without the leading "=" or "~"
}

// String gives the pattern as it is written in the file.
func (p Pattern) String() string {
	switch p.Kind {
	case PathExact:
		return "=" + p.Text
	case PathRegex:
		return "~" + p.Text
	}
	return p.Text
}

func (p *Pattern) parseText(text string) error {
	if expr, ok := strings.CutPrefix(text, "~"); ok {
		return p.parseRegex(expr)
	}
	path, exact := strings.CutPrefix(text, "=")
	if err := checkPath(path); err != nil {
		return err
	}
	*p = Pattern{Kind: PathPrefix, Text: path}
	if exact {
		p.Kind = PathExact
	}
	return nil
}

func (p *Pattern) parseRegex(expr string) error {
	if expr == "" {
		return errors.New("has an empty regular expression")
	}
	if _, err := regexp.Compile(expr); err != nil {
		var se *syntax.Error
		if errors.As(err, &se) {
			// Without se.Expr, which may be what an expansion brought in.
			return errors.New("is not a regular expression (RE2): " + se.Code.String())
		}
		return errors.New("is not a regular expression (RE2)")
	}
	*p = Pattern{Kind: PathRegex, Text: expr}
	return nil
}

// checkPath refuses what no request path can equal, because it would be a route that never matches:
// a target's path is ASCII (RFC 3986 §3.3), has no query, and dot segments are resolved before routing.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New(`must start with "/" (prefix), "=/" (exact) or "~" (regular expression)`)
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ' || c >= 0x7f:
			return errors.New("contains a byte that must be percent-encoded")
		case c == '?' || c == '#':
			return errors.New("is a path only: no query and no fragment")
		case c == '%' && !isPercentEncoded(path[i:]):
			return errors.New(`contains a "%" that is not followed by two hex digits`)
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return errors.New(`contains a "` + segment + `" segment, which no request has after normalisation`)
		}
	}
	return nil
}

func isPercentEncoded(s string) bool {
	return len(s) >= 3 && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
