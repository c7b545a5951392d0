package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// slowRequest begins a request that takes ms at the upstream, on a connection of its own, and waits until it is there.
func slowRequest(t *testing.T, e *edge, b *backend, ms int) <-chan answer {
	t.Helper()
	k := dialKept(t, e.address("http"))
	before := b.served.Load()
	got := make(chan answer, 1)
	go func() {
		_ = k.conn.SetDeadline(time.Now().Add(60 * time.Second))
		if _, err := fmt.Fprintf(k.conn, "GET /?ms=%d HTTP/1.1\r\nHost: x\r\n\r\n", ms); err != nil {
			got <- answer{err: err}
			return
		}
		res, err := http.ReadResponse(k.r, nil)
		if err != nil {
			got <- answer{err: err}
			return
		}
		body, err := io.ReadAll(res.Body)
		got <- answer{res.StatusCode, res.Close, string(body), err}
	}()
	eventually(t, 10*time.Second, "the slow request is at the upstream", func() bool { return b.served.Load() > before })
	return got
}

type answer struct {
	status int
	closed bool // Connection: close
	body   string
	err    error
}

func drainable(t *testing.T, args ...string) (*edge, *backend) {
	t.Helper()
	dir, b := folder(t), newBackend(t, "blue")
	return run(t, dir, newConf(dir, b.address, "127.0.0.1:1"), args...), b
}

// ending is a way to end weir.
type ending struct {
	name string
	end  func(e *edge)
	args []string
	code int
	cut  bool // the request, which would never be answered, is; otherwise it is answered once new connections are refused
}

var endings = []ending{
	{"TERM", func(e *edge) { e.signal(syscall.SIGTERM) }, nil, 0, false},
	{"INT", func(e *edge) { e.signal(syscall.SIGINT) }, nil, 0, false},
	{"QUIT", func(e *edge) { e.signal(syscall.SIGQUIT) }, []string{"--drain-timeout", "300ms"}, 0, false},
	{"TERM, deadline hit", func(e *edge) { e.signal(syscall.SIGTERM) }, []string{"--drain-timeout", "500ms"}, 3, true},
	{"TERM twice", func(e *edge) {
		e.signal(syscall.SIGTERM)
		eventually(e.t, 5*time.Second, "the first is heard", func() bool { s, _, _ := e.try("GET", "/readyz", ""); return s == http.StatusServiceUnavailable })
		e.signal(syscall.SIGTERM)
	}, nil, 3, true},
	{"stop", func(e *edge) { e.must("stop") }, nil, 0, false},
	{"-s quit", func(e *edge) { e.must("-s", "quit") }, nil, 0, false},
	{"-s stop", func(e *edge) { e.must("-s", "stop") }, nil, 0, true},
	{"stop --now", func(e *edge) { e.must("stop", "--now") }, nil, 0, true},
}

// TestE2ESignals: each way to end, with a request and an idle connection in flight.
func TestE2ESignals(t *testing.T) {
	t.Parallel()
	for _, c := range endings {
		t.Run(c.name, c.hold)
	}
	measured(t, "TERM, INT, QUIT, stop, -s quit with a request in flight", "answered with Connection: close, new connections refused, exit 0")
	measured(t, "drain deadline hit, second TERM; stop --now, -s stop", "cut, exit 3; exit 0")
}

// hold ends an edge in this way and holds it to what was promised.
func (c ending) hold(t *testing.T) {
	e, b := drainable(t, c.args...)
	address := e.address("http")
	idle := dialKept(t, address)
	if _, _, err := idle.do("GET", "/", ""); err != nil {
		t.Fatal(err)
	}
	slow := slowRequest(t, e, b, held)
	ended := make(chan struct{})
	go func() { defer close(ended); c.end(e) }()
	eventually(t, 5*time.Second, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if !c.cut {
		b.letGo()
	}
	a := <-slow
	code := e.wait(30 * time.Second)
	<-ended
	if code != c.code {
		t.Errorf("exit %d, want %d", code, c.code)
	}
	if !c.cut && (a.err != nil || a.status != 200 || !a.closed) {
		t.Errorf("the slow request: %+v, want 200 and Connection: close", a)
	}
	if c.cut && a.err == nil {
		t.Errorf("the slow request: %+v, want a cut connection", a)
	}
	if _, err := idle.r.ReadByte(); err != io.EOF {
		t.Errorf("the idle connection ended with %v, want a close", err)
	}
}

// TestE2ELogRotation renames the log under load, again and again: every request has exactly one line.
func TestE2ELogRotation(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.log = "access = \"combined\"\noutput = \"access.log\"\n"
	e := run(t, dir, c, "--pid", filepath.Join(dir, "weir.pid"))
	pid, err := os.ReadFile(filepath.Join(dir, "weir.pid"))
	if err != nil || strings.TrimSpace(string(pid)) != strconv.Itoa(e.cmd.Process.Pid) {
		t.Fatalf("pid file: %q %v", pid, err)
	}
	traffic := newLoad(t, e.address("http"), 4, "GET")
	log := filepath.Join(dir, "access.log")
	n := count(9, 60)
	for i := range n {
		traffic.after(30)
		if err := os.Rename(log, fmt.Sprintf("%s.%d", log, i)); err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			e.signal(syscall.SIGUSR1)
		case 1:
			e.must("-s", "reopen")
		case 2:
			e.must("logs", "reopen")
		}
		eventually(t, 5*time.Second, "the log is there again", func() bool { _, err := os.Stat(log); return err == nil })
	}
	requests := traffic.stop()
	e.stop()
	files, err := filepath.Glob(log + "*")
	if err != nil {
		t.Fatal(err)
	}
	lines := int64(0)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines += int64(strings.Count(string(b), `"GET /load/`))
	}
	if lines != requests || len(files) != n+1 {
		t.Errorf("%d lines in %d files for %d requests and %d rotations", lines, len(files), requests, n)
	}
	if _, err := os.Stat(filepath.Join(dir, "weir.pid")); !os.IsNotExist(err) {
		t.Errorf("the pid file is still there: %v", err)
	}
	measured(t, "log rotations under load (USR1, -s reopen, logs reopen)", "%d rotations, %d requests, %d lines", n, requests, lines)
}

// TestE2ELogMoved changes the output by reload while requests are under way: theirs go where they began, later ones to the new file, and none is lost.
func TestE2ELogMoved(t *testing.T) {
	t.Parallel()
	dir, b := folder(t), newBackend(t, "blue")
	c := newConf(dir, b.address, "127.0.0.1:1")
	output := func(name string) string {
		c := c
		c.log = fmt.Sprintf("access = \"combined\"\noutput = %q\n", name)
		return c.String()
	}
	e := runFile(t, dir, output("0.log"))
	traffic := newLoad(t, e.address("http"), 2, "GET")
	n := count(4, 20)
	for i := 1; i <= n; i++ {
		slow := slowRequest(t, e, b, 300)
		replace(t, e.config, output(fmt.Sprintf("%d.log", i)))
		e.must("reload")
		if a := <-slow; a.err != nil || a.status != 200 {
			t.Fatalf("the slow request: %+v", a)
		}
	}
	requests := traffic.stop()
	e.stop()
	lines, slow := int64(0), 0
	for i := range n + 1 {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%d.log", i)))
		if err != nil {
			t.Fatal(err)
		}
		lines += int64(strings.Count(string(text), `"GET /load/`))
		slow += strings.Count(string(text), `"GET /?ms=300 `)
	}
	if lines != requests || slow != n {
		t.Errorf("%d lines for %d requests, %d for %d slow ones", lines, requests, slow, n)
	}
	measured(t, "log output changed by reload under load", "%d times, %d requests, %d lines", n, requests+int64(n), lines+int64(slow))
}

// TestE2EStopWhileReloading: a stop does not wait for the probes of a reload under way.
func TestE2EStopWhileReloading(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	e := run(t, dir, c)
	c.blues = append(c.blues, silent.Addr().String())
	c.service = "health = { path = \"/ready\", interval = \"60s\", timeout = \"50s\" }\n"
	replace(t, e.config, c.String())
	e.signal(syscall.SIGHUP)
	conn, err := silent.Accept() // the probe: the reload is waiting now
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	from := time.Now()
	e.signal(syscall.SIGTERM)
	if code := e.wait(40 * time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
	measured(t, "TERM while a reload waits for a probe of 50 s", "gone after %s, exit 0", time.Since(from).Round(10*time.Millisecond))
}
