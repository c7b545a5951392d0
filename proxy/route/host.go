package route

import (
	"bytes"
	"net/netip"
)

// maxHost is the longest name DNS can hold in text (RFC 1035 §2.3.4: 255 octets on the wire). A longer Host matches no pattern.
const maxHost = 253

// bareHost is host without port, brackets and one trailing dot, in lower case. It returns a part of host when no letter has to
// change, else a copy in buf; nil when the host is longer than any pattern can be.
func bareHost(buf *[maxHost]byte, host []byte) []byte {
	host = cutPort(host)
	if n := len(host); n > 1 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > maxHost {
		return nil
	}
	for i, c := range host {
		if 'A' <= c && c <= 'Z' {
			return lowerFrom(buf, host, i)
		}
	}
	return host
}

func lowerFrom(buf *[maxHost]byte, host []byte, from int) []byte {
	low := buf[:len(host)]
	copy(low, host[:from])
	for i := from; i < len(host); i++ {
		c := host[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	return low
}

// cutPort leaves the host of "host", "host:port", "[v6]" and "[v6]:port"; an IPv6 address without brackets is taken whole.
func cutPort(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		if end := bytes.IndexByte(host, ']'); end > 0 {
			return host[1:end]
		}
		return host
	}
	i := bytes.IndexByte(host, ':')
	if i < 0 || bytes.IndexByte(host[i+1:], ':') >= 0 {
		return host
	}
	return host[:i]
}

// canonicalIP writes an IPv6 address in the form of RFC 5952, under which patterns are stored; false when name is none or is in
// that form already. Only clients that spell an address unusually get here, so that its one small allocation does not matter.
func canonicalIP(buf *[maxHost]byte, name []byte) ([]byte, bool) {
	if bytes.IndexByte(name, ':') < 0 {
		return nil, false
	}
	addr, err := netip.ParseAddr(string(name))
	if err != nil || addr.Zone() != "" {
		return nil, false
	}
	canon := addr.AppendTo(buf[:0])
	return canon, !bytes.Equal(canon, name)
}
