package server

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/observe"
)

// caps are a listener's bounds on the number of connections: a value.
type caps struct {
	total int64 // 0: what files allow
	perIP int   // 0: any number
}

// crowd is all client connections of the process, in handshakes too.
type crowd struct {
	most int64        // that the limit of open files allows
	open atomic.Int64 // written at accept and close
}

// fewFiles is below which a limit of open files is worth a warning: systemd's old default of 1024 soft is 500 connections.
const fewFiles = 4096

// openFilesLimit is how many descriptors this process may have; Go has raised the soft limit to the hard one at start. 0: unknown.
func openFilesLimit() int64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int64(min(limit.Cur, 1<<40))
}

// connectionsFor is how many client connections so many descriptors allow: each may need one more to an upstream, and some are for listeners, logs, probes and the
// admin API.
func connectionsFor(files int64) int64 {
	const own = 128
	return max(32, (files-own)/2)
}

// crowdWarnings are files too few for what is configured.
func crowdWarnings(cfg *configs.Config, files int64) (warnings []string) {
	if files == 0 {
		return nil
	}
	if files < fewFiles {
		warnings = append(warnings, fmt.Sprintf("the limit of open files is %d: connections beyond %d are refused; raise it (LimitNOFILE= in systemd, ulimit -n)",
			files, connectionsFor(files)))
	}
	for _, l := range cfg.Listeners {
		if most := connectionsFor(files); int64(l.MaxConnections) > most {
			warnings = append(warnings, fmt.Sprintf("listener %s: max_connections is %d, the limit of open files (%d) leaves room for %d", l.Name, l.MaxConnections, files, most))
		}
	}
	return warnings
}

// door lets connections of one listener in as long as there is room, and makes room by closing idle ones. It belongs to the accept loop.
//
// A connection too many is closed rather than left in the backlog (as HAProxy does): there a client waits without knowing for what, and a balancer in front does not
// try another address. Idle ones go first, because keeping them open was a courtesy.
type door struct {
	credit int64     // connections that were told to close and not counted on yet
	barred time.Time // nobody was idle then: looking again at once costs more than it finds
}

const (
	// Room is made for a 64th of the cap at once: looking for the idle costs a walk over all connections, some milliseconds for a hundred thousand.
	roomShare = 64
	// barredFor is how long a walk that found nobody holds.
	barredFor = 50 * time.Millisecond
)

// enter counts a connection in, or reports that there is no room for it. leave takes it back.
func (l *listener) enter(now time.Time) bool {
	own, all := l.open.Add(1), l.server.crowd.open.Add(1)
	most, c := l.server.crowd.most, l.caps.Load()
	switch {
	case c.total > 0 && own > c.total:
		if l.room(c.total, true, now) {
			return true
		}
	case all > most:
		if l.room(most, false, now) {
			return true
		}
	default:
		l.door.credit = 0
		return true
	}
	l.leave()
	l.data.Metrics.Refused(observe.RefusedFull)
	return false
}

func (l *listener) leave() {
	l.open.Add(-1)
	l.server.crowd.open.Add(-1)
}

// room finds a place for one more, of this listener's connections or of all.
func (l *listener) room(most int64, ours bool, now time.Time) bool {
	d := &l.door
	if d.credit > 0 {
		d.credit--
		return true
	}
	if now.Sub(d.barred) < barredFor {
		return false
	}
	of := l.data
	if !ours {
		of = nil
	}
	n := l.server.proxy.MakeRoom(of, int(max(1, most/roomShare)))
	if n == 0 {
		d.barred = now
		return false
	}
	d.credit = int64(n) - 1
	return true
}

// perIP counts connections by address, where that is asked for.
type perIP struct {
	// mu guards open. Held for a map operation at accept and close, never while anything is waited for.
	mu   sync.Mutex
	open map[netip.Addr]int
}

// enter counts a connection of ip in and gives what must be called when it ends, or reports one too many.
func (p *perIP) enter(ip netip.Addr, most int) (leave func(), ok bool) {
	if most == 0 || !ip.IsValid() {
		return func() {}, true
	}
	key := ip
	if ip.Is6() { // a /64 is the least that one customer is given (RFC 6177 §2)
		prefix, _ := ip.Prefix(64) // 64 is a length of an IPv6 prefix
		key = prefix.Addr()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[key] >= most {
		return nil, false
	}
	if p.open == nil {
		p.open = map[netip.Addr]int{}
	}
	p.open[key]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.open[key]--; p.open[key] == 0 {
			delete(p.open, key)
		}
	}, true
}

// alone reports whether one more connection from there is within max_connections_per_ip. leave is called when it ends.
func (l *listener) alone(conn net.Conn, from netip.Addr) (leave func(), ok bool) {
	most := l.caps.Load().perIP
	if most > 0 && !from.IsValid() {
		from = clientip.Of(conn.RemoteAddr())
	}
	leave, ok = l.perIP.enter(from, most)
	if !ok {
		l.data.Metrics.Refused(observe.RefusedPerIP)
	}
	return leave, ok
}
