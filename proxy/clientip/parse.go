package clientip

import (
	"bytes"
	"net/netip"
	"unsafe"
)

// longest is the longest text of an IPv6 address: eight groups with the last two as dotted IPv4 (RFC 4291 §2.2).
const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// Parse reads an address as proxies write it: "192.0.2.1", "192.0.2.1:443", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443". The port is dropped, and
// so is a zone, which means something on one machine only; IPv4 in IPv6 comes back as IPv4.
func Parse(text []byte) (netip.Addr, bool) {
	text, ok := host(text)
	if !ok {
		return netip.Addr{}, false
	}
	if zone := bytes.IndexByte(text, '%'); zone >= 0 {
		if zone+1 == len(text) || bytes.IndexByte(text[:zone], ':') < 0 {
			return netip.Addr{}, false
		}
		text = text[:zone]
	}
	if len(text) == 0 || len(text) > longest {
		return netip.Addr{}, false
	}
	// ParseAddr keeps its text only in its error, which is dropped here; a copy would be an allocation per request.
	ip, err := netip.ParseAddr(unsafe.String(&text[0], len(text)))
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.Unmap(), true
}

// host cuts off brackets and port.
func host(text []byte) ([]byte, bool) {
	if len(text) > 0 && text[0] == '[' {
		end := bytes.IndexByte(text, ']')
		if end < 0 || bytes.IndexByte(text[:end], ':') < 0 {
			return nil, false
		}
		rest := text[end+1:]
		return text[1:end], len(rest) == 0 || rest[0] == ':' && IsPort(rest[1:])
	}
	colon := bytes.IndexByte(text, ':')
	if colon < 0 || bytes.IndexByte(text[colon+1:], ':') >= 0 { // no port, or IPv6
		return text, true
	}
	return text[:colon], IsPort(text[colon+1:])
}

// IsPort reports a decimal port, 0 to 65535; some proxies write 0 for one they do not know.
func IsPort(text []byte) bool {
	n := 0
	for _, c := range text {
		if n = n*10 + int(c) - '0'; c < '0' || c > '9' || n > 65535 {
			return false
		}
	}
	return len(text) > 0
}
