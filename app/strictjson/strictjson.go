// Package strictjson decodes a JSON request body and refuses everything encoding/json lets pass:
// fields the type does not have, fields in another case, the same key twice, null for a field that
// cannot be absent, numbers no float64 can hold, deep nesting, and data after the value. Every
// issue names its field and its line and column.
//
// It refuses to guess: there is no lenient mode.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting. Run inputs nest two or three levels; the rest is for what they may hold.
const maxDepth = 32

// maxIssues bounds how many issues one body can cause, so that an answer stays small.
const maxIssues = 20

// Issue is one reason for refusing a body.
type Issue struct {
	Field   string // dotted path; "" is the body itself
	Message string
	// Line and Column count from 1, columns in bytes. They point at the byte that broke the syntax,
	// or at the last byte of the key or value at fault.
	Line, Column int
	// Syntax says that the text is not one JSON value, rather than a JSON value with a wrong field.
	Syntax bool
}

// Decoder decodes bodies into the struct T. It is a value and safe for concurrent use.
type Decoder[T any] struct {
	fields map[string]kind
}

// kind is what a field takes beside what its type says.
type kind struct {
	nullable bool // null
	numbers  bool // a list of numbers, or of such lists: encoding/json would make 0 of a null in it
}

// New derives the accepted fields from T's json tags. T must be a struct whose fields are tagged
// or embedded structs of such fields.
func New[T any]() Decoder[T] {
	d := Decoder[T]{fields: map[string]kind{}}
	collect(reflect.TypeFor[T](), d.fields)
	return d
}

// Decode sets the fields of v that the body has and leaves the others as they are. When it returns
// issues, v is unspecified.
func (d Decoder[T]) Decode(body []byte, v *T) []Issue {
	s := scan{body: body, fields: d.fields, tokens: json.NewDecoder(bytes.NewReader(body))}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return []Issue{s.syntax(err)}
	}
	if at := invalidUTF8(body); at >= 0 {
		s.report("", "is not UTF-8", int64(at)+1)
		s.issues[0].Syntax = true
		return s.issues
	}
	s.tokens.UseNumber()
	s.document()
	if len(s.issues) > 0 {
		return s.issues
	}
	if err := json.Unmarshal(body, v); err != nil {
		return []Issue{s.mismatch(err)}
	}
	return nil
}

// invalidUTF8 returns the offset of the first byte that is not UTF-8, which encoding/json would
// replace, or -1.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	at := 0
	for r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1; r, n = utf8.DecodeRune(b[at:]) {
		at += n
	}
	return at
}

func collect(t reflect.Type, into map[string]kind) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			collect(f.Type, into)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		for inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		into[name] = kind{nullable: f.Type.Kind() == reflect.Pointer, numbers: inner != f.Type && inner.Kind() == reflect.Float64}
	}
}

// scan is one pass over one body whose syntax is known to be good. The errors of its token decoder
// are therefore impossible; they end the scan, and the decoding after it would report them.
type scan struct {
	body   []byte
	fields map[string]kind
	tokens *json.Decoder
	issues []Issue
	// tops are the fields of the body in order, each with the offset at which its value ends.
	tops []top
}

type top struct {
	field string
	end   int64
}

func (s *scan) document() {
	if token, _ := s.tokens.Token(); token != json.Delim('{') {
		s.report("", "must be an object", s.tokens.InputOffset())
		return
	}
	s.object("", 1)
}

// object reads up to the closing brace and reports whether reading can go on.
func (s *scan) object(path string, depth int) bool {
	seen := map[string]bool{}
	for s.tokens.More() {
		token, err := s.tokens.Token()
		if err != nil {
			return false
		}
		key, _ := token.(string) // nothing but a string stands here
		at := s.tokens.InputOffset()
		field := key
		if depth > 1 {
			field = path + "." + key
		}
		if seen[key] {
			s.report(field, "is given twice", at)
		}
		seen[key] = true
		k, known := s.fields[key]
		k.numbers = k.numbers && depth == 1
		if depth == 1 && !known {
			s.report(field, "is not a known field", at)
		}
		if !s.value(field, depth, depth == 1 && known && !k.nullable, k.numbers) {
			return false
		}
		if depth == 1 {
			s.tops = append(s.tops, top{field, s.tokens.InputOffset()})
		}
	}
	_, err := s.tokens.Token()
	return err == nil
}

func (s *scan) array(path string, depth int, numbers bool) bool {
	for i := 0; s.tokens.More(); i++ {
		if !s.value(path+"["+strconv.Itoa(i)+"]", depth, numbers, numbers) {
			return false
		}
	}
	_, err := s.tokens.Token()
	return err == nil
}

func (s *scan) value(path string, depth int, required, numbers bool) bool {
	token, err := s.tokens.Token()
	if err != nil {
		return false
	}
	at := s.tokens.InputOffset()
	switch v := token.(type) {
	case nil:
		if required {
			s.report(path, "must not be null; leave it out for its default", at)
		}
	case json.Number:
		if _, err := v.Float64(); err != nil {
			s.report(path, "is a number too large to represent", at)
		}
	case json.Delim:
		if depth >= maxDepth {
			s.report(path, fmt.Sprintf("is nested more than %d levels deep", maxDepth), at)
			return false
		}
		if v == '{' {
			return s.object(path, depth+1)
		}
		return s.array(path, depth+1, numbers)
	}
	return len(s.issues) < maxIssues
}

// syntax describes a malformed text. encoding/json knows the offset of the byte at fault.
func (s *scan) syntax(err error) Issue {
	offset := int64(len(s.body))
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	s.report("", strings.TrimPrefix(err.Error(), "json: "), offset)
	s.issues[0].Syntax = true
	return s.issues[0]
}

// mismatch describes a value of the wrong type. encoding/json names embedded structs in its path,
// which mean nothing to a client: the offset finds the field instead.
func (s *scan) mismatch(err error) Issue {
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		s.report("", strings.TrimPrefix(err.Error(), "json: "), 0)
		return s.issues[0]
	}
	field := ""
	for _, t := range s.tops {
		if t.end >= kind.Offset {
			field = t.field
			break
		}
	}
	s.report(field, "must be "+describe(kind.Type)+", not "+kind.Value, kind.Offset)
	return s.issues[0]
}

// report adds an issue about the byte before offset.
func (s *scan) report(field, message string, offset int64) {
	before := s.body[:min(max(offset, 0), int64(len(s.body)))]
	s.issues = append(s.issues, Issue{
		Field: field, Message: message,
		Line:   1 + bytes.Count(before, []byte{'\n'}),
		Column: max(1, len(before)-(bytes.LastIndexByte(before, '\n')+1)),
	})
}

func describe(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "an integer"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Slice:
		return "a list"
	}
	return "a " + t.Kind().String()
}
