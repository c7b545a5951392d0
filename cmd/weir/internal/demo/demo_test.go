package demo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/cmd/weir/internal/demo"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/porttest"
	edgetls "github.com/valor-ivx/weir/tls"
)

func noCertificate(dir string) (demo.Certificate, error) {
	return demo.Certificate{CA: filepath.Join(dir, "root.pem"), Cert: filepath.Join(dir, "leaf.pem"), Key: filepath.Join(dir, "leaf.pem")}, nil
}

// buffer is a bytes.Buffer that a waiter's goroutine may write while the test reads, with a signal for each
// write.
type buffer struct {
	mu    sync.Mutex // guards b
	b     bytes.Buffer
	wrote chan struct{}
}

func newBuffer() *buffer { return &buffer{wrote: make(chan struct{}, 100)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrote <- struct{}{}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// options are a demo on free ports, with this binary as the API.
func options(t *testing.T) (o demo.Options, out, errs *buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out, errs = newBuffer(), newBuffer()
	o = demo.Options{Dir: filepath.Join(t.TempDir(), "a b"), API: self, Self: "bin/weir", Stdout: out, Stderr: errs, Certificate: noCertificate}
	for _, a := range []*string{&o.HTTP, &o.HTTPS, &o.Admin, &o.Blue, &o.Green} {
		*a = freeAddress(t)
	}
	o.Serve = func(string, func()) int { return 0 }
	return o, out, errs
}

// freeAddress is the test's own, for whoever binds it.
func freeAddress(t *testing.T) string { return porttest.Reserve(t) }

func get(t *testing.T, address string) []string {
	t.Helper()
	res, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func TestBothColoursServeOneSecretAndDatabase(t *testing.T) {
	o, out, errs := options(t)
	var blue, green []string
	o.Certificate = func(dir string) (demo.Certificate, error) {
		ca, err := edgetls.OpenLocalCA(dir, time.Now())
		if err != nil {
			return demo.Certificate{}, err
		}
		leaf, err := ca.Leaf([]string{"localhost"}, time.Now())
		return demo.Certificate{CA: ca.RootFile(), Cert: leaf.Cert, Key: leaf.Key}, err
	}
	o.Serve = func(config string, ready func()) int {
		ready()
		if _, err := configs.Load(config, os.LookupEnv); err != nil {
			t.Errorf("the configuration is not valid: %v", err)
		}
		blue, green = get(t, o.Blue), get(t, o.Green)
		b, err := os.ReadFile(config)
		if err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(filepath.Join(o.Dir, "web", "index.html")); err != nil {
			t.Errorf("the front end: %v", err)
		}
		for _, want := range []string{o.HTTP, o.HTTPS, o.Admin, o.Blue, o.Green, `cert = "ca/leaf-`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("the configuration lacks %s", want)
			}
		}
		return 3
	}
	code, err := demo.Run(t.Context(), o)
	if err != nil || code != 3 {
		t.Fatal(code, err)
	}
	if blue[0] != "blue" || green[0] != "green" || blue[1] != "demo" {
		t.Errorf("%q %q", blue, green)
	}
	if blue[2] != green[2] || blue[2] != "file:"+filepath.Join(o.Dir, "valor.db") {
		t.Errorf("databases %q %q", blue[2], green[2])
	}
	if blue[3] != green[3] || len(blue[3]) != 64 {
		t.Errorf("secrets %q %q", blue[3], green[3])
	}
	if st, err := os.Stat(filepath.Join(o.Dir, "secret")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("secret file: %v %v", st, err)
	}
	for _, want := range []string{
		"open       http://" + o.HTTP + "/ ", "curl -i http://" + o.HTTP + "/api/health\n", "bin/weir weights --admin " + o.Admin + " api blue=50 green=50\n",
		"curl -i --cacert '" + o.Dir + "/ca/root.pem' https://" + o.HTTPS + "/api/health\n", "pid " + blue[4] + ",",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the banner lacks %q:\n%s", want, out)
		}
	}
	for _, address := range []string{o.Blue, o.Green} {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			t.Errorf("%s still answers after the end", address)
		}
	}
	if errs.String() != "" {
		t.Errorf("an orderly end said %q", errs)
	}
	if strings.Contains(out.String(), blue[3]) {
		t.Error("the secret was printed")
	}
}

func TestKilledColourComesBackByThePrintedCommand(t *testing.T) {
	o, _, errs := options(t)
	o.Serve = func(string, func()) int {
		before := get(t, o.Green)
		pid, _ := strconv.Atoi(before[4])
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
			return 0
		}
		<-errs.wrote
		said := errs.String()
		if !strings.Contains(said, "green (pid "+before[4]+") has ended: signal: killed") {
			t.Errorf("said %q", said)
		}
		m := regexp.MustCompile(`Start it again with:\n  (.*)\n`).FindStringSubmatch(said)
		if m == nil {
			t.Errorf("no command in %q", said)
			return 0
		}
		again := exec.Command("sh", "-c", "exec env "+m[1])
		if err := again.Start(); err != nil {
			t.Error(err)
			return 0
		}
		awaitAnswer(t, o.Green)
		after := get(t, o.Green)
		if after[0] != "green" || after[2] != before[2] || after[3] != before[3] || after[4] == before[4] {
			t.Errorf("came back as %q, was %q", after, before)
		}
		if get(t, o.Blue)[0] != "blue" {
			t.Error("blue went too")
		}
		_ = again.Process.Kill()
		_ = again.Wait()
		return 0
	}
	if _, err := demo.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// awaitAnswer asks until somebody listens: there is no event for another process's listen.
func awaitAnswer(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("nobody answers at " + address)
		}
	}
}

func TestChildrenDieWithAKilledDemo(t *testing.T) {
	o, _, _ := options(t)
	cmd := exec.Command(o.API)
	cmd.Env = append(os.Environ(), "WEIR_TEST_DEMO_DIR="+o.Dir,
		"WEIR_TEST_DEMO_ADDRESSES="+strings.Join([]string{o.HTTP, o.HTTPS, o.Admin, o.Blue, o.Green}, " "))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 8)
	if _, err := io.ReadFull(stdout, line); err != nil || string(line) != "serving\n" {
		rest, _ := io.ReadAll(stdout)
		t.Fatalf("%q %v %s", line, err, rest)
	}
	var handles []int
	for _, address := range []string{o.Blue, o.Green} {
		pid, _ := strconv.Atoi(get(t, address)[4])
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			t.Skipf("needs pidfd_open (Linux 5.3): %v", err)
		}
		defer func() { _ = unix.Close(fd) }()
		handles = append(handles, fd)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for i, fd := range handles {
		// A pidfd becomes readable when its process has ended.
		n, err := 0, error(unix.EINTR)
		for err == unix.EINTR { // a signal to this process, as the runtime sends them to itself, tells nothing of the child
			n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
		}
		if n != 1 || err != nil {
			t.Errorf("child %d outlived the demo (%v)", i, err)
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
	}
}

func TestBusyPortsAreNamedAllAtOnce(t *testing.T) {
	o, _, _ := options(t)
	for _, a := range []string{o.HTTP, o.Green} {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
	}
	_, err := demo.Run(t.Context(), o)
	if err == nil {
		t.Fatal("ran on busy ports")
	}
	for _, a := range []struct{ address, flag string }{{o.HTTP, "--http"}, {o.Green, "--green"}} {
		_, port, _ := net.SplitHostPort(a.address)
		for _, want := range []string{"port " + port, "ss -ltnp 'sport = :" + port + "'", "weir demo " + a.flag + " 127.0.0.1:"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q lacks %q", err, want)
			}
		}
	}
	if strings.Contains(err.Error(), "--blue") || strings.Contains(err.Error(), "another weir demo") {
		t.Error("names a port that is free")
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("left a folder behind")
	}
}

func TestColourThatCannotStartShowsItsLog(t *testing.T) {
	o, _, _ := options(t)
	t.Setenv("WEIR_TEST_BREAK", "green")
	o.Serve = func(string, func()) int { t.Error("served"); return 0 }
	_, err := demo.Run(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "start green") || !strings.Contains(err.Error(), "disk on fire") {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", o.Blue); err == nil {
		_ = c.Close()
		t.Error("blue was left behind")
	}
}

func TestFrontEndThatCannotBeWrittenIsSaid(t *testing.T) {
	o, _, _ := options(t)
	t.Setenv("WEIR_TEST_BREAK", "web")
	o.Serve = func(string, func()) int { t.Error("served"); return 0 }
	if _, err := demo.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "write front end") || !strings.Contains(err.Error(), "no room left on the disk") {
		t.Fatal(err)
	}
}

func TestMissingAPIIsSaid(t *testing.T) {
	o, _, _ := options(t)
	o.API = filepath.Join(t.TempDir(), "valor-api")
	if _, err := demo.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "make build") {
		t.Fatal(err)
	}
}

func TestSecondDemoInAFolderIsRefused(t *testing.T) {
	o, _, _ := options(t)
	o.Serve = func(string, func()) int {
		same := o
		same.HTTP, same.HTTPS, same.Admin, same.Blue, same.Green = o.Blue, o.Blue, o.Green, o.Blue, o.Green
		if _, err := demo.Run(t.Context(), same); err == nil || !strings.Contains(err.Error(), "another weir demo is probably running") {
			t.Error(err)
		}
		p, _, _ := options(t)
		p.Dir = o.Dir
		if _, err := demo.Run(t.Context(), p); err == nil || !strings.Contains(err.Error(), "another weir demo runs in") {
			t.Error(err)
		}
		return 0
	}
	if _, err := demo.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func TestEditedConfigurationIsKept(t *testing.T) {
	o, out, _ := options(t)
	var config string
	o.Serve = func(path string, ready func()) int {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		config = string(b)
		ready()
		return 0
	}
	run := func() {
		t.Helper()
		if _, err := demo.Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	run()
	first := config
	o.HTTP = freeAddress(t)
	run()
	if config == first || !strings.Contains(config, o.HTTP) || strings.Contains(out.String(), "you changed it") {
		t.Fatal("an untouched file must follow the flags")
	}
	path := filepath.Join(o.Dir, "demo.toml")
	edited := config + "# mine\n"
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
	o.HTTP = freeAddress(t)
	run()
	if config != edited || !strings.Contains(out.String(), "you changed it") {
		t.Fatal("an edited file must be kept, and said to be")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	run()
	if !strings.Contains(config, o.HTTP) || strings.Contains(config, "# mine") {
		t.Fatal("a deleted file must come back new")
	}
}
