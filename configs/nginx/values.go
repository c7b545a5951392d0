package nginx

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// parseTime reads nginx's times: "30", "30s", "1m 30s", "500ms", "1d", "1w", "1M", "1y"; bare numbers are seconds.
func parseTime(s string) (time.Duration, bool) {
	units := []struct {
		suffix string
		d      time.Duration
	}{
		{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour},
		{"w", 7 * 24 * time.Hour}, {"M", 30 * 24 * time.Hour}, {"y", 365 * 24 * time.Hour},
	}
	var sum time.Duration
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseInt(s[:digits], 10, 64)
		if err != nil || n > 1e9 {
			return 0, false
		}
		s = s[digits:]
		unit := time.Second
		for _, u := range units {
			if rest, ok := strings.CutPrefix(s, u.suffix); ok {
				unit, s = u.d, rest
				break
			}
		}
		if n > int64(100*365*24*time.Hour/unit) {
			return 0, false
		}
		if sum += time.Duration(n) * unit; sum < 0 || s != "" && s[0] != ' ' && (s[0] < '0' || s[0] > '9') {
			return 0, false
		}
	}
	return sum, true
}

// parseSize reads nginx's sizes: "100", "8k", "1m", "1g".
func parseSize(s string) (int64, bool) {
	shift := 0
	if s != "" {
		switch s[len(s)-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
	}
	if shift > 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 1<<62>>shift {
		return 0, false
	}
	return n << shift, true
}

// size is n bytes as Weir writes them.
func size(n int64) string {
	for _, u := range []struct {
		suffix string
		shift  int
	}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}} {
		if n >= 1<<u.shift && n&(1<<u.shift-1) == 0 {
			return strconv.FormatInt(n>>u.shift, 10) + u.suffix
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// hasVariable reports a text whose meaning depends on the request.
func hasVariable(s string) bool { return strings.Contains(s, "$") }

// onOff is the value of a switch.
func (d *directive) on() bool { return d != nil && strings.EqualFold(d.arg(0), "on") }

// network is an address or a network as Weir writes it; false for what is neither.
func network(s string) (string, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked().String(), true
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return a.Unmap().String(), true
	}
	return "", false
}

// overlaps reports whether two networks have an address in common.
func overlaps(a, b string) bool { return prefix(a).Overlaps(prefix(b)) }

func prefix(s string) netip.Prefix {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// label makes a name of Weir's out of any text: letters, digits, "_", "-" and ".", at most 63, beginning with a letter or digit.
func label(s, otherwise string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '-'
	}, s)
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "-")
	}
	s = strings.Trim(s, "-_")
	if len(s) > 50 { // room for a number behind it
		s = strings.Trim(s[:50], "-_")
	}
	if s == "" {
		return otherwise
	}
	return s
}

// unique gives names that nobody has yet.
type unique map[string]bool

func (u unique) name(want string) string {
	name := want
	for i := 2; u[name]; i++ {
		name = want + "-" + strconv.Itoa(i)
	}
	u[name] = true
	return name
}

// isToken reports what field names are made of (RFC 9110 §5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// fieldValue reports what Weir takes for the value of a field: visible ASCII with spaces inside, at most 4,096 bytes.
func fieldValue(s string) bool {
	return s != "" && len(s) <= 4096 && s == strings.TrimSpace(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// hostName reports what Weir takes for a host of a route: a DNS name, or one below "*.".
func hostName(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	if len(s) > 253 {
		return false
	}
	for l := range strings.SplitSeq(s, ".") {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}
