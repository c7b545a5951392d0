package route_test

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/route"
)

func TestCanonical(t *testing.T) {
	cases := []struct {
		in, want string
		err      error
	}{
		{in: "/", want: "/"},
		{in: "*", want: "*"},
		{in: "/api/health", want: "/api/health"},
		{in: "/a.b/.c/..d/e./...", want: "/a.b/.c/..d/e./..."},
		{in: "/a/./b", want: "/a/b"},
		{in: "/a/../b", want: "/b"},
		{in: "/a/b/..", want: "/a/"},
		{in: "/a/..", want: "/"},
		{in: "/a/.", want: "/a/"},
		{in: "/.", want: "/"},
		{in: "/a/b/c/./../../g", want: "/a/g"}, // RFC 3986 §5.2.4
		{in: "/a/%2e%2E/b", want: "/b"},
		{in: "/a/.%2e/%2e/b", want: "/b"},
		{in: "/a//../b", want: "/a/b"},
		{in: "//a//b//", want: "//a//b//"},
		{in: "/x%2Fy%2fz/%C3%a9", want: "/x%2Fy%2fz/%C3%a9"}, // GitLab, Nextcloud, Matrix need these untouched
		{in: "/x%2Fy/./%61", want: "/x%2Fy/%61"},
		{in: "/%252e%252e/x", want: "/%252e%252e/x"}, // decoded once it is text
		{in: "/a;v=1/b;x=..", want: "/a;v=1/b;x=.."},
		{in: "/a%5Cb", want: "/a%5Cb"},
		{in: "/ä|^", want: "/ä|^"},

		{in: "", err: route.ErrRelative},
		{in: "api", err: route.ErrRelative},
		{in: "**", err: route.ErrRelative},
		{in: "/..", err: route.ErrAboveRoot},
		{in: "/a/../../b", err: route.ErrAboveRoot},
		{in: "/%2e%2e/b", err: route.ErrAboveRoot},
		{in: "/a b", err: route.ErrByte},
		{in: "/a\\..\\b", err: route.ErrByte},
		{in: "/a\x00", err: route.ErrByte},
		{in: "/a\nb", err: route.ErrByte},
		{in: "/a\x7f", err: route.ErrByte},
		{in: "/a?b", err: route.ErrByte},
		{in: "/a#b", err: route.ErrByte},
		{in: "/%", err: route.ErrEscape},
		{in: "/%4", err: route.ErrEscape},
		{in: "/%4/x", err: route.ErrEscape},
		{in: "/%g0", err: route.ErrEscape},
		{in: "/%0g", err: route.ErrEscape},
		{in: "/a%00.php", err: route.ErrNUL},
		{in: "/a/..%2Fb", err: route.ErrAmbiguous},
		{in: "/a/%2e%2e%2fb", err: route.ErrAmbiguous},
		{in: "/a/x%2F..", err: route.ErrAmbiguous},
		{in: "/a/x%5c..%5cy", err: route.ErrAmbiguous},
		{in: "/a/..;/b", err: route.ErrAmbiguous},
		{in: "/a/.%2e%3Bx/b", err: route.ErrAmbiguous},
	}
	for _, c := range cases {
		got, err := route.Canonical(nil, []byte(c.in))
		if !errors.Is(err, c.err) || string(got) != c.want {
			t.Errorf("Canonical(%q) = %q, %v; want %q, %v", c.in, got, err, c.want, c.err)
		}
	}
}

func TestCanonicalCopiesOnlyWhatChanges(t *testing.T) {
	same := []byte("/api/v1/a%2Fb/c.d")
	got, err := route.Canonical(nil, same)
	if err != nil || &got[0] != &same[0] || len(got) != len(same) {
		t.Errorf("Canonical(%q) = %q, %v: not the slice given", same, got, err)
	}
	in, dst := []byte("/a/../b"), make([]byte, 0, 64)
	if got, _ := route.Canonical(dst, in); &got[0] != &dst[:1][0] || string(in) != "/a/../b" {
		t.Errorf("Canonical wrote %q outside dst or changed its input to %q", got, in)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = route.Canonical(dst, in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	bad := []byte("/a/..%2f")
	if n := testing.AllocsPerRun(100, func() { _, _ = route.Canonical(dst, bad) }); n != 0 {
		t.Errorf("%v allocations for a refused path", n)
	}
}

// checkCanonical holds the security property for one input.
func checkCanonical(t interface{ Fatalf(string, ...any) }, in []byte) {
	before := bytes.Clone(in)
	got, err := route.Canonical(make([]byte, 0, 8), in)
	if !bytes.Equal(in, before) {
		t.Fatalf("input %q was changed to %q", before, in)
	}
	if err != nil {
		if pe := route.PathError(""); !errors.As(err, &pe) || got != nil {
			t.Fatalf("Canonical(%q) = %q, %v", in, got, err)
		}
		return
	}
	if string(got) == "*" {
		return
	}
	again, err := route.Canonical(nil, got)
	if err != nil || !bytes.Equal(again, got) {
		t.Fatalf("Canonical(%q) = %q, again %q, %v", in, got, again, err)
	}
	decoded, err := url.PathUnescape(string(got))
	if err != nil || len(got) > len(in) || got[0] != '/' {
		t.Fatalf("Canonical(%q) = %q: %v", in, got, err)
	}
	// Every way a server may read it once: raw or decoded, "\" a separator or not, parameters cut or not.
	for _, reading := range []string{string(got), decoded} {
		for _, separators := range []string{"/", `/\`} {
			for _, seg := range strings.FieldsFunc(reading, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
				bare, _, _ := strings.Cut(seg, ";")
				if seg == "." || seg == ".." || bare == "." || bare == ".." {
					t.Fatalf("Canonical(%q) = %q has the dot segment %q when read as %q", in, got, seg, reading)
				}
			}
		}
	}
	if strings.ContainsRune(decoded, 0) {
		t.Fatalf("Canonical(%q) = %q has a NUL", in, got)
	}
}

// hostilePath draws paths out of the pieces that parsers disagree about.
func hostilePath() *rapid.Generator[[]byte] {
	piece := rapid.SampledFrom([]string{
		"/", "/", "/", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", `\`, ";", "%3b", "%25", "%252e", "%00", "%", "%6", "a", "api", "%61", "x.y", " ", "ä", "%c0%ae",
	})
	return rapid.Custom(func(t *rapid.T) []byte {
		return []byte("/" + strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), ""))
	})
}

func TestCanonicalProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkCanonical(t, hostilePath().Draw(t, "path")) })
}

// TestCanonicalResolves compares with the standard library where both promise the same: clean segments and raw dot segments.
func TestCanonicalResolves(t *testing.T) {
	seg := rapid.SampledFrom([]string{"a", "b", ".", "..", "c.d", "...", ""})
	rapid.Check(t, func(t *rapid.T) {
		path := "/" + strings.Join(rapid.SliceOfN(seg, 1, 8).Draw(t, "segments"), "/")
		got, err := route.Canonical(nil, []byte(path))
		depth, above := 0, false
		for s := range strings.SplitSeq(path[1:], "/") {
			switch s {
			case ".":
			case "..":
				depth--
				above = above || depth < 0
			default:
				depth++
			}
		}
		if above != errors.Is(err, route.ErrAboveRoot) {
			t.Fatalf("Canonical(%q) = %q, %v; climbs above the root: %v", path, got, err, above)
		}
		if above {
			return
		}
		base := url.URL{Scheme: "http", Host: "h", Path: "/"}
		if want := base.ResolveReference(&url.URL{Path: path}).Path; !strings.Contains(path, "//") && want != string(got) {
			t.Fatalf("Canonical(%q) = %q, net/url says %q", path, got, want)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{
		"/", "*", "", "/a/../b", "/%2e%2e/x", "/a/..%2f", "/a/..;/b", "/%", "/a//../b", "/%c0%ae/", "/.%2e;x%5c..", "/a\\b", "/a/.%2e/..%00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, path []byte) { checkCanonical(t, path) })
}
