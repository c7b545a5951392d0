package auth

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestSealOpensForItsOwn: what was sealed opens with the same secrets, purpose and bound text, for as long as it is kept; anything else does not.
func TestSealOpensForItsOwn(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	now := time.Unix(1_800_000_000, 0)
	s := newSealer([][]byte{one}, "a", 48*time.Hour)
	sealed, err := s.seal([]byte("text"), "bound", now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.seal([]byte("text"), "bound", now)
	if err != nil || again == sealed {
		t.Error("the same text is sealed to the same", err)
	}
	for name, c := range map[string]struct {
		s     *sealer
		bound string
		after time.Duration
		opens bool
	}{
		"itself":             {s, "bound", 0, true},
		"after a restart":    {newSealer([][]byte{one}, "a", 48*time.Hour), "bound", time.Hour, true},
		"secrets rotated":    {newSealer([][]byte{two, one}, "a", 48*time.Hour), "bound", 0, true},
		"secret gone":        {newSealer([][]byte{two}, "a", 48*time.Hour), "bound", 0, false},
		"another purpose":    {newSealer([][]byte{one}, "b", 48*time.Hour), "bound", 0, false},
		"bound to another":   {s, "bounds", 0, false},
		"two days later":     {s, "bound", 48 * time.Hour, true},
		"long after":         {s, "bound", 100 * 24 * time.Hour, false},
		"long before":        {s, "bound", -100 * 24 * time.Hour, false},
		"a clock set back":   {s, "bound", -time.Hour, true},
		"a day back at most": {s, "bound", -3 * 24 * time.Hour, false},
	} {
		if text := c.s.open([]byte(sealed), c.bound, now.Add(c.after)); (string(text) == "text") != c.opens || !c.opens && text != nil {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// TestSealIsTamperProof: no change of a sealed text opens.
func TestSealIsTamperProof(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := newSealer([][]byte{bytes.Repeat([]byte{1}, 32)}, "a", 24*time.Hour)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "text")
		sealed, err := s.seal(text, "bound", now)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.open([]byte(sealed), "bound", now); !bytes.Equal(got, text) {
			t.Fatalf("%q for %q", got, text)
		}
		raw, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		switch rapid.IntRange(0, 2).Draw(t, "how") {
		case 0:
			raw[rapid.IntRange(0, len(raw)-1).Draw(t, "where")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		case 1:
			raw = raw[:rapid.IntRange(0, len(raw)-1).Draw(t, "length")]
		case 2:
			raw = append(raw, rapid.Byte().Draw(t, "more"))
		}
		if got := s.open([]byte(base64.RawURLEncoding.EncodeToString(raw)), "bound", now); got != nil {
			t.Fatalf("a changed one opens: %q", got)
		}
	})
	if n := len(s.keys); n > 20 {
		t.Errorf("%d keys are kept for made-up days", n)
	}
}

// TestReturnURL: whatever was asked for, a browser that is sent there stays on the host.
func TestReturnURL(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "/a/b": "/a/b", "//evil.test/": "/", `/\evil.test/`: "/", `\\evil.test`: "/", "https://evil.test/": "/", "*": "/", "": "/", "/a//b": "/a//b",
		"/\t/evil.test": "/", "/\n": "/", "/%2F/evil.test": "/%2F/evil.test", "/a\\b": "/", "/\x7f": "/", "/\u00e9": "/",
	} {
		if got := returnURL(&Request{Path: []byte(path)}); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	if got := returnURL(&Request{Path: []byte("/a"), Query: []byte("to=//evil.test/&x=%0a")}); got != "/a?to=//evil.test/&x=%0a" {
		t.Errorf("with a query: %q", got)
	}
	if got := returnURL(&Request{Path: []byte("/a"), Query: bytes.Repeat([]byte("a"), 1100)}); got != "/" {
		t.Errorf("a very long one: %d bytes", len(got))
	}
}

// FuzzOpen: nothing but what was sealed opens, and nothing panics.
func FuzzOpen(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	s := newSealer([][]byte{bytes.Repeat([]byte{1}, 32)}, "a", 24*time.Hour)
	sealed, err := s.seal([]byte("text"), "bound", now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sealed))
	f.Add([]byte(""))
	f.Add([]byte("AQAAUVYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if text := s.open(b, "bound", now); text != nil && string(b) != sealed {
			t.Errorf("%q opens: %q", b, text)
		}
	})
}
