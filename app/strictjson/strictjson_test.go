package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/app/strictjson"
)

type inner struct {
	Rate  float64  `json:"rate"`
	Maybe *float64 `json:"maybe,omitempty"`
}

type body struct {
	inner
	Years int                        `json:"years"`
	Name  string                     `json:"name"`
	Flag  *bool                      `json:"flag"`
	Free  map[string]json.RawMessage `json:"free"`
}

func TestIssues(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", ``, `1:1 "" unexpected end of JSON input syntax`},
		{"blank", " \n ", `2:1 "" unexpected end of JSON input syntax`},
		{"truncated", `{"rate": 1`, `1:10 "" unexpected end of JSON input syntax`},
		{"array", `[]`, `1:1 "" must be an object`},
		{"null", `null`, `1:4 "" must be an object`},
		{"number", `12`, `1:2 "" must be an object`},
		{"bad literal", "{\n  \"rate\": nope}", `2:12 "" invalid character 'o' in literal null (expecting 'u') syntax`},
		{"NaN", `{"rate": NaN}`, `1:10 "" invalid character 'N' looking for beginning of value syntax`},
		{"trailing comma", `{"rate": 1,}`, `1:12 "" invalid character '}' looking for beginning of object key string syntax`},
		{"unquoted key", `{rate: 1}`, `1:2 "" invalid character 'r' looking for beginning of object key string syntax`},
		{"after the end", `{} {}`, `1:4 "" invalid character '{' after top-level value syntax`},
		{"garbage after the end", `{}x`, `1:3 "" invalid character 'x' after top-level value syntax`},
		{"unknown", `{"rate": 1, "rat": 2}`, `1:17 "rat" is not a known field`},
		{"other case", `{"Rate": 1}`, `1:7 "Rate" is not a known field`},
		{"twice", `{"rate": 1, "rate": 2}`, `1:18 "rate" is given twice`},
		{"twice, escaped", `{"rate": 1, "r\u0061te": 2}`, `1:23 "rate" is given twice`},
		{"twice, deep", `{"free": {"a": [{"b": 1, "b": 2}]}}`, `1:28 "free.a[0].b" is given twice`},
		{"huge", `{"rate": 1e999}`, `1:14 "rate" is a number too large to represent`},
		{"huge, deep", `{"free": {"a": [1, -1e400]}}`, `1:25 "free.a[1]" is a number too large to represent`},
		{"null for a number", `{"rate": null}`, `1:13 "rate" must not be null; leave it out for its default`},
		{"string for a number", "{\"years\": 3,\n\"rate\": \"1\"}", `2:11 "rate" must be a number, not string`},
		{"fraction for an integer", `{"years": 3.5}`, `1:13 "years" must be an integer, not number 3.5`},
		{"number for a string", `{"name": 3}`, `1:10 "name" must be a string, not number`},
		{"string for an object", `{"free": "x"}`, `1:12 "free" must be an object, not string`},
		{"string for a flag", `{"flag": "x"}`, `1:12 "flag" must be true or false, not string`},
		{"not UTF-8", "{\"name\": \"a\xff\"}", `1:12 "" is not UTF-8 syntax`},
		{"two at once", `{"x": 1, "y": 2}`, `1:4 "x" is not a known field; 1:12 "y" is not a known field`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var v body
			var got []string
			for _, i := range strictjson.New[body]().Decode([]byte(c.in), &v) {
				s := fmt.Sprintf("%d:%d %q %s", i.Line, i.Column, i.Field, i.Message)
				if i.Syntax {
					s += " syntax"
				}
				got = append(got, s)
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), c.want)
			}
		})
	}
}

func TestDecodeKeepsWhatTheBodyLeavesOut(t *testing.T) {
	half := .5
	v := body{inner: inner{Rate: 1, Maybe: &half}, Years: 7, Name: "x"}
	if issues := strictjson.New[body]().Decode([]byte(`{"maybe": null, "years": 3, "free": {"a": null}}`), &v); issues != nil {
		t.Fatal(issues)
	}
	if v.Rate != 1 || v.Maybe != nil || v.Years != 3 || v.Name != "x" || string(v.Free["a"]) != "null" {
		t.Errorf("decoded %+v", v)
	}
}

func TestDepthIsBounded(t *testing.T) {
	for depth, ok := range map[int]bool{31: true, 32: false, 100_000: false} {
		in := `{"free": ` + strings.Repeat(`{"a": `, depth-1) + `{}` + strings.Repeat(`}`, depth-1) + `}`
		var v body
		if issues := strictjson.New[body]().Decode([]byte(in), &v); (len(issues) == 0) != ok {
			t.Errorf("depth %d: %v", depth, issues)
		}
	}
}

func TestIssuesAreBounded(t *testing.T) {
	var v body
	in := `{` + strings.Repeat(`"x": 1, `, 1000) + `"x": 1}`
	if n := len(strictjson.New[body]().Decode([]byte(in), &v)); n == 0 || n > 25 {
		t.Errorf("%d issues", n)
	}
}

// FuzzDecode: never a panic; positions inside the body; what is accepted is JSON that encoding/json
// accepts with unknown fields refused, and which survives a second decoding.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"rate":1.5,"years":3,"free":{"a":[1,{"b":null}]}}`, `{"rate":1e999}`,
		`{"a":1,"a":2}`, "\xff{", `{"name":"\ud800"}`, `[[[[`, `{"free":{"a":{"a":{"a":1}}}}`} {
		f.Add([]byte(s))
	}
	d := strictjson.New[body]()
	f.Fuzz(func(t *testing.T, in []byte) {
		var v body
		issues := d.Decode(in, &v)
		for _, i := range issues {
			if i.Line < 1 || i.Column < 1 || i.Line > 1+strings.Count(string(in), "\n") || i.Message == "" {
				t.Fatalf("issue %+v", i)
			}
		}
		if issues != nil {
			return
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatalf("accepted %q, which cannot be written: %v", in, err)
		}
		if !json.Valid(in) {
			t.Fatalf("accepted invalid JSON %q → %s", in, again)
		}
	})
}
