package shadow_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/shadow"
)

// keys are such that none looks like one of many, nor like a secret's.
var keys = rapid.SampledFrom([]string{"a", "b", "name", "price", "items", "total", "v1", "created_at", ""})

// documents draws a JSON value of some depth.
func documents(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 4
		if depth > 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,8})?([eE][-+]?[0-9]{1,3})?`).Draw(t, "number"))
		case 3:
			return rapid.String().Draw(t, "string")
		case 4:
			return rapid.SliceOfN(documents(depth-1), 0, 4).Draw(t, "array")
		}
		return rapid.MapOfN(keys, documents(depth-1), 0, 4).Draw(t, "object")
	})
}

// write says a document with its keys in an order of chance, white space of chance and numbers in another notation: the same document.
func write(t *rapid.T, b *bytes.Buffer, v any) {
	space := func() { b.WriteString(rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")) }
	space()
	switch v := v.(type) {
	case json.Number:
		b.WriteString(rewritten(t, v.String()))
	case []any:
		b.WriteByte('[')
		for i := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			write(t, b, v[i])
		}
		b.WriteByte(']')
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		b.WriteByte('{')
		for i, name := range rapid.Permutation(names).Draw(t, "order") {
			if i > 0 {
				b.WriteByte(',')
			}
			quoted, _ := json.Marshal(name) // strings always encode
			b.Write(quoted)
			b.WriteByte(':')
			write(t, b, v[name])
		}
		b.WriteByte('}')
	default:
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	space()
}

// rewritten is a number in another notation: the point moved, and the exponent with it.
func rewritten(t *rapid.T, number string) string {
	if strings.ContainsAny(number, "eE") || rapid.Bool().Draw(t, "as it is") {
		return number
	}
	switch {
	case strings.Contains(number, "."):
		return number + "0"
	case strings.HasSuffix(number, "0"): // 0 has no further digits
		return number + ".0"
	}
	return number + "00e-2"
}

func said(t *rapid.T, v any) []byte {
	var b bytes.Buffer
	write(t, &b, v)
	return b.Bytes()
}

// TestEqualDocumentsDoNotDiffer: the same document has no difference from itself, in whatever order and notation it is written.
func TestEqualDocumentsDoNotDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := documents(3).Draw(t, "document")
		a, b := said(t, v), said(t, v)
		found, ok := new(shadow.Rules).DiffJSON(a, b)
		if !ok || len(found) > 0 {
			t.Fatalf("%s and %s: %v %v", a, b, ok, found)
		}
	})
}

// leaf is a place in a document, and how to write to it.
type leaf struct {
	where string
	set   func(any)
	value any
}

func leaves(v any, where string, set func(any)) (list []leaf) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			shown := name
			if name == "" {
				shown = `""`
			}
			list = append(list, leaves(inner, where+"."+shown, func(n any) { v[name] = n })...)
		}
	case []any:
		for i, inner := range v {
			list = append(list, leaves(inner, where+"[]", func(n any) { v[i] = n })...)
		}
	default:
		list = append(list, leaf{where, set, v})
	}
	return list
}

// TestAChangedLeafIsFoundAtItsPlace: one leaf that is changed is the one difference, at its path with array indexes left out; a pattern of that path makes it none.
func TestAChangedLeafIsFoundAtItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := map[string]any{"root": documents(3).Draw(t, "document")}
		before := said(t, root)
		all := leaves(root, "$", nil)
		if len(all) == 0 {
			return
		}
		slices.SortFunc(all, func(a, b leaf) int { return strings.Compare(a.where, b.where) })
		l := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
		changed := any("something else")
		if l.value == changed {
			changed = nil
		}
		l.set(changed)
		after := said(t, root)
		found, ok := new(shadow.Rules).DiffJSON(before, after)
		if !ok || len(found) != 1 || found[0].Where != l.where {
			t.Fatalf("%s to %s at %s: %v", before, after, l.where, found)
		}
		if strings.Contains(l.where, `""`) {
			return // no pattern has an empty key
		}
		p, err := shadow.ParsePattern(l.where)
		if err != nil {
			t.Fatal(err)
		}
		if found, _ = (&shadow.Rules{Ignore: []shadow.Pattern{p}}).DiffJSON(before, after); len(found) > 0 {
			t.Fatalf("ignored, and found: %v", found)
		}
	})
}

func TestJSONDifferences(t *testing.T) {
	ignore := func(texts ...string) (list []shadow.Pattern) {
		for _, text := range texts {
			p, err := shadow.ParsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, p)
		}
		return list
	}
	for _, c := range []struct {
		name, a, b string
		rules      shadow.Rules
		want       []shadow.Finding
	}{
		{"every element once", `{"items":[{"p":1},{"p":2}]}`, `{"items":[{"p":3},{"p":4}]}`, shadow.Rules{}, []shadow.Finding{{"$.items[].p", "1", "3"}}},
		{"missing and new", `{"a":1}`, `{"b":[1]}`, shadow.Rules{}, []shadow.Finding{{"$.a", "1", "absent"}, {"$.b", "absent", "array of 1"}}},
		{"null is not absent", `{"a":null}`, `{}`, shadow.Rules{}, []shadow.Finding{{"$.a", "null", "absent"}}},
		{"length alone", `[1,2]`, `[9,1,2]`, shadow.Rules{}, []shadow.Finding{{"$[#]", "array of 2", "array of 3"}}},
		{"kinds", `{"a":"1","b":{}}`, `{"a":1,"b":[]}`, shadow.Rules{}, []shadow.Finding{{"$.a", "string(1)", "1"}, {"$.b", "object of 0", "array of 0"}}},
		{"strings are not told", `{"mail":"ann@example.com"}`, `{"mail":"bö@example.com"}`, shadow.Rules{}, []shadow.Finding{{"$.mail", "string(15)", "string(14)"}}},
		{"strings are told", `{"a":"x"}`, "{\"a\":\"\\u0007y\"}", shadow.Rules{ShowStrings: true}, []shadow.Finding{{"$.a", `"x"`, `"\ay"`}}},
		{"secrets are masked, and all below them", `{"apiKey":{"x":["a"]}}`, `{"apiKey":{"x":["b"]}}`, shadow.Rules{ShowStrings: true}, []shadow.Finding{{"$.apiKey.x[]", "(masked)", "(masked)"}}},
		{"keys that are data", `{"u":{"1f2e3d":1,"ann@example.com":2}}`, `{"u":{"1f2e3d":2,"ann@example.com":3}}`, shadow.Rules{}, []shadow.Finding{{"$.u.*", "1", "2"}}},
		{"ignored with all below", `{"meta":{"a":1},"b":1}`, `{"meta":{"a":2},"b":2}`, shadow.Rules{Ignore: ignore("$.meta")}, []shadow.Finding{{"$.b", "1", "2"}}},
		{"ignored in every element", `[{"t":1,"u":1}]`, `[{"t":2,"u":2}]`, shadow.Rules{Ignore: ignore("$[].t")}, []shadow.Finding{{"$[].u", "1", "2"}}},
		{"any key", `{"x":{"t":1},"y":{"t":1}}`, `{"x":{"t":2},"y":{"t":2}}`, shadow.Rules{Ignore: ignore("$.*.t")}, nil},
		{"numbers by value", `[1, 1.0, 10e-1, 9007199254740993]`, `[1.00, 1e0, 1, 9007199254740992]`, shadow.Rules{}, []shadow.Finding{{"$[]", "9007199254740993", "9007199254740992"}}},
	} {
		found, ok := c.rules.DiffJSON([]byte(c.a), []byte(c.b))
		if !ok || !slices.Equal(found, c.want) {
			t.Errorf("%s: %v\nwant %v", c.name, found, c.want)
		}
	}
	for _, text := range []string{"", "{", "{} {}", "nul", "\"\xff\""} {
		if _, ok := new(shadow.Rules).DiffJSON([]byte(text), []byte("{}")); ok {
			t.Errorf("%q is taken for a document", text)
		}
	}
	if found, _ := new(shadow.Rules).DiffJSON([]byte(many('a')), []byte(many('b'))); len(found) != shadow.MostFindings {
		t.Errorf("%d findings", len(found))
	}
}

// many is an object of more keys than are told apart.
func many(value rune) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range 200 {
		fmt.Fprintf(&b, `"%c%c":"%c",`, 'a'+i/20, 'a'+i%20, value)
	}
	return b.String() + `"z":0}`
}

// TestNumbersAreComparedExactly: by value, as exact arithmetic has it.
func TestNumbersAreComparedExactly(t *testing.T) {
	numbers := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3}|10{0,5})(\.[0-9]{1,3})?([eE][-+]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if want := x.Cmp(y) == 0; shadow.SameNumber(a, b) != want || shadow.SameNumber(b, a) != want {
			t.Fatalf("%s and %s: not %v", a, b, want)
		}
	})
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"1e1000000000", "10e999999999", true}, {"1e1000000000", "1e1000000001", false}, {"0e99", "-0", true}, {"1e99999999999999999999", "1e99999999999999999999", true},
		{"1e99999999999999999999", "10e99999999999999999998", false}, {"0.1", "1e-1", true}, {"1", "-1", false},
	} {
		if shadow.SameNumber(c.a, c.b) != c.same {
			t.Errorf("%s and %s: not %v", c.a, c.b, c.same)
		}
	}
}

// FuzzDiffJSON: whatever two bodies are, a document does not differ from itself, differences are the same places from either side, and samples stay short and printable text.
func FuzzDiffJSON(f *testing.F) {
	for _, pair := range [][2]string{
		{`{"a":[1,{"b":null}]}`, `{"a":[1,{"b":"x"}]}`}, {`[]`, `{}`}, {`{"":1}`, `{"token":"s"}`}, {`[[[[]]]]`, `[[[[1]]]]`}, {`1e400`, `1`}, {"\xff", `"\ud800"`}, {many('a'), many('b')},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		rules := &shadow.Rules{}
		if found, ok := rules.DiffJSON(a, a); ok && len(found) > 0 {
			t.Fatalf("%q differs from itself: %v", a, found)
		}
		there, ok := rules.DiffJSON(a, b)
		if !ok {
			return
		}
		back, _ := rules.DiffJSON(b, a)
		places := func(list []shadow.Finding) (names []string) {
			for _, f := range list {
				names = append(names, f.Where)
				if len(f.A)+len(f.B) > 400 || !utf8.ValidString(f.Where+f.A+f.B) || len(f.Where) > 300 {
					t.Fatalf("sample %q", f)
				}
			}
			slices.Sort(names)
			return names
		}
		if x, y := places(there), places(back); len(x) < shadow.MostFindings && !slices.Equal(x, y) {
			t.Fatalf("%q and %q: %q there, %q back", a, b, x, y)
		}
	})
}
