package clientip_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/message"
)

func trust(t testing.TB, prefixes ...string) clientip.Trust {
	t.Helper()
	var list []netip.Prefix
	for _, p := range prefixes {
		list = append(list, netip.MustParsePrefix(p))
	}
	return clientip.New(list)
}

// header makes fields from "Name: value" lines as a parser would.
func header(lines ...string) *message.Header {
	h := &message.Header{}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		h.AppendLine([]byte(l), len(name), len(l)-len(value), message.IDOf(name))
	}
	return h
}

func TestClient(t *testing.T) {
	proxies := trust(t, "10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1/32")
	for name, c := range map[string]struct {
		peer   string
		fields []string
		want   string
	}{
		"untrusted peer is not believed":       {"192.0.2.9", []string{"X-Forwarded-For: 6.6.6.6"}, "192.0.2.9"},
		"no field":                             {"10.0.0.1", nil, "10.0.0.1"},
		"one hop":                              {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		"forged element left of the real one":  {"10.0.0.1", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1"}, "192.0.2.1"},
		"forged trusted address left of it":    {"10.0.0.1", []string{"X-Forwarded-For: 10.0.0.7, 192.0.2.1"}, "192.0.2.1"},
		"two hops":                             {"10.0.0.1", []string{"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		"several fields are one list":          {"10.0.0.1", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 10.0.0.2"}, "192.0.2.1"},
		"other fields in between":              {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1", "Accept: a", "X-Forwarded-For: 10.0.0.2"}, "192.0.2.1"},
		"all trusted: the leftmost":            {"10.0.0.1", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"malformed at the right end":           {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1, unknown"}, "10.0.0.1"},
		"malformed behind a trusted one":       {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1, _hidden, 10.0.0.2"}, "10.0.0.2"},
		"malformed ends earlier fields too":    {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: x"}, "10.0.0.1"},
		"empty elements":                       {"10.0.0.1", []string{"X-Forwarded-For: ,192.0.2.1 ,, ,"}, "192.0.2.1"},
		"empty field":                          {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: "}, "192.0.2.1"},
		"port":                                 {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1:4711"}, "192.0.2.1"},
		"IPv6":                                 {"2001:db8:1::9", []string{"X-Forwarded-For: 2001:db8:2::1"}, "2001:db8:2::1"},
		"IPv6 in brackets with port":           {"10.0.0.1", []string{"X-Forwarded-For: [2001:db8:2::1]:443"}, "2001:db8:2::1"},
		"IPv4 in IPv6 is the IPv4 proxy":       {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.2"}, "192.0.2.1"},
		"zone dropped":                         {"10.0.0.1", []string{"X-Forwarded-For: fe80::1%eth0"}, "fe80::1"},
		"name in any case":                     {"10.0.0.1", []string{"x-forwarded-FOR: 192.0.2.1"}, "192.0.2.1"},
		"underscores are the client's own":     {"10.0.0.1", []string{"X_Forwarded_For: 6.6.6.6"}, "10.0.0.1"},
		"underscores beside the real one":      {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1", "X_Forwarded_For: 6.6.6.6"}, "192.0.2.1"},
		"Forwarded and X-Real-IP are not read": {"10.0.0.1", []string{"Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6"}, "10.0.0.1"},
		"a port out of range is malformed":     {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.1:70000"}, "10.0.0.1"},
		"octal-looking IPv4 is malformed":      {"10.0.0.1", []string{"X-Forwarded-For: 192.0.02.1"}, "10.0.0.1"},
		"bytes beyond ASCII are malformed":     {"10.0.0.1", []string{"X-Forwarded-For: 192.0.2.１"}, "10.0.0.1"},
	} {
		got := proxies.Client(netip.MustParseAddr(c.peer), header(c.fields...))
		if got != netip.MustParseAddr(c.want) {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

// Whatever a client writes, the address found is the one the outermost trusted proxy saw it under.
func TestForgeryChangesNothing(t *testing.T) {
	proxies := trust(t, "10.0.0.0/8")
	rapid.Check(t, func(t *rapid.T) {
		element := rapid.OneOf(rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]{1,6})?`), rapid.StringMatching(`[0-9a-f:.%\[\] ]{0,20}`),
			rapid.SampledFrom([]string{"10.0.0.5", "unknown", "", "::ffff:10.1.1.1"}))
		forged := rapid.SliceOfN(element, 0, 6).Draw(t, "forged")
		hops := rapid.IntRange(0, 3).Draw(t, "hops")
		var lines []string
		if rapid.Bool().Draw(t, "own field") && len(forged) > 0 {
			lines, forged = append(lines, "X-Forwarded-For: "+strings.Join(forged, ",")), nil
		}
		chain := append(forged, "192.0.2.1")
		for i := range hops {
			chain = append(chain, netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}).String())
		}
		lines = append(lines, "X-Forwarded-For: "+strings.Join(chain, ", "))
		if got := proxies.Client(netip.MustParseAddr("10.0.0.1"), header(lines...)); got != netip.MustParseAddr("192.0.2.1") {
			t.Fatalf("%q: %v", lines, got)
		}
	})
}

func TestNoAllocations(t *testing.T) {
	proxies := trust(t, "172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8", "2001:db8:1::/48")
	h := header("Host: a", "X-Forwarded-For: 6.6.6.6, 2001:db8:2::1:4711", "X-Forwarded-For: [2001:db8:1::7]:80, 10.0.0.2:443")
	peer := netip.MustParseAddr("10.0.0.1")
	var got netip.Addr
	if n := testing.AllocsPerRun(100, func() { got = proxies.Client(peer, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got != netip.MustParseAddr("2001:db8:2::1:4711") {
		t.Error(got)
	}
}

func BenchmarkClient(b *testing.B) {
	proxies := trust(b, "172.16.0.0/12", "192.168.0.0/16", "10.0.0.0/8", "2001:db8:1::/48")
	h := header("Host: a", "Accept: */*", "X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2")
	peer := netip.MustParseAddr("10.0.0.1")
	b.ReportAllocs()
	for b.Loop() {
		if proxies.Client(peer, h) == peer {
			b.Fatal("not derived")
		}
	}
}
