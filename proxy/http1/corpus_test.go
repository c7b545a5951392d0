package http1_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/message"
)

// A spoken message of testdata/*.txt. The format, for people:
//
//	# name (unique)
//	> raw bytes, with Go's escapes; lines are joined without anything between them; {{8*ab}} is ab eight times
//	< method (responses only; GET when absent; "GET upgrade" for a request that asked for one)
//	= what is heard: a description of each message, and the refusal that ends them
type spoken struct {
	name, raw string
	method    message.Method
	upgrade   bool
	heard     []string
}

var repeat = regexp.MustCompile(`\{\{(\d+)\*(.*?)\}\}`)

func corpus(t testing.TB, file string) (all []spoken) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "#":
			if names[rest] {
				t.Fatalf("%s:%d: second %q", file, i+1, rest)
			}
			names[rest] = true
			all = append(all, spoken{name: rest, method: message.GET})
		case ">":
			s := &all[len(all)-1]
			s.raw += unescape(t, rest)
		case "<":
			method, upgrade, _ := strings.Cut(rest, " ")
			all[len(all)-1].method, all[len(all)-1].upgrade = message.MethodOf([]byte(method)), upgrade == "upgrade"
		case "=":
			s := &all[len(all)-1]
			s.heard = append(s.heard, repeated(rest))
		case "", "##":
		default:
			t.Fatalf("%s:%d: %q", file, i+1, line)
		}
	}
	return all
}

func repeated(s string) string {
	return repeat.ReplaceAllStringFunc(s, func(m string) string {
		part := repeat.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[1])
		return strings.Repeat(part[2], n)
	})
}

func unescape(t testing.TB, s string) string {
	t.Helper()
	raw, err := strconv.Unquote(`"` + strings.ReplaceAll(repeated(s), `"`, `\"`) + `"`)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return raw
}

var readings = map[string]reading{"Next": byNext, "AtHand": atHandOr, "Read 1": byRead(1), "Read 7": byRead(7), "Read 64K": byRead(64 << 10)}

// TestRequests reads every request of the corpus whole, in every way there is to read a body, cut in two at every byte, and byte by byte: always the same is heard.
func TestRequests(t *testing.T) {
	all := corpus(t, "requests.txt")
	if len(all) < 120 {
		t.Errorf("%d requests, want 120", len(all))
	}
	for _, s := range all {
		everyWay(t, s, func(pieces [][]byte, r reading) []string { return hear(t, pieces, r) })
	}
}

// TestResponses is TestRequests for what upstreams say.
func TestResponses(t *testing.T) {
	all := corpus(t, "responses.txt")
	if len(all) < 60 {
		t.Errorf("%d responses, want 60", len(all))
	}
	for _, s := range all {
		everyWay(t, s, func(pieces [][]byte, r reading) []string { return listen(t, pieces, s.method, s.upgrade, r) })
	}
}

func everyWay(t *testing.T, s spoken, listen func([][]byte, reading) []string) {
	t.Helper()
	for way, r := range readings {
		if got := listen(cut(s.raw), r); !slices.Equal(got, s.heard) {
			t.Errorf("%s, by %s:\n got  %s\n want %s", s.name, way, strings.Join(got, "\n      "), strings.Join(s.heard, "\n      "))
			return
		}
	}
	if got := listen(bytewise(s.raw), byNext); !slices.Equal(got, s.heard) {
		t.Errorf("%s, byte by byte:\n got  %s\n want %s", s.name, strings.Join(got, "\n      "), strings.Join(s.heard, "\n      "))
		return
	}
	step := max(1, len(s.raw)/1000) // long ones are long by repetition: a thousand cuts of them say as much as all
	for at := 1; at < len(s.raw); at += step {
		if got := listen(cut(s.raw, at), byNext); !slices.Equal(got, s.heard) {
			t.Errorf("%s, cut at %d:\n got  %s\n want %s", s.name, at, strings.Join(got, "\n      "), strings.Join(s.heard, "\n      "))
			return
		}
	}
}
