package observe_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

var seeds = []string{
	"", "/", "/a?b=c", "/a?token=x&y", "\x00\x01\x1f\x7f\x80\xff", `"`, `\`, `\x22`, "\r\n127.0.0.1 - - [", "é€😀", "\xed\xa0\x80", "\u0085\u009b\u2028",
	"http://u:p@h:1/?password=\"", "%", "%2", "%zz=%", "?=&;#", "[::1]:80", "a:1", ":", strings.Repeat("\xff", 300),
}

func addSeeds(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), []byte(seeds[(i+1)%len(seeds)]), []byte(seeds[(i+5)%len(seeds)]), uint8(i))
	}
}

func hostile(target, host, agent []byte, kind uint8) observe.Entry {
	return observe.Entry{
		Method: message.Method(kind % 10), MethodName: host, Target: target, Host: host, Referer: target, UserAgent: agent, User: agent,
		Proto: message.Proto(kind), RequestID: agent, ServerName: string(host), TLSVersion: uint16(kind) + 0x0300, Route: string(agent),
		Status: int(kind), Attempts: int(kind % 3), Reason: string(host),
	}
}

// Every line is one JSON object, of valid UTF-8 without control bytes, without a key twice, and says what the request said as far as UTF-8 can.
func FuzzJSONLine(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, target, host, agent []byte, kind uint8) {
		line := logged(t, observe.JSON, hostile(target, host, agent, kind))
		body, ok := strings.CutSuffix(line, "\n")
		if !ok || !utf8.ValidString(body) || strings.ContainsFunc(body, func(r rune) bool { return r < 0x20 || r >= 0x7f && r < 0xa0 }) {
			t.Fatalf("not one clean line: %q", line)
		}
		d := json.NewDecoder(strings.NewReader(body))
		if token, err := d.Token(); err != nil || token != json.Delim('{') {
			t.Fatalf("%v: %q", err, line)
		}
		got := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			var value any
			if err := d.Decode(&value); err != nil {
				t.Fatalf("%v: %q", err, line)
			}
			if _, twice := got[key.(string)]; twice {
				t.Fatalf("key %s twice: %q", key, line)
			}
			got[key.(string)] = value
		}
		if !json.Valid([]byte(body)) {
			t.Fatalf("invalid: %q", line)
		}
		if want := strings.ToValidUTF8(string(agent), "\ufffd"); len(agent) > 0 && utf8.Valid(agent) && got["user_agent.original"] != want {
			t.Fatalf("user agent %q is logged as %q", agent, got["user_agent.original"])
		}
		if got["url.query"] != nil && got["url.original"] != got["url.path"].(string)+"?"+got["url.query"].(string) {
			t.Fatalf("parts do not make the whole: %q", line)
		}
	})
}

// A quoted part of the combined format: what nginx's escaping can produce, and nothing else.
const quoted = `"((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})+)"`

var combinedShape = regexp.MustCompile(`^- - ((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})+) \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] ` +
	`"((?:[ !#-\[\]-~]|\\x[0-9A-F]{2})+)" (\d{3}) \d+ ` + quoted + ` ` + quoted + `\n$`)

// Every line has exactly the shape of the format, so no request can forge a second line or a field, and unescapes to what the client sent.
func FuzzCombinedLine(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, target, host, agent []byte, kind uint8) {
		line := logged(t, observe.Combined, hostile(target, host, agent, kind))
		parts := combinedShape.FindStringSubmatch(line)
		if parts == nil {
			t.Fatalf("not the shape of combined: %q", line)
		}
		if want := string(agent); want != "" && unescape(t, parts[5]) != want {
			t.Fatalf("user agent %q is logged as %q", agent, parts[5])
		}
		if !bytes.ContainsAny(target, "=@") && len(target) > 0 && unescape(t, parts[4]) != string(target) {
			t.Fatalf("referer %q is logged as %q", target, parts[4])
		}
	})
}

func unescape(t *testing.T, s string) string {
	t.Helper()
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, byte(n))
		i += 3
	}
	return string(out)
}
