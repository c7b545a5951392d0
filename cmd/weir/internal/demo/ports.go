package demo

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// checkPorts tries every address, so that all busy ones are named at once and before anything starts. A port
// taken in the moment after is the server's own error.
func checkPorts(o Options) error {
	var busy []error
	wanted := []struct{ flag, address, what string }{
		{"--http", o.HTTP, "the edge"}, {"--https", o.HTTPS, "the edge's TLS"}, {"--admin", o.Admin, "the admin API"},
		{"--blue", o.Blue, "the blue API"}, {"--green", o.Green, "the green API"},
	}
	for _, a := range wanted {
		host, port, err := net.SplitHostPort(a.address)
		if err != nil {
			busy = append(busy, fmt.Errorf("%s %q is not HOST:PORT", a.flag, a.address))
			continue
		}
		l, err := net.Listen("tcp", a.address)
		if err == nil {
			_ = l.Close()
			continue
		}
		busy = append(busy, fmt.Errorf("port %s, for %s, cannot be used: %w\n  see who has it: ss -ltnp 'sport = :%s'\n"+
			"  or take another: weir demo %s %s", port, a.what, err, port, a.flag, net.JoinHostPort(host, next(port))))
	}
	if len(busy) == len(wanted) {
		busy = append(busy, errors.New("all of them at once: another weir demo is probably running"))
	}
	return errors.Join(busy...)
}

// next suggests the port 100 further, away from the demo's other ports.
func next(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil || n+100 > 65535 {
		return "PORT"
	}
	return strconv.Itoa(n + 100)
}
