// Package peer writes the configuration of the proxies that are compared and of the origin behind
// them, starts them in the foreground and waits until they answer. Every proxy gets the same job:
// keep-alive on both sides, the same four headers added for the origin, the same certificate, one
// core. It installs nothing and uses no file outside the folder it is given.
package peer

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
)

// Name of a proxy under test.
type Name string

// The proxies that can be compared.
const (
	Nginx   Name = "nginx"
	HAProxy Name = "haproxy"
	Weir    Name = "weir"
	GoStd   Name = "gostd" // net/http and httputil.ReverseProxy, served by this program itself
)

// Title is how reports write the name.
func (n Name) Title() string {
	switch n {
	case HAProxy:
		return "HAProxy"
	case GoStd:
		return "net/http"
	}
	return string(n)
}

// Job is what one proxy is to do.
type Job struct {
	Listen  netip.AddrPort
	Origins []netip.AddrPort // several: balanced by least connections, weir by its default policy
	TLS     *Certificate     // nil: plain HTTP
	H2      bool             // HTTP/2 besides HTTP/1.1, by ALPN; needs TLS
	H3      bool             // HTTP/3 besides both; weir only
	H2C     bool             // the origins speak HTTP/2 without TLS; not for nginx, which forwards HTTP/1
	Log     bool             // access log to a file: combined for nginx, HTTP log for HAProxy, JSON for weir
	Admin   netip.AddrPort   // weir's admin listener
	Files   uint64           // how many files the proxy may open
	Web     string           // a folder to serve in place of the origins; not for HAProxy
	Guarded bool             // requests for GuardedHost pass a rate limit and get the strict headers; weir only
	Rollout bool             // the origin is two groups, 95 and 5, and so is that for RolloutHost, at first all blue; weir only
	Most    int              // requests in flight to the origins, the rest refused or queued by the proxy's own means; 0: no bound
}

// GuardedHost is the host that a Guarded job protects.
const GuardedHost = "guarded.test"

// RolloutHost is the host of the service "trial" of a Rollout job.
const RolloutHost = "trial.test"

// queuePlaces is how many may wait where a proxy has a queue; for at most a second.
const queuePlaces = 256

// Config is the text of a proxy's configuration for the job; dir is the folder it will be kept in.
func (j Job) Config(n Name, dir string) string {
	switch n {
	case HAProxy:
		return j.haproxy(dir)
	case Weir:
		return j.weir(dir)
	case GoStd:
		return j.goStd()
	default:
		return j.nginx(dir)
	}
}

// Binary is the program's path, or an error that says what is missing. weir is the -weir flag.
func Binary(n Name, weir string) (string, error) {
	name := string(n)
	switch n {
	case Weir:
		name = weir
	case GoStd:
		return os.Executable()
	}
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return filepath.Abs(path)
	case n == Weir:
		return "", fmt.Errorf("find weir: no program at %q (make build)", weir)
	default:
		return "", fmt.Errorf("find %s: not installed (make deps)", n)
	}
}

// FreeAddr returns a loopback address nobody listens on at the moment. Its port is from below those that the kernel deals out by itself (ip_local_port_range begins at
// 32768), so that none of the thousands of connections that are made until somebody binds it takes it.
func FreeAddr() (netip.AddrPort, error) {
	var err error
	for range 100 {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(10000+rand.IntN(20000)))
		var l net.Listener
		if l, err = net.Listen("tcp4", addr.String()); err == nil {
			return addr, l.Close()
		}
	}
	return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
}

func writeConfig(dir, name, text string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return path, nil
}
