package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/proxy/server"
)

// fataler is what testing.T and rapid.T have in common.
type fataler = porttest.Test

// colour is an upstream that can be killed and started again on its address, which is nobody else's meanwhile.
type colour struct {
	name, address string
	handler       http.Handler // nil: answers with its name
	srv           *http.Server
	ended         chan error
}

func newColour(t fataler, name string) *colour {
	c := &colour{name: name}
	c.start(t)
	return c
}

func (c *colour) start(t fataler) {
	t.Helper()
	if c.address == "" || strings.HasSuffix(c.address, ":0") {
		c.address = porttest.Reserve(t)
	}
	l, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatalf("start %s: %v", c.name, err)
	}
	c.srv = &http.Server{Handler: c.handler}
	if c.handler == nil {
		c.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Color", c.name) })
	}
	c.ended = make(chan error, 1)
	go func(srv *http.Server, ended chan<- error) { ended <- srv.Serve(l) }(c.srv, c.ended)
}

func (c *colour) kill() {
	if c.srv != nil {
		_ = c.srv.Close()
		<-c.ended
		c.srv = nil
	}
}

// running is a Server in this process.
type running struct {
	t       fataler
	dir     string
	signals chan os.Signal
	exited  chan int
	address string
	admin   *http.Client
	client  *connection
}

// run starts a server on the text of a configuration whose admin address is the socket admin.sock beside it.
func run(t fataler, dir, text string) *running {
	t.Helper()
	r := &running{t: t, dir: dir, signals: make(chan os.Signal, 4), exited: make(chan int, 1)}
	r.write(text)
	ready := make(chan *server.Server, 1)
	var errs strings.Builder // written before exited only
	go func() {
		r.exited <- server.Run(context.Background(), server.Options{
			ConfigPath: filepath.Join(dir, "weir.toml"), DrainTimeout: 60 * time.Second, Stdout: io.Discard, Stderr: &errs,
			Ready: func(s *server.Server) { ready <- s },
		}, r.signals)
	}()
	select {
	case s := <-ready:
		r.address = s.Address(0)
	case code := <-r.exited:
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	r.admin = &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
		},
	}}
	r.client = connect(t, r.address)
	return r
}

func (r *running) write(text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "weir.toml")
	err := os.WriteFile(path+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		r.t.Fatalf("%v", err)
	}
}

// try is one call of the admin API.
func (r *running) try(method, path, body string, header ...string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://weir"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.admin.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

// call is try that must have a certain status.
func (r *running) call(want int, method, path, body string, header ...string) string {
	r.t.Helper()
	status, answer, err := r.try(method, path, body, header...)
	if err != nil || status != want {
		r.t.Fatalf("%s %s %s: %d %s %v, want %d", method, path, body, status, answer, err, want)
	}
	return answer
}

func (r *running) status() (s admin.Status) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/status", "")), &s); err != nil {
		r.t.Fatalf("%v", err)
	}
	return s
}

// stop ends the server and holds it to a clean exit.
func (r *running) stop() {
	r.t.Helper()
	if !r.client.asked {
		_ = r.client.conn.Close() // the server would wait a second for what it may be about to ask
	}
	r.signals <- syscall.SIGTERM
	select {
	case code := <-r.exited:
		if code != 0 {
			r.t.Fatalf("exit %d", code)
		}
	case <-time.After(90 * time.Second):
		r.t.Fatalf("does not stop")
	}
	_ = r.client.conn.Close()
}

// connection is one client connection that is kept until the test ends.
type connection struct {
	conn  net.Conn
	r     *bufio.Reader
	asked bool // by try
}

func connect(t fataler, address string) *connection {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // and not when a collection finds that the test will not look at it any more
	return &connection{conn: conn, r: bufio.NewReader(conn)}
}

// try is one request; the connection must go on after it.
func (c *connection) try() (status int, colour string, err error) {
	c.asked = true
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return 0, "", fmt.Errorf("the connection broke: %w", err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", fmt.Errorf("the connection broke: %w", err)
	}
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.Close {
		err = fmt.Errorf("the connection ended with %s", res.Status)
	}
	return res.StatusCode, res.Header.Get("X-Color"), err
}

// get is try that must succeed.
func (c *connection) get(t fataler) (status int, colour string) {
	t.Helper()
	status, colour, err := c.try()
	if err != nil {
		t.Fatalf("%v", err)
	}
	return status, colour
}

func eventually(t fataler, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// await is the wait for what a goroutine of the test tells; its bound is a guard, no measure.
func await[T any](t fataler, c <-chan T, what string) (told T) {
	t.Helper()
	select {
	case told = <-c:
	case <-time.After(60 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
	return told
}

// openFiles counts this process's descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc")
	}
	return len(list)
}

// nothingLeft holds the end of a test to have no more goroutines than ignore knows of and no more open files than there were; files < 0: uncounted. Those that are about to
// end are waited for, for longer than goleak's half a second.
func nothingLeft(t *testing.T, ignore goleak.Option, files int) {
	t.Helper()
	var leak error
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if leak = goleak.Find(ignore); leak == nil && (files < 0 || openFiles(t) <= files) {
			return
		}
	}
	t.Errorf("left behind: %v, %d files open, %d before", leak, openFiles(t), files)
}

func shortDir(t fataler) string {
	dir, err := os.MkdirTemp("", "ws") // a unix socket's path is limited to 107 bytes
	if err != nil {
		t.Fatalf("%v", err)
	}
	return dir
}

// shortestOutage is less than the pause between a failed probe of configText's and the next: 600 ms with 10 % of jitter.
const shortestOutage = 500 * time.Millisecond

// configText is the configuration of two colours. A probe that a machine standing still has cut off takes a target out for no less than shortestOutage.
func configText(dir string, blue, bodyKiB int, second bool, blues []string, green string) string {
	more := ""
	if second {
		more = "[[listener]]\nname = \"second\"\naddress = \"127.0.0.1:0\"\n"
	}
	list, _ := json.Marshal(blues) // strings always encode
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n"+
		"[[listener]]\nname = \"first\"\naddress = \"127.0.0.1:0\"\n%s[[route]]\nname = \"all\"\nservice = \"api\"\nmax_body = \"%dKiB\"\n"+
		"[service.api]\nhealth = { path = \"/\", interval = \"600ms\", timeout = \"600ms\", rise = 1, fall = 1 }\nejection = { max_ejected = 0.0 }\n"+
		"[service.api.group.blue]\nweight = %d\ntargets = %s\n[service.api.group.green]\nweight = %d\ntargets = [%q]\n",
		dir, more, bodyKiB, blue, list, 100-blue, green)
}
