package auth

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// mostClaim bounds what becomes a field of a request: heads above 8 KiB meet upstreams that refuse them.
const mostClaim = 4096

// read makes a token of a verified payload; nil for one of somebody else, for somebody else, without an end, or with claims that no field can carry.
func (j *JWT) read(payload []byte) *token {
	var claims map[string]any
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if d.Decode(&claims) != nil || d.More() {
		return nil
	}
	if issuer, _ := claims["iss"].(string); issuer != j.options.Issuer {
		return nil
	}
	if len(j.options.Audience) > 0 && !slices.ContainsFunc(j.options.Audience, func(a string) bool { return has(claims["aud"], a) }) {
		return nil
	}
	t := &token{}
	var ok bool
	if t.until, ok = date(claims["exp"]); !ok {
		return nil
	}
	t.until = t.until.Add(j.options.Leeway)
	if nbf, there := claims["nbf"]; there {
		if t.from, ok = date(nbf); !ok {
			return nil
		}
		t.from = t.from.Add(-j.options.Leeway)
	}
	for name, want := range j.options.Require {
		t.refused = t.refused || !has(claims[name], want) && !(name == "scope" && slices.Contains(strings.Fields(text(claims[name])), want))
	}
	if !j.present(t, claims) {
		return nil
	}
	for _, name := range j.options.Keep {
		if value := text(claims[name]); value != "" {
			t.claims = append(t.claims, Claim{name, []byte(value)})
		}
	}
	return t
}

// present puts together what the upstream is told. Field by field in the order of their names, so that the same token always reads the same.
func (j *JWT) present(t *token, claims map[string]any) bool {
	t.user = []byte(text(claims[j.options.UserClaim]))
	if !presentable(string(t.user)) {
		return false
	}
	if len(t.user) > 0 {
		t.fields = append(t.fields, userField+": "+string(t.user)+"\r\n"...)
	}
	for _, name := range sortedKeys(j.options.Headers) {
		value := text(claims[name])
		if !presentable(value) {
			return false
		}
		if value != "" {
			t.fields = append(t.fields, j.options.Headers[name]+": "+value+"\r\n"...)
		}
	}
	return true
}

// presentable: an issuer that lets people choose their names must not let them write header lines.
func presentable(value string) bool { return len(value) <= mostClaim && message.ValidValue(value) }

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// has reports a claim that is the value, or a list that has it.
func has(claim any, want string) bool {
	if list, ok := claim.([]any); ok {
		return slices.ContainsFunc(list, func(e any) bool { return has1(e, want) })
	}
	return has1(claim, want)
}

func has1(claim any, want string) bool {
	_, nested := claim.([]any)
	return claim != nil && !nested && text(claim) == want
}

// text is a claim as a field has it: a list's elements are joined by commas, what is no text, number or truth value is nothing.
func text(claim any) string {
	switch c := claim.(type) {
	case string:
		return c
	case json.Number:
		return c.String()
	case bool:
		return strconv.FormatBool(c)
	case []any:
		parts := make([]string, 0, len(c))
		for _, e := range c {
			if _, nested := e.([]any); !nested {
				parts = append(parts, text(e))
			}
		}
		return strings.Join(parts, ",")
	}
	return ""
}

// date is a NumericDate (RFC 7519 §2): seconds, perhaps with a fraction.
func date(claim any) (time.Time, bool) {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	f, err := n.Float64()
	if err != nil || math.IsNaN(f) || f < 0 || f > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}
