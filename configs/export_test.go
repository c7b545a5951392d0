package configs

import (
	"reflect"
	"strings"
)

// NotBuiltNames lists what the gate refuses, as messages name it, with the values if only some are.
func NotBuiltNames() []string {
	var names []string
	for _, g := range notBuilt() {
		names = append(names, g.name())
		if g.values != nil {
			names[len(names)-1] += " = " + strings.Join(g.values, " | ")
		}
	}
	return names
}

// Expand exposes expansion to its property tests.
func Expand(s string, env func(string) (string, bool), file func(string) ([]byte, error)) (string, error) {
	return expander{env: env, file: file}.expand(s)
}

// JoinKey and SplitPath expose paths to their property test.
func JoinKey(path, key string) string { return joinKey(path, key) }
func SplitPath(path string) []string  { return splitPath(path) }
func ParentPath(path string) string   { return parentPath(path) }
func Distance(a, b string) int        { return distance(a, b) }
func ParseSize(text string) (Size, error) {
	var s Size
	err := s.parseText(text)
	return s, err
}
func ParseWeight(f float64) (Weight, error) {
	var w Weight
	err := w.parseNumber(f)
	return w, err
}

// Notations tells of a type of the language what it takes beside what its kind says: text of its own, true and false, a table of named tables.
func Notations(t reflect.Type) (text, yesOrNo, tables bool) {
	p := reflect.New(t).Interface()
	_, text = p.(textParser)
	_, yesOrNo = p.(boolParser)
	return text, yesOrNo, t.Kind() == reflect.Struct && named(t)
}
