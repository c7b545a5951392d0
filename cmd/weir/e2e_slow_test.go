package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// slowAttack is one way to hold connections by hardly doing anything on them.
type slowAttack struct {
	name, prefix, trickle string    // said at once, and then again and again
	reads                 bool      // a byte at a time instead of saying something
	reasons               [2]string // that weir cuts it for, either of them
}

var slowAttacks = [...]slowAttack{
	{"slowloris", "GET / HTTP/1.1\r\nHost: e2e.test\r\n", "X-a: b\r\n", false, [2]string{"client_header_timeout", "client_timeout"}},
	{"slow body", "POST / HTTP/1.1\r\nHost: e2e.test\r\nContent-Length: 1000000\r\n\r\n", "x", false, [2]string{"client_body_slow", "client_timeout"}},
	{"slow read", "GET /big HTTP/1.1\r\nHost: e2e.test\r\n\r\n", "", true, [2]string{"client_write_timeout", "client_read_slow"}},
}

// attackers are many connections of one attack; those that are cut come again.
type attackers struct {
	address string
	quit    chan struct{}
	all     sync.WaitGroup
	open    atomic.Int64
}

func (a *attackers) run(s slowAttack, every time.Duration) {
	for {
		select {
		case <-a.quit:
			return
		default:
		}
		conn, err := slowDialer().Dial("tcp", a.address)
		if err != nil {
			continue
		}
		a.open.Add(1)
		a.hold(conn, s, every)
		a.open.Add(-1)
		_ = conn.(*net.TCPConn).SetLinger(0) // so that thousands of closed ones do not use up the ports
		_ = conn.Close()
	}
}

// slowDialer makes connections that take little at a time: a small window, and segments as on a real network, because the loopback's of 64 KiB let the kernel take
// megabytes from the edge before anything has to wait.
func slowDialer() *net.Dialer {
	return &net.Dialer{Timeout: 60 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := raw.Control(func(fd uintptr) {
			if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10); err == nil {
				err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1000)
			}
		})
		return errors.Join(control, err)
	}}
}

func (a *attackers) hold(conn net.Conn, s slowAttack, every time.Duration) {
	if _, err := io.WriteString(conn, s.prefix); err != nil {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	one := make([]byte, 1)
	for {
		select {
		case <-a.quit:
			return
		case <-tick.C:
		}
		var err error
		if s.reads {
			_, err = conn.Read(one)
		} else {
			_, err = io.WriteString(conn, s.trickle)
		}
		if err != nil {
			return
		}
	}
}

// resident is what the process has in memory, bytes.
func (p *process) resident() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Skip("no /proc")
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// TestE2ESlowClients: while many hold connections with half a head, a trickling body or a trickling reader, others are served at once, and the slow ones are cut, each with its
// reason. One attack after the other: together they would be more than the files that this process may have.
func TestE2ESlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("20 s of waiting")
	}
	big := bytes.Repeat([]byte("weir"), 256<<10)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/big" {
			_, _ = w.Write(big)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	defer up.Close()
	c := newConf(folder(t), up.Listener.Addr().String(), up.Listener.Addr().String())
	every, lasts := 250*time.Millisecond, 3*time.Second
	bounds := "header_timeout = \"500ms\"\nbody_timeout = \"1s\"\nwrite_timeout = \"1s\"\n"
	if acceptance() {
		every, lasts, bounds = 2*time.Second, 30*time.Second, "body_timeout = \"10s\"\nwrite_timeout = \"10s\"\n"
	}
	c.listeners += bounds
	e := run(t, c.dir, c)
	n := count(150, 4000)
	for _, s := range slowAttacks {
		before := e.process.resident()
		a := &attackers{address: e.address("http"), quit: make(chan struct{})}
		for range n {
			a.all.Go(func() { a.run(s, every) })
		}
		eventually(t, 60*time.Second, "the attack is on", func() bool { return a.open.Load() > int64(n)*9/10 })
		took := goodClients(t, e.address("http"), lasts)
		memory := e.process.resident() - before
		cut := func() (cut int) {
			for _, reason := range s.reasons {
				count, err := strconv.Atoi(e.metric(fmt.Sprintf(`weir_http_errors_total{listener="http",reason=%q}`, reason)))
				if err != nil {
					t.Fatal(err)
				}
				cut += count
			}
			return cut
		}
		eventually(t, time.Minute, s.name+": half of them are cut", func() bool { return cut() >= n/2 })
		close(a.quit)
		a.all.Wait()
		p99, most := took[len(took)*99/100], took[len(took)-1]
		if limit := 100 * time.Millisecond; acceptance() && p99 > limit {
			t.Errorf("%s: p99 of good clients is %v", s.name, p99)
		}
		measured(t, s.name+", and good clients beside it", "%d attackers, %d cut; %d good requests, 0 failed, p99 %s, slowest %s; %d bytes of memory per attacker",
			n, cut(), len(took), p99.Round(100*time.Microsecond), most.Round(100*time.Microsecond), memory/int64(n))
	}
	e.stop()
}

// goodClients are four that ask a hundred times a second; how long each answer took, sorted.
func goodClients(t *testing.T, address string, lasts time.Duration) (took []time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(lasts)
	for range 4 {
		k := dialKept(t, address)
		all.Go(func() {
			pace := time.NewTicker(10 * time.Millisecond)
			defer pace.Stop()
			for once := true; once || time.Now().Before(end); once = false {
				<-pace.C
				from := time.Now()
				res, body, err := k.do(http.MethodGet, "/", "")
				d := time.Since(from)
				if err != nil || res.StatusCode != http.StatusOK || body != "ok" {
					t.Errorf("a good client: %v", err)
					return
				}
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(took) == 0 {
		t.Fatal("no good client was answered")
	}
	slices.Sort(took)
	return took
}
