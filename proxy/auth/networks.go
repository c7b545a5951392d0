package auth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"

	"github.com/gaissmai/bart"
)

// mostLine bounds a line of a file; the longest network with a comment is far below it.
const mostLine = 4096

// readNetworks adds the networks of a file to t: one network or address a line, "#" begins a comment. Errors begin with the file's name and line.
func readNetworks(t *bart.Lite, name string, from io.Reader) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, mostLine), mostLine)
	n := 0
	for lines.Scan() {
		n++
		prefix, err := parseLine(lines.Bytes())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", filepath.Base(name), n, err)
		}
		if prefix.IsValid() {
			t.Insert(prefix)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s:%d: %w", filepath.Base(name), n+1, err)
	}
	return nil
}

// parseLine is the network of a line, the zero prefix for one without.
func parseLine(line []byte) (netip.Prefix, error) {
	if i := bytes.IndexByte(line, '#'); i >= 0 {
		line = line[:i]
	}
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return netip.Prefix{}, nil
	}
	return ParseNetwork(string(line))
}

var errNetwork = errors.New("not a network: 10.0.0.0/8, 2001:db8::/32 or one address")

// ParseNetwork reads a network or a single address, IPv4 in IPv6 as IPv4. Bits behind the length are an error: one of the two is a slip.
func ParseNetwork(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, errNetwork
		}
		prefix = netip.PrefixFrom(ip, ip.BitLen())
	}
	if prefix.Addr().Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, errNetwork
		}
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	if prefix.Masked() != prefix {
		return netip.Prefix{}, fmt.Errorf("bits are set behind the length: did you mean %s?", prefix.Masked())
	}
	return prefix, nil
}
