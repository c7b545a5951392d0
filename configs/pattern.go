package configs

import (
	"errors"
	"net/url"
	"regexp"
	"regexp/syntax"
	"strconv"
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
	if strings.HasSuffix(path, "/*") {
		return errors.New(`ends with "*", which stands for itself: a prefix needs none ("/api" is also /api/x); where it is meant write "%2A"`)
	}
	*p = Pattern{Kind: PathPrefix, Text: path}
	if exact {
		p.Kind = PathExact
	}
	return nil
}

func (p *Pattern) parseRegex(expr string) error {
	switch {
	case expr == "":
		return errors.New("has an empty regular expression")
	case strings.HasPrefix(strings.TrimLeft(expr, " "), "^") && expr[0] == ' ':
		return errors.New(`has a blank before "^", so that nothing matches: write "~^/x"`)
	case strings.HasPrefix(expr, "*"):
		return errors.New(`begins with "~*"; any letter case is "~(?i)" here`)
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
// a request's path has no query, no raw control or backslash, and its dot segments, encoded ones
// included, are resolved or refused before routing.
func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return errors.New(`must start with "/" (prefix), "=/" (exact) or "~" (regular expression)`)
	}
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ' || c == 0x7f || c == '\\':
			return errors.New("contains a character that must be percent-encoded")
		case c == '?' || c == '#':
			return errors.New("is a path only: no query and no fragment")
		case c != '%':
		case len(path) < i+3 || !isHex(path[i+1]) || !isHex(path[i+2]):
			return errors.New(`contains a "%" that is not followed by two hex digits`)
		case path[i:i+3] == "%00":
			return errors.New("contains an encoded NUL")
		}
	}
	return checkSegments(path)
}

// checkSegments looks for dot segments the way the most generous server would: everything decoded, "\"
// as good as "/", and parameters behind ";" cut off.
func checkSegments(path string) error {
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return errors.New("is not percent-encoded correctly")
	}
	for segment := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return errors.New(`contains a "` + name + `" segment, which no request has when it is routed`)
		}
	}
	return nil
}

// id is equal for patterns that match the same: "/%61pi" is "/api", as it is in requests. Encodings of
// separators, "%" and controls stay, because decoding those would change the structure.
func (p Pattern) id() string {
	if p.Kind == PathRegex {
		return "regex " + p.Text
	}
	var b strings.Builder
	b.WriteString(string(p.Kind) + " ")
	for i := 0; i < len(p.Text); i++ {
		c := p.Text[i]
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		encoded := p.Text[i : i+3]
		i += 2
		n, err := strconv.ParseUint(encoded[1:], 16, 8)
		if err != nil || n < ' ' || n == 0x7f || n == '/' || n == '\\' || n == '%' {
			b.WriteString(strings.ToUpper(encoded))
			continue
		}
		b.WriteByte(byte(n))
	}
	return b.String()
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
