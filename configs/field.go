package configs

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// field is one key of the language: a struct field and what its tags say about it.
//
//	toml      the key; "-" for what no file sets
//	default   text the field holds when the file has no such key
//	required  "true": the key must be there whenever its table is; "check": the same, but a check
//	          says so, because another key can take its place
//	single    "true": a list that may be written as its only element
//	enum      values allowed, separated by |
//	min, max  bounds, both allowed themselves, in the field's own notation
type field struct {
	key      string
	index    int
	fallback string
	required bool
	single   bool
	enum     []string
	min, max string
}

// schema holds the fields of each type met so far: a file of ten thousand routes has one Route type.
type schema map[reflect.Type][]field

func (s schema) fields(t reflect.Type) []field {
	fields, known := s[t]
	if !known {
		fields = fieldsOf(t)
		s[t] = fields
	}
	return fields
}

func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("toml")
		if key == "-" {
			continue
		}
		f := field{key: key, index: i, fallback: tag.Get("default"), required: tag.Get("required") == "true",
			single: tag.Get("single") == "true",
			min:    tag.Get("min"), max: tag.Get("max")}
		if enum := tag.Get("enum"); enum != "" {
			f.enum = strings.Split(enum, "|")
		}
		fields = append(fields, f)
	}
	return fields
}

// textParser and numberParser are the values with a notation of their own.
type (
	textParser   interface{ parseText(string) error }
	numberParser interface{ parseNumber(float64) error }
	boolParser   interface{ parseBool(bool) } // beside its text
)

func isDuration(t reflect.Type) bool { return t == reflect.TypeFor[time.Duration]() }

// setDefaults fills a struct with the defaults of its tags and those of the structs within.
// A default that does not parse is a mistake of ours, found by the first test that loads anything.
func (s schema) setDefaults(v reflect.Value) {
	for _, f := range s.fields(v.Type()) {
		at := v.Field(f.index)
		switch {
		case at.Kind() == reflect.Struct && f.fallback == "" && !isText(at):
			s.setDefaults(at)
		case at.Type() == reflect.TypeFor[[]Weight]():
			at.Set(reflect.ValueOf(weights(f.fallback)))
		case at.Kind() == reflect.Slice && f.fallback != "":
			at.Set(reflect.ValueOf(strings.Split(f.fallback, ",")))
		case f.fallback != "":
			if err := setText(at, f.fallback); err != nil {
				panic(fmt.Sprintf("configs: default of %s: %v", f.key, err))
			}
		}
	}
}

// weights reads a default of weights.
func weights(text string) []Weight {
	var list []Weight
	for word := range strings.SplitSeq(text, ",") {
		percent, err := strconv.ParseFloat(word, 64)
		var w Weight
		if err = errors.Join(err, w.parseNumber(percent)); err != nil {
			panic(fmt.Sprintf("configs: default %q: %v", text, err))
		}
		list = append(list, w)
	}
	return list
}

func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(textParser)
	return ok
}

// setText sets a scalar from text: how tags state defaults and bounds.
func setText(v reflect.Value, text string) error {
	if p, ok := v.Addr().Interface().(textParser); ok {
		return p.parseText(text)
	}
	if p, ok := v.Addr().Interface().(numberParser); ok {
		n, err := strconv.ParseFloat(text, 64)
		return errors.Join(err, p.parseNumber(n))
	}
	if isDuration(v.Type()) {
		d, err := time.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	if v.Kind() == reflect.String {
		v.SetString(text)
		return nil
	}
	_, err := fmt.Sscan(text, v.Addr().Interface())
	return err
}

// outOfRange checks a number or duration against the field's bounds and words what is wrong.
func (f field) outOfRange(v reflect.Value) string {
	var n float64
	switch v.Kind() {
	case reflect.Float64:
		n = v.Float()
	default:
		n = float64(v.Int())
	}
	if f.min == "" {
		return ""
	}
	low, high := f.bound(v.Type(), f.min), f.bound(v.Type(), f.max)
	if !math.IsNaN(n) && n >= low && n <= high {
		return ""
	}
	return "must be from " + f.min + " to " + f.max
}

func (f field) bound(t reflect.Type, text string) float64 {
	v := reflect.New(t).Elem()
	if err := setText(v, text); err != nil {
		panic(fmt.Sprintf("configs: bound of %s: %v", f.key, err))
	}
	if v.Kind() == reflect.Float64 {
		return v.Float()
	}
	return float64(v.Int())
}
