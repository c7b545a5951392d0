package peer

import (
	"fmt"
	"strings"
)

// haproxy runs one thread without a master. Its connection limit leaves room for the origin side
// within the file limit; strict-limits is off because HAProxy wants files for two sockets per
// allowed connection, which with reuse it never opens. Its log goes to stdout, which the runner
// sends to a file: the other way, a syslog socket, needs a reader on the load's core.
func (j Job) haproxy(string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
  nbthread 1
  maxconn %d
  no strict-limits
`, (j.Files-1000)*3/4)
	if j.Log {
		b.WriteString("  log stdout format raw local0 info\n")
	}
	if j.TLS != nil {
		fmt.Fprintf(&b, "  ssl-default-bind-ciphersuites %s\n  ssl-default-bind-options ssl-min-ver TLSv1.3\n", CipherSuite)
	}
	fmt.Fprintf(&b, `
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  timeout http-keep-alive 300s
  timeout queue 1s
  option forwardfor
  http-reuse always
`)
	if j.Log {
		b.WriteString("  log global\n  option httplog\n")
	}
	fmt.Fprintf(&b, "\nfrontend edge\n  bind %v backlog 16384%s\n", j.Listen, j.haproxyTLS())
	b.WriteString(`  unique-id-format %[uuid]
  unique-id-header X-Request-ID
  http-request set-header X-Forwarded-Proto `)
	if j.TLS != nil {
		b.WriteString("https\n")
	} else {
		b.WriteString("http\n")
	}
	b.WriteString("  http-request set-header X-Forwarded-Host %[req.hdr(host)]\n  default_backend origin\n\nbackend origin\n")
	if len(j.Origins) > 1 {
		b.WriteString("  balance leastconn\n")
	}
	for i, o := range j.Origins {
		proto := ""
		if j.H2C {
			proto = " proto h2"
		}
		fmt.Fprintf(&b, "  server origin%d %v%s", i, o, proto)
		if j.Most > 0 {
			fmt.Fprintf(&b, " maxconn %d maxqueue %d", j.Most/len(j.Origins), queuePlaces)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (j Job) haproxyTLS() string {
	if j.TLS == nil {
		return ""
	}
	alpn := "http/1.1"
	if j.H2 {
		alpn = "h2,http/1.1"
	}
	return fmt.Sprintf(" ssl crt %s alpn %s", j.TLS.Both, alpn)
}
