package configs

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// expander replaces ${…} in strings. Its two sources are functions, so that expansion itself is pure.
type expander struct {
	env  func(string) (string, bool)
	file func(path string) ([]byte, error)
}

// expand replaces in one pass, so that nothing a variable or file brings in is looked at again:
//
//	${VAR}           the variable; unset is an error, empty is not
//	${VAR:-default}  default when unset or empty
//	${VAR:?message}  message as the error when unset or empty
//	${file:PATH}     contents of a file, without one final line break
//	$$               a dollar sign
//
// Any other "$" stands for itself, so that regular expressions need no escaping.
func (x expander) expand(s string) (string, error) {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			out.WriteString(s)
			return out.String(), nil
		}
		out.WriteString(s[:i])
		switch s[i+1] {
		case '$':
			out.WriteByte('$')
			s = s[i+2:]
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return "", errors.New(`"${" without "}" (write "$$" for a dollar sign)`)
			}
			value, err := x.reference(s[i+2 : i+end])
			if err != nil {
				return "", err
			}
			out.WriteString(value)
			s = s[i+end+1:]
		default:
			out.WriteByte('$')
			s = s[i+1:]
		}
	}
}

// reference resolves what stands between the braces.
func (x expander) reference(ref string) (string, error) {
	if path, ok := strings.CutPrefix(ref, "file:"); ok {
		return x.contents(path)
	}
	name, rest, _ := strings.Cut(ref, ":")
	if !isVariable(name) {
		return "", fmt.Errorf("${%s} is not a reference: ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:PATH} (write \"$$\" for a dollar sign)", ref)
	}
	operator, argument := "", ""
	if ref != name {
		if rest == "" || rest[0] != '-' && rest[0] != '?' {
			return "", fmt.Errorf("${%s}: after \":\" comes \"-default\" or \"?message\"", ref)
		}
		operator, argument = rest[:1], rest[1:]
	}
	if strings.Contains(argument, "${") {
		return "", fmt.Errorf("${%s}: references cannot be nested", ref)
	}
	value, set := x.env(name)
	switch {
	case operator == "" && !set:
		return "", fmt.Errorf("environment variable %s is not set (${%s:-default} gives it one)", name, name)
	case operator == "-" && value == "":
		return argument, nil
	case operator == "?" && value == "":
		return "", fmt.Errorf("environment variable %s is not set: %s", name, argument)
	case !utf8.ValidString(value):
		return "", fmt.Errorf("environment variable %s is not UTF-8", name)
	}
	return value, nil
}

func (x expander) contents(path string) (string, error) {
	if path == "" {
		return "", errors.New("${file:} names no file")
	}
	data, err := x.file(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("${file:%s}: %w", path, err)
	case !utf8.Valid(data):
		return "", fmt.Errorf("${file:%s}: not UTF-8", path)
	}
	text := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

func isVariable(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '_' || i == 0 && '0' <= c && c <= '9' {
			return false
		}
	}
	return name != ""
}

// expandTree expands every string of a decoded file in place and notes the original of those it changed.
func (x expander) expandTree(r *report, path string, v any) any {
	switch v := v.(type) {
	case string:
		expanded, err := x.expand(v)
		if err != nil {
			r.value(path, "%s: %v", lastKey(path), err)
			return v
		}
		if expanded != v {
			r.raw[path] = v
		}
		return expanded
	case map[string]any:
		for k := range v {
			v[k] = x.expandTree(r, joinKey(path, k), v[k])
		}
	case []map[string]any:
		for i := range v {
			x.expandTree(r, joinIndex(path, i), v[i])
		}
	case []any:
		for i := range v {
			v[i] = x.expandTree(r, joinIndex(path, i), v[i])
		}
	}
	return v
}
