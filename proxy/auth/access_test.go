package auth_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/auth"
)

func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func networks(t testing.TB, list ...string) (prefixes []netip.Prefix) {
	t.Helper()
	for _, text := range list {
		p, err := auth.ParseNetwork(text)
		if err != nil {
			t.Fatal(err)
		}
		prefixes = append(prefixes, p)
	}
	return prefixes
}

func TestAccessList(t *testing.T) {
	file := written(t, "# the office\n\n192.0.2.0/24 # ground floor\r\n\t2001:db8::/32\n::ffff:198.51.100.7\n")
	for name, c := range map[string]struct {
		options  auth.AccessOptions
		yes, not []string
	}{
		"nothing is said":    {auth.AccessOptions{}, []string{"1.2.3.4", "::1"}, nil},
		"allowed":            {auth.AccessOptions{Allow: networks(t, "10.0.0.0/8")}, []string{"10.1.2.3"}, []string{"11.0.0.1", "::1", "::a00:1"}},
		"denied":             {auth.AccessOptions{Deny: networks(t, "10.0.0.0/8")}, []string{"11.0.0.1", "::1"}, []string{"10.1.2.3"}},
		"deny wins":          {auth.AccessOptions{Allow: networks(t, "10.0.0.0/8"), Deny: networks(t, "10.6.0.0/16")}, []string{"10.5.0.1"}, []string{"10.6.0.1", "9.9.9.9"}},
		"however exact":      {auth.AccessOptions{Allow: networks(t, "10.6.6.6"), Deny: networks(t, "10.0.0.0/8")}, nil, []string{"10.6.6.6"}},
		"everybody":          {auth.AccessOptions{Deny: networks(t, "0.0.0.0/0", "::/0")}, nil, []string{"1.1.1.1", "::1"}},
		"file":               {auth.AccessOptions{AllowFile: file}, []string{"192.0.2.9", "2001:db8::1", "198.51.100.7"}, []string{"192.0.3.1"}},
		"file and list":      {auth.AccessOptions{AllowFile: file, Allow: networks(t, "10.0.0.1")}, []string{"192.0.2.9", "10.0.0.1"}, []string{"10.0.0.2"}},
		"denied by file":     {auth.AccessOptions{DenyFile: file}, []string{"10.0.0.1"}, []string{"192.0.2.9"}},
		"empty file, nobody": {auth.AccessOptions{AllowFile: written(t, "# nobody yet\n")}, nil, []string{"10.0.0.1", "::1"}},
	} {
		l, err := auth.OpenAccessList(c.options)
		if err != nil {
			t.Fatal(err)
		}
		for _, ip := range c.yes {
			if !l.Permits(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s may not pass", name, ip)
			}
		}
		for _, ip := range c.not {
			if l.Permits(netip.MustParseAddr(ip)) {
				t.Errorf("%s: %s may pass", name, ip)
			}
		}
		if l.Permits(netip.Addr{}) {
			t.Errorf("%s: no address may pass", name)
		}
	}
}

// TestAccessListAgainstLoop: the table says what a loop over the networks says.
func TestAccessListAgainstLoop(t *testing.T) {
	// Few different bytes, so that addresses hit networks.
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		b := rapid.SampledFrom([]byte{0, 1, 10, 127, 128, 255})
		if rapid.Bool().Draw(t, "IPv4") {
			return netip.AddrFrom4([4]byte{b.Draw(t, ""), b.Draw(t, ""), b.Draw(t, ""), b.Draw(t, "")})
		}
		return netip.AddrFrom16([16]byte{0x20, b.Draw(t, ""), 14: b.Draw(t, ""), 15: b.Draw(t, "")})
	})
	network := rapid.Custom(func(t *rapid.T) netip.Prefix {
		ip := address.Draw(t, "ip")
		p, err := ip.Prefix(rapid.IntRange(0, ip.BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		allow, deny := rapid.SliceOfN(network, 0, 12).Draw(t, "allow"), rapid.SliceOfN(network, 0, 12).Draw(t, "deny")
		l, err := auth.OpenAccessList(auth.AccessOptions{Allow: allow, Deny: deny})
		if err != nil {
			t.Fatal(err)
		}
		for _, ip := range rapid.SliceOfN(address, 1, 20).Draw(t, "ips") {
			want := len(allow) == 0
			for _, p := range allow {
				want = want || p.Contains(ip)
			}
			for _, p := range deny {
				want = want && !p.Contains(ip)
			}
			if got := l.Permits(ip); got != want {
				t.Fatalf("%s: %t, want %t", ip, got, want)
			}
		}
	})
}

// TestAccessFileMistakes: the error names the line; what was read before stays.
func TestAccessFileMistakes(t *testing.T) {
	path := written(t, "10.0.0.0/8\n")
	l, err := auth.OpenAccessList(auth.AccessOptions{Name: "office", AllowFile: path})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"11.0.0.0/8\n\n10.0.0.1/8\n":               "list.txt:3: bits are set behind the length: did you mean 10.0.0.0/8?",
		"11.0.0.0/8\nhost.example\n":               "list.txt:2: not a network",
		"11.0.0.0/33\n":                            "list.txt:1: not a network",
		"fe80::1%eth0\n":                           "list.txt:1: not a network",
		"11.0.0.0/8 allow\n":                       "list.txt:1: not a network",
		"11.0.0.0/8\n" + strings.Repeat("1", 5000): "list.txt:2: bufio.Scanner: token too long",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := l.Reload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if !l.Permits(netip.MustParseAddr("10.1.1.1")) || l.Permits(netip.MustParseAddr("11.1.1.1")) {
			t.Errorf("%q: the list has changed", text)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err == nil || !l.Permits(netip.MustParseAddr("10.1.1.1")) {
		t.Errorf("a file that is gone: %v", err)
	}
	if err := os.WriteFile(path, []byte("11.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(); err != nil || l.Permits(netip.MustParseAddr("10.1.1.1")) || !l.Permits(netip.MustParseAddr("11.1.1.1")) {
		t.Errorf("a good file is not in force: %v", err)
	}
}

func FuzzParseNetwork(f *testing.F) {
	for _, seed := range []string{"10.0.0.0/8", "::ffff:10.0.0.0/104", "2001:db8::/32", "1.2.3.4", "::/0", "fe80::1%x", "10.0.0.1/8", "::ffff:0:0/95"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := auth.ParseNetwork(text)
		if err != nil {
			return
		}
		again, err := auth.ParseNetwork(p.String())
		if err != nil || again != p || p.Masked() != p || p.Addr().Is4In6() {
			t.Errorf("%q: %s, then %s %v", text, p, again, err)
		}
	})
}

// BenchmarkAccessList looks one address up among a million networks; ReportMetric tells what reading them took.
func BenchmarkAccessList(b *testing.B) {
	var text strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "%d.%d.%d.0/24\n", 1+i>>16, i>>8&255, i&255)
	}
	path := written(b, text.String())
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := auth.OpenAccessList(auth.AccessOptions{DenyFile: path}); err != nil {
				b.Fatal(err)
			}
		}
	})
	l, err := auth.OpenAccessList(auth.AccessOptions{DenyFile: path})
	if err != nil {
		b.Fatal(err)
	}
	ip := netip.MustParseAddr("8.8.8.8")
	b.Run("permits", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if l.Permits(ip) {
				b.Fatal("denied addresses pass")
			}
		}
	})
}
