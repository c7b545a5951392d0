package app

import (
	"fmt"
	"net/url"
	"os"
	"strings"
)

// fromFiles is getenv with every ${file:PATH} in the named variables replaced by what the file says, as in the edge's configuration: container
// platforms hand secrets over as files, which, unlike the environment, are shown by no inspection and inherited by no child. The error names
// variables and paths, never contents.
func fromFiles(getenv func(string) string, names ...string) (func(string) string, []error) {
	replaced := map[string]string{}
	var errs []error
	for _, name := range names {
		v, err := expandFiles(getenv(name))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		replaced[name] = v
	}
	return func(name string) string {
		if v, ok := replaced[name]; ok {
			return v
		}
		return getenv(name)
	}, errs
}

// expandFiles replaces every ${file:PATH} in v. A file that is only a part of the value is a part of a URL: what would mean something there is escaped.
func expandFiles(v string) (string, error) {
	var out strings.Builder
	for rest := v; ; {
		before, after, found := strings.Cut(rest, "${file:")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		path, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("${file:… is not closed by }")
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		text := strings.TrimSpace(string(b))
		if text == "" {
			return "", fmt.Errorf("%s is empty", path)
		}
		if out.Len() > 0 || tail != "" {
			text = strings.ReplaceAll(url.QueryEscape(text), "+", "%20") // a plus sign is a space in queries only
		}
		out.WriteString(text)
		rest = tail
	}
}
