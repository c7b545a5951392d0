package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// process is a started program. It is killed at the end of the test if it still runs, and does not outlive a test binary that is killed.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  text
	errs text
	done chan struct{} // closed when it has ended
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.errs
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a Ctrl-C at the test is not one at the program
	if err := begin(cmd); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		_ = cmd.Wait() // what counts is the exit code
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails when it has ended, as it should have
		<-p.done
		if t.Failed() {
			t.Logf("%s wrote:\n%s%s", filepath.Base(cmd.Path), tail(p.out.String()), tail(p.errs.String()))
		}
	})
	return p
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("signal %s: %v", s, err)
	}
}

// wait is the exit code, once the process has ended. The time is a guard, as eventually's is.
func (p *process) wait(within time.Duration) int {
	p.t.Helper()
	within = max(within, 2*time.Minute)
	select {
	case <-p.done:
	case <-time.After(within):
		p.t.Fatalf("still running after %s", within)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// edge is a running weir.
type edge struct {
	*process
	dir    string
	config string
	admin  *http.Client
	base   string
	token  string
	socket string
}

// folder is a new folder with a short path, because a unix socket's is limited to 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "we")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// launch starts weir on a configuration and does not wait.
func launch(t *testing.T, dir, config string, args ...string) *edge {
	t.Helper()
	return launchAs(t, dir, config, exec.Command(filepath.Join(programs(t), "weir"), append([]string{"run", "-c", config}, args...)...))
}

// launchAs is launch by another command that becomes weir.
func launchAs(t *testing.T, dir, config string, cmd *exec.Cmd) *edge {
	t.Helper()
	cmd.Dir = dir
	e := reach(dir, config)
	e.process = start(t, cmd)
	return e
}

// reach is an edge without its process.
func reach(dir, config string) *edge {
	e := &edge{dir: dir, config: config, socket: filepath.Join(dir, "admin.sock"), base: "http://weir"}
	e.admin = &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", e.socket)
		},
	}}
	return e
}

// run starts weir and waits until it is ready.
func run(t *testing.T, dir string, c conf, args ...string) *edge {
	t.Helper()
	config := filepath.Join(dir, "weir.toml")
	save(t, config, c.String())
	e := launch(t, dir, config, args...)
	e.ready()
	return e
}

func (e *edge) ready() {
	e.t.Helper()
	eventually(e.t, 20*time.Second, "weir is ready", func() bool {
		if !e.running() {
			e.t.Fatalf("weir ended with %d:\n%s%s", e.cmd.ProcessState.ExitCode(), e.out.String(), e.errs.String())
		}
		status, _, _ := e.try("GET", "/readyz", "")
		return status == http.StatusOK
	})
}

// try is one call of the admin API; 0 when there was no answer.
func (e *edge) try(method, path, body string, header ...string) (int, http.Header, string) {
	req, err := http.NewRequest(method, e.base+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := e.admin.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err.Error()
	}
	return res.StatusCode, res.Header, string(b)
}

// call is try that must have a certain status.
func (e *edge) call(want int, method, path, body string, header ...string) (http.Header, string) {
	e.t.Helper()
	status, h, answer := e.try(method, path, body, header...)
	if status != want {
		e.t.Fatalf("%s %s: %d %s, want %d", method, path, status, answer, want)
	}
	return h, answer
}

func (e *edge) status() admin.Status {
	e.t.Helper()
	_, body := e.call(http.StatusOK, "GET", "/v1/status", "")
	var s admin.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		e.t.Fatal(err)
	}
	return s
}

// address is where the listener of that name listens.
func (e *edge) address(name string) string {
	e.t.Helper()
	for _, l := range e.status().Listeners {
		if l.Name == name {
			return l.Address
		}
	}
	e.t.Fatalf("there is no listener %s", name)
	return ""
}

// metric is the value on the line of /metrics that begins with the given series.
func (e *edge) metric(series string) string {
	e.t.Helper()
	_, body := e.call(http.StatusOK, "GET", "/metrics", "")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// verb types a command at this edge.
func (e *edge) verb(args ...string) (out string, code int) {
	e.t.Helper()
	return e.typed(append([]string{}, args...)...)
}

func (e *edge) typed(args ...string) (string, int) {
	e.t.Helper()
	at := "unix://" + e.socket
	if e.base != "http://weir" {
		at = e.base
	}
	return command(e.t, e.dir, []string{"WEIR_ADMIN=" + at, "WEIR_ADMIN_TOKEN=" + e.token, "USER=ann"}, args...)
}

// command runs weir with arguments to its end, and gives both outputs and the exit code.
func command(t *testing.T, dir string, env []string, args ...string) (string, int) {
	t.Helper()
	weir := filepath.Join(programs(t), "weir") // which may build it first
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, weir, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("weir %v: %v", args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// must is a verb that has to succeed.
func (e *edge) must(args ...string) string {
	e.t.Helper()
	out, code := e.verb(args...)
	if code != 0 {
		e.t.Fatalf("weir %s: exit %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// stop ends the edge by TERM and holds it to a clean exit.
func (e *edge) stop() {
	e.t.Helper()
	e.signal(syscall.SIGTERM)
	if code := e.wait(40 * time.Second); code != 0 {
		e.t.Fatalf("exit %d after TERM:\n%s%s", code, tail(e.out.String()), tail(e.errs.String()))
	}
}

func save(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replace is a write by rename.
func replace(t *testing.T, path, content string) {
	t.Helper()
	tmp := path + ".tmp"
	save(t, tmp, content)
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// conf is a configuration of one service in two colours.
type conf struct {
	dir         string
	admin       string // unix socket in dir by default
	log         string
	listeners   string
	tls         string
	routes      string
	service     string
	blue, green int
	blues       []string
	greens      []string
}

// newConf is one plain listener "http" on a free port, no access log, no health checks.
func newConf(dir, blue, green string) conf {
	return conf{
		dir: dir, admin: fmt.Sprintf("address = %q\nstate_dir = \"state\"\n", "unix://"+dir+"/admin.sock"), log: "access = \"off\"\n",
		listeners: "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n", routes: "[[route]]\nname = \"all\"\nservice = \"api\"\n",
		blue: 100, blues: []string{blue}, greens: []string{green},
	}
}

func (c conf) weights(blue int) conf {
	c.blue, c.green = blue, 100-blue
	return c
}

// String is the file.
func (c conf) String() string {
	if c.blue+c.green != 100 {
		c.green = 100 - c.blue
	}
	quoted := func(list []string) string {
		b, _ := json.Marshal(list) // strings always encode, and TOML reads them as JSON writes them
		return string(b)
	}
	return "[admin]\n" + c.admin + "\n[log]\n" + c.log + "\n" + c.listeners + "\n" + c.tls + "\n" + c.routes + "\n[service.api]\n" + c.service +
		fmt.Sprintf("\n[service.api.group.blue]\nweight = %d\ntargets = %s\n\n[service.api.group.green]\nweight = %d\ntargets = %s\n",
			c.blue, quoted(c.blues), c.green, quoted(c.greens))
}
