package configs

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// AdminAddress is where the admin API listens, as net.Listen takes it.
type AdminAddress struct {
	Network string // "tcp" or "unix"
	Address string // IP:PORT, :PORT, or an absolute path
}

// String gives the address as it is written in the file.
func (a AdminAddress) String() string {
	if a.Network == "unix" {
		return "unix://" + a.Address
	}
	return a.Address
}

// Local reports whether only this machine can reach it, so that no token is needed.
func (a AdminAddress) Local() bool {
	if a.Network == "unix" {
		return true
	}
	ap, err := netip.ParseAddrPort(a.Address)
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

func (a *AdminAddress) parseText(text string) error {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path, ok = strings.CutPrefix(path, "//")
		if !ok || !strings.HasPrefix(path, "/") {
			return errors.New(`must be an absolute path, as "unix:///run/weir/admin.sock"`)
		}
		// 108 bytes with the closing zero on Linux (unix(7)).
		if len(path) > 107 {
			return errors.New("is longer than the 107 bytes a unix socket's path may have")
		}
		*a = AdminAddress{Network: "unix", Address: path}
		return nil
	}
	if _, err := parseListen(text); err != nil {
		return err
	}
	*a = AdminAddress{Network: "tcp", Address: text}
	return nil
}

// parseListen reads IP:PORT or :PORT. The address is the zero netip.Addr for :PORT.
func parseListen(text string) (netip.AddrPort, error) {
	host, port, err := splitHostPort(text)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if host == "" {
		return netip.AddrPortFrom(netip.Addr{}, port), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, errors.New(`must start with an IP address, as "127.0.0.1:8080", or with nothing for every address, as ":8080"`)
	}
	return netip.AddrPortFrom(ip, port), nil
}

// parseTarget reads IP:PORT and names what is wrong with anything else.
func parseTarget(text string) error {
	host, port, err := splitHostPort(text)
	switch {
	case err != nil:
		return err
	case host == "":
		return errors.New("has no IP address before the port")
	case port == 0:
		return errors.New("has port 0, which nobody can connect to")
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return errors.New(`does not start with an IP address; for a name write { dns = "NAME:PORT" }`)
	}
	if ip.IsUnspecified() || ip.IsMulticast() {
		return errors.New("is not the address of a server")
	}
	return nil
}

// parseDNSTarget reads NAME:PORT.
func parseDNSTarget(text string) error {
	host, port, err := splitHostPort(text)
	switch {
	case err != nil:
		return err
	case port == 0:
		return errors.New("has port 0, which nobody can connect to")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return errors.New(`is an IP address; write it as plain "IP:PORT"`)
	}
	return checkName(strings.TrimSuffix(host, "."))
}

// parseSRVTarget reads the owner name of SRV records (RFC 2782: _service._proto.name).
func parseSRVTarget(text string) error {
	if strings.Contains(text, ":") {
		return errors.New("takes no port: SRV records carry it")
	}
	if err := checkName(strings.TrimSuffix(text, ".")); err != nil {
		return err
	}
	labels := strings.SplitN(text, ".", 3)
	if len(labels) < 3 || !strings.HasPrefix(labels[0], "_") || !strings.HasPrefix(labels[1], "_") {
		return errors.New(`must look like "_http._tcp.api.example"`)
	}
	return nil
}

func splitHostPort(text string) (host string, port uint16, err error) {
	switch {
	case strings.HasPrefix(text, "https://"):
		return "", 0, errors.New(`is a URL; write only HOST:PORT, and for TLS to a target protocol = "https" in its service`)
	case strings.Contains(text, "://"):
		return "", 0, errors.New("is a URL; write only HOST:PORT")
	case strings.HasPrefix(text, "unix:"), strings.HasPrefix(text, "/"):
		return "", 0, errors.New("is a unix socket; write HOST:PORT")
	case strings.Contains(text, "$"), strings.Contains(text, "{"):
		return "", 0, errors.New(`has a variable that is not written "${NAME}"`)
	case strings.ContainsAny(text, " \t"):
		return "", 0, errors.New("has a blank in it; what else is to be said has keys of its own")
	case allDigits(text):
		return "", 0, errors.New(`is a port without an address: write "IP:PORT", or where it listens ":PORT" for every address`)
	}
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 || strings.HasSuffix(text, "]") {
		return "", 0, errors.New(`has no port: write HOST:PORT`)
	}
	host, digits := text[:colon], text[colon+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(host, ":") {
			return "", 0, errors.New("has brackets that hold no IPv6 address")
		}
	} else if strings.Contains(host, ":") {
		return "", 0, errors.New(`has an IPv6 address without brackets: write "[::1]:8080"`)
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || !allDigits(digits) {
		return "", 0, errors.New("has a port that is not a number from 0 to 65535")
	}
	return host, uint16(n), nil
}

// normalHost lowers a route's host and refuses what no Host field can equal.
func normalHost(text string) (string, error) {
	host := strings.ToLower(text)
	if strings.HasPrefix(host, "[") || strings.Count(host, ":") > 1 {
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return "", errors.New("is not a host name or IP address")
		}
		return "[" + ip.String() + "]", nil
	}
	switch {
	case host == "":
		return "", errors.New("is empty; leave host out to match any")
	case host == "*":
		return "", errors.New("matches nothing on its own; leave host out to match any")
	case strings.Contains(host, "://") || strings.Contains(host, "/"):
		return "", errors.New("is not a host name: no scheme and no path")
	case strings.Contains(host, ":"):
		return "", errors.New("has a port; a route's host has none")
	case strings.HasSuffix(host, "."):
		return "", errors.New("ends with a dot; leave it out")
	}
	name := strings.TrimPrefix(host, "*.")
	if strings.Contains(name, "*") {
		return "", errors.New(`has a "*" that is not the whole first label, as in "*.example.com"`)
	}
	if err := checkName(name); err != nil {
		return "", err
	}
	return host, nil
}

// checkName holds a DNS name to RFC 1035 §2.3.4 lengths and to letters, digits, "-" and "_".
func checkName(name string) error {
	if len(name) > 253 {
		return errors.New("is longer than the 253 bytes a DNS name may have")
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return errors.New("has an empty label")
		case len(label) > 63:
			return errors.New("has a label longer than 63 bytes")
		case label[0] == '-' || label[len(label)-1] == '-':
			return errors.New(`has a label that starts or ends with "-"`)
		}
		for i := range len(label) {
			if c := label[i]; !isAlnum(c) && c != '-' && c != '_' {
				return errors.New("has a character no DNS name has (write international names as xn--…)")
			}
		}
	}
	return nil
}
