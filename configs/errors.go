package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Error is one mistake in a configuration file.
type Error struct {
	File    string
	Line    int // from 1
	Col     int // from 1, in characters
	Message string
}

// Error prints FILE:LINE:COL: message, which editors and CI turn into a link.
func (e Error) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Message)
}

// Errors is every mistake in a file, in the order of their positions. Load and Parse return no other
// error type; errors.As with a *Errors gives the list.
type Errors []Error

// Error prints one line per mistake.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// report collects mistakes while a file is worked through. Mistakes are named by path and turned into
// positions at once; which paths already failed is kept, so that one mistake is reported once and not
// again by every check that builds on the value.
type report struct {
	file string
	pos  *positions
	raw  map[string]string // unexpanded text of strings that contained ${…}, by path
	list Errors
	// failed holds each path that failed and every path around it.
	failed map[string]bool
}

// value reports a mistake at the value of path.
func (r *report) value(path, format string, args ...any) {
	r.add(path, r.pos.value(path), fmt.Sprintf(format, args...))
}

// key reports a mistake at the key (or table header) of path.
func (r *report) key(path, format string, args ...any) {
	r.add(path, r.pos.key(path), fmt.Sprintf(format, args...))
}

func (r *report) add(path string, at place, message string) {
	r.fail(path)
	// One mistake is one line, and a file must not be able to send escape sequences to a terminal.
	message = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, message)
	r.list = append(r.list, Error{File: r.file, Line: at.line, Col: at.col, Message: message})
}

// fail marks a path as failed without saying anything more.
func (r *report) fail(path string) {
	for ; path != "" && !r.failed[path]; path = parentPath(path) {
		r.failed[path] = true
	}
}

// bad reports whether path or anything beneath it has failed.
func (r *report) bad(path string) bool { return r.failed[path] }

// quote shows a string value as the file has it: what an expansion put there may be a secret.
func (r *report) quote(path, value string) string {
	if raw, ok := r.raw[path]; ok {
		return fmt.Sprintf("%q (expanded)", raw)
	}
	const most = 120 // characters; enough to recognise any value, short enough for one line
	if runes := []rune(value); len(runes) > most {
		value = string(runes[:most]) + "…"
	}
	return fmt.Sprintf("%q", value)
}

// err returns the sorted list, or nil.
func (r *report) err() error {
	if len(r.list) == 0 {
		return nil
	}
	slices.SortFunc(r.list, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(r.list)
}
