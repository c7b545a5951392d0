package clientip_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/clientip"
)

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "unknown", "_x", "1.2.3", "1.2.3.4.5", "1.2.3.4:", "1.2.3.4:a", "1.2.3.4:65536", "1.2.3.4%eth0", "[1.2.3.4]", "[1.2.3.4]:80", "[::1", "::1]",
		"[::1]x", "[::1]:", "[]", "[]:80", "fe80::1%", "1.2.3.4 ", "\"1.2.3.4\"", "for=1.2.3.4", "::1:::", "1.2.3.4\x00", strings.Repeat("1:", 40),
	} {
		if ip, ok := clientip.Parse([]byte(text)); ok {
			t.Errorf("%q: %v", text, ip)
		}
	}
}

// FuzzParse holds the parser to netip's: what either of netip.ParseAddr and ParseAddrPort accepts comes out the same, and nothing else comes out at all.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "192.0.2.1:1", "::1", "[::1]", "[::1]:65535", "fe80::1%eth0", "[fe80::1%e]:1", "::ffff:1.2.3.4", "1:2", "%", "[%]:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := clientip.Parse([]byte(s))
		var want netip.Addr
		inner, bracketed := strings.CutPrefix(s, "[")
		if bracketed {
			inner, bracketed = strings.CutSuffix(inner, "]")
		}
		if ip, err := netip.ParseAddr(s); err == nil {
			want = ip
		} else if ap, err := netip.ParseAddrPort(s); err == nil {
			want = ap.Addr()
		} else if ip, err := netip.ParseAddr(inner); bracketed && err == nil && ip.Is6() {
			want = ip
		}
		if want = want.WithZone("").Unmap(); ok != want.IsValid() || got != want {
			t.Fatalf("%q: %v %v, want %v", s, got, ok, want)
		}
	})
}
