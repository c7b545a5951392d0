package main

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2EImage carries out the Dockerfile without a container engine and runs both images: in a chroot that is nothing but the image, as its user, who may
// write nowhere but where the image lets him, with a container's memory limit.
func TestE2EImage(t *testing.T) {
	if testing.Short() {
		t.Skip("scenarios take a minute")
	}
	w := newWorkshop(t)
	weir, api := w.image("weir"), w.image("valor-api")
	weir.own, api.own = weir.env["STATE_DIRECTORY"], filepath.Dir(strings.TrimPrefix(api.env["VALOR_DATABASE"], "file:"))
	if weir.ports != "80 443 443/udp" || ":"+api.ports != api.env["VALOR_ADDRESS"] {
		t.Errorf("ports %s and %s", weir.ports, api.ports)
	}
	for _, i := range []*image{weir, api} {
		t.Run(i.name, func(t *testing.T) { checkImage(t, i) })
	}
	t.Run("runs", func(t *testing.T) {
		needsChroot(t)
		t.Run("weir", func(t *testing.T) { runWeirImage(t, weir) })
		t.Run("valor-api", func(t *testing.T) { runAPIImage(t, api) })
	})
}

// checkImage is what must be true of both, whatever they do.
func checkImage(t *testing.T, i *image) {
	for key, want := range map[string]string{"version": "v9.8.7", "revision": "abc", "created": "2026-11-23T00:00:00Z", "title": i.name, "description": "", "source": "",
		"licenses": "Apache-2.0", "documentation": "", "vendor": ""} {
		if got := i.labels["org.opencontainers.image."+key]; got == "" || want != "" && got != want {
			t.Errorf("label %s is %q, want %q", key, got, want)
		}
	}
	if i.user != "65532:65532" || i.stopSignal != "SIGTERM" || len(i.entrypoint) != 1 || len(i.health) == 0 || i.health[0] != i.entrypoint[0] {
		t.Errorf("user %s, stopped by %s, started by %q, asked by %q", i.user, i.stopSignal, i.entrypoint, i.health)
	}
	for name := range i.env {
		if regexp.MustCompile(`(?i)password|secret|token|key`).MatchString(name) {
			t.Errorf("%s is in the image, for everybody who has it", name)
		}
	}
	// Users without a shell and folders to write to, for them alone.
	const users, groups = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n", "root:x:0:\nnonroot:x:65532:\n"
	if got := string(slurp(t, filepath.Join(i.root, "etc/passwd"))) + string(slurp(t, filepath.Join(i.root, "etc/group"))); got != users+groups {
		t.Errorf("users and groups:\n%s", got)
	}
	for folder, mode := range map[string]fs.FileMode{"tmp": 0o777 | fs.ModeSticky, i.own: 0o700} {
		if info, err := os.Stat(filepath.Join(i.root, folder)); err != nil || info.Mode() != mode|fs.ModeDir {
			t.Errorf("%s: %v %v", folder, info, err)
		}
	}
	program, err := elf.Open(filepath.Join(i.root, i.entrypoint[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		t.Error("the program is not static: nothing in the image could load it")
	}
	roots, err := os.ReadFile(filepath.Join(i.root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(roots) {
		t.Errorf("no roots of trust: %v", err)
	}
	zones, err := zip.OpenReader(filepath.Join(i.root, i.env["ZONEINFO"]))
	if err != nil {
		t.Fatal(err)
	}
	defer zones.Close()
	if !slices.ContainsFunc(zones.File, func(f *zip.File) bool { return f.Name == "Europe/Berlin" }) {
		t.Error("no time zones")
	}
	for _, name := range i.files(t) {
		if strings.HasSuffix(name, ".go") || strings.HasPrefix(name, "src/") {
			t.Errorf("%s is in the image", name)
		}
	}
}

func runWeirImage(t *testing.T, i *image) {
	i.put(t, "etc/weir/weir.toml", "[admin]\naddress = \"unix:///var/lib/weir/admin.sock\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nservice = \"api\"\n"+
		"[service.api.group.blue]\ntargets = [\"127.0.0.1:9\"]\n")
	before := i.state(t)
	i.env["WEIR_ADMIN"] = "unix:///var/lib/weir/admin.sock"
	p := i.start(t)
	p.await("configuration in force") // the admin socket is bound by then: a question waits for its answer
	if err := i.ask(t, i.health...); err != nil || !strings.HasSuffix(i.said, "\nok\n") {
		t.Errorf("%q, %v", i.said, err)
	}
	if err := i.ask(t, "/usr/bin/weir", "version"); err != nil || !strings.Contains(i.said, "v9.8.7") {
		t.Errorf("%s, %v", i.said, err)
	}
	// 90 % of the container's limit, which the chroot's /proc and /sys tell.
	p.await(fmt.Sprint(`"weir.memory_limit":`, gibibyte*9/10))
	i.stopped(t, p, before)
	if info, err := os.Stat(filepath.Join(i.root, "var/lib/weir/secret")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("state: %v, %v", info, err)
	}
	// Without a configuration it says which one it misses.
	if err := os.Remove(filepath.Join(i.root, "etc/weir/weir.toml")); err != nil {
		t.Fatal(err)
	}
	if err := i.ask(t, append(slices.Clone(i.entrypoint), i.command...)...); err == nil || !strings.Contains(i.said, "/etc/weir/weir.toml") {
		t.Errorf("%s, %v", i.said, err)
	}
}

func runAPIImage(t *testing.T, i *image) {
	if i.env["VALOR_ADDRESS"] != ":5002" { // all addresses of the container; here any port of this machine alone
		t.Errorf("listens on %s", i.env["VALOR_ADDRESS"])
	}
	i.env["VALOR_ADDRESS"] = "127.0.0.1:0"
	i.put(t, "run/secrets/jwt", "0123456789abcdef0123456789abcdef\n")
	i.env["VALOR_JWT_SECRET"] = "${file:/run/secrets/jwt}"
	before := i.state(t)
	p := i.start(t)
	var listening struct{ Address string }
	if err := json.Unmarshal([]byte(p.await(`"msg":"listening"`)), &listening); err != nil {
		t.Fatal(err)
	}
	p.await(fmt.Sprint(`"bytes":`, gibibyte*9/10))
	if err := i.ask(t, i.health...); err == nil {
		t.Error("healthy at a port where nothing listens")
	}
	i.env["VALOR_ADDRESS"] = listening.Address
	if err := i.ask(t, i.health...); err != nil || !strings.Contains(i.said, `"status":"ready"`) {
		t.Errorf("%s, %v", i.said, err)
	}
	if err := i.ask(t, "/usr/bin/valor-api", "web", "--out", "/srv/web"); err != nil {
		t.Errorf("%s, %v", i.said, err)
	}
	i.stopped(t, p, before)
}

const gibibyte = 1 << 30

// needsChroot says whether this process may do what a container engine does.
func needsChroot(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run", "^$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: "/", Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	cmd.Dir = "/"
	if err := cmd.Run(); errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EPERM) {
		t.Skip("needs root, to change root and user")
	}
}

// start runs the image as an engine would.
func (i *image) start(t *testing.T) *imageProcess {
	t.Helper()
	p := &imageProcess{lines: make(chan string, 64)}
	cmd := i.cmd(context.Background(), append(slices.Clone(i.entrypoint), i.command...))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.process = &process{t: t, cmd: cmd, done: make(chan struct{})}
	cmd.Stderr = &p.errs
	if err := begin(cmd); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.done)
		defer close(p.lines)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			p.lines <- lines.Text()
		}
		_ = cmd.Wait() // what counts is the exit code
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // fails when it has ended, as it should have
		for range p.lines {    // so that it can end
		}
		<-p.done
		if t.Failed() {
			t.Logf("said %q and %s", p.seen, p.errs.String())
		}
	})
	return p
}

// imageProcess is a program in an image. Its lines are kept.
type imageProcess struct {
	*process
	lines chan string
	seen  []string
}

// await is the first line with text, of those that were said already or of those to come.
func (p *imageProcess) await(text string) string {
	p.t.Helper()
	for _, line := range p.seen {
		if strings.Contains(line, text) {
			return line
		}
	}
	for guard := time.After(time.Minute); ; {
		select {
		case line, more := <-p.lines:
			if !more {
				p.t.Fatalf("ended without saying %s", text)
			}
			if p.seen = append(p.seen, line); strings.Contains(line, text) {
				return line
			}
		case <-guard:
			p.t.Fatalf("does not say %s", text)
		}
	}
}

// stopped ends the program as the image says and compares what it left behind.
func (i *image) stopped(t *testing.T, p *imageProcess, before map[string]string) {
	t.Helper()
	p.signal(map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM}[i.stopSignal])
	for line := range p.lines { // until it has ended
		p.seen = append(p.seen, line)
	}
	if code := p.wait(time.Minute); code != 0 {
		t.Errorf("exit %d", code)
	}
	for name, now := range i.state(t) {
		writable := strings.HasPrefix(name, "var/lib/") || strings.HasPrefix(name, "srv/web/") || strings.HasPrefix(name, "tmp/")
		if before[name] != now && !writable {
			t.Errorf("%s was %q and is %q", name, before[name], now)
		}
	}
}
