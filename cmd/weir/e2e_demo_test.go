package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demonstration is a running `weir demo` on free ports.
type demonstration struct {
	*process
	http, https, admin, blue, green string
	dir                             string
}

func demoOn(t *testing.T, dir string) *demonstration {
	t.Helper()
	d := &demonstration{dir: dir}
	args := []string{"demo", "--dir", filepath.Join(dir, "demo")}
	for flag, address := range map[string]*string{"http": &d.http, "https": &d.https, "admin": &d.admin, "blue": &d.blue, "green": &d.green} {
		*address = freeAddress(t)
		args = append(args, "--"+flag, *address)
	}
	cmd := exec.Command(filepath.Join(programs(t), "weir"), args...)
	cmd.Dir, cmd.Env = dir, withoutProxies()
	d.process = start(t, cmd)
	eventually(t, 60*time.Second, "the demo says that it is there", func() bool {
		if !d.running() {
			t.Fatalf("the demo ended: %s%s", d.out.String(), d.errs.String())
		}
		return strings.Contains(d.out.String(), "Ctrl-C ends all of it.")
	})
	return d
}

func withoutProxies() []string {
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, v)
		}
	}
	return env
}

// commands are the lines that the demo says to try.
func (d *demonstration) commands() []string {
	_, rest, _ := strings.Cut(d.out.String(), "Try, in another terminal:\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	var list []string
	for line := range strings.Lines(rest) {
		list = append(list, strings.TrimSpace(line))
	}
	return list
}

func (d *demonstration) children() (pids []int) {
	for _, m := range regexp.MustCompile(`pid (\d+), log`).FindAllStringSubmatch(d.out.String(), -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			d.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func TestE2EDemo(t *testing.T) {
	t.Parallel()
	d := demoOn(t, folder(t))
	t.Run("the printed commands work as printed", func(t *testing.T) { d.typeCommands(t) })
	t.Run("weights are exact", func(t *testing.T) { d.alternate(t) })
	t.Run("the API computes", func(t *testing.T) {
		res, err := http.Post("http://"+d.http+"/api/dcf", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var answer struct {
			Data struct{ Totals struct{ PerShare float64 } }
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != 200 {
			t.Fatalf("%d %v", res.StatusCode, err)
		}
		if got := strconv.FormatFloat(answer.Data.Totals.PerShare, 'f', 9, 64); got != "10.637192004" {
			t.Fatalf("perShare %s", got)
		}
		measured(t, "POST /api/dcf {} through the edge", "perShare 10.637192004")
	})
	t.Run("https by the printed CA", func(t *testing.T) { d.secure(t) })
	children := d.children()
	if len(children) != 2 {
		t.Fatalf("children %v in %s", children, d.out.String())
	}
	idle := dialKept(t, d.http) // an idle connection does not hold the end
	if _, _, err := idle.do("GET", "/api/health", ""); err != nil {
		t.Fatal(err)
	}
	// Ctrl-C goes to the whole process group of the terminal.
	if err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := d.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit %d after SIGINT", code)
	}
	if said := d.errs.String(); strings.Contains(said, "has ended") {
		t.Errorf("a child ended before the edge did:\n%s", said)
	}
	for _, pid := range children {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("child %d after the end: %v", pid, err)
		}
	}
	for _, a := range []string{d.http, d.https, d.admin, d.blue, d.green} {
		if c, err := net.Dial("tcp", a); err == nil {
			_ = c.Close()
			t.Errorf("%s is still open", a)
		}
	}
	measured(t, "SIGINT", "exit 0, no child, no open port left")
}

func (d *demonstration) typeCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs curl (make deps), and skips are forbidden")
		}
		t.Skip("skipped: needs curl (make deps)")
	}
	list := d.commands()
	if len(list) != 3 {
		t.Fatalf("%d commands: %q", len(list), list)
	}
	wants := []string{"HTTP/1.1 200", "blue=50 green=50", "HTTP/2 200"}
	for i, line := range list {
		sh := exec.Command("sh", "-c", line)
		sh.Dir, sh.Env = d.dir, append(withoutProxies(), "PATH="+os.Getenv("PATH"))
		out, err := sh.CombinedOutput()
		if err != nil || !strings.Contains(string(out), wants[i]) {
			t.Errorf("%s: %v\n%s\nwant %q in it", line, err, out, wants[i])
		}
	}
	measured(t, "commands typed as printed", "%d of %d", len(list), len(wants))
}

func (d *demonstration) alternate(t *testing.T) {
	if out, code := command(t, d.dir, nil, "weights", "--admin", d.admin, "api", "blue=50", "green=50"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	k := dialKept(t, d.http)
	colours := map[string]int{}
	for range 200 {
		res, body, err := k.do("GET", "/api/health", "")
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v %s", res, err, body)
		}
		colours[res.Header.Get("X-Valor-Color")]++
	}
	if colours["blue"] != 100 || colours["green"] != 100 {
		t.Fatalf("50/50 over 200 requests: %v", colours)
	}
	measured(t, "200 requests at 50/50", "blue %d, green %d", colours["blue"], colours["green"])
}

func (d *demonstration) secure(t *testing.T) {
	m := regexp.MustCompile(`--cacert (\S+)`).FindStringSubmatch(d.out.String())
	pem, err := os.ReadFile(m[1])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: 60 * time.Second}).Get("https://" + d.https + "/api/health")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var health map[string]any
	if err := json.NewDecoder(res.Body).Decode(&health); err != nil || res.StatusCode != 200 || res.TLS.Version != tls.VersionTLS13 {
		t.Fatalf("%d %v %v", res.StatusCode, err, health)
	}
}

func TestE2EDemoAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	d := demoOn(t, dir)
	if out, code := command(t, dir, nil, "weights", "--admin", d.admin, "api", "blue=25", "green=75"); code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	res, err := http.Post("http://"+d.http+"/api/runs", "application/json", strings.NewReader(`{"inputs":{"ticker":"IVX"},"results":{"perShare":10.6}}`))
	if err != nil {
		t.Fatal(err)
	}
	saved, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode/100 != 2 {
		t.Fatalf("save a run: %d %s", res.StatusCode, saved)
	}
	t.Run("busy ports are named", func(t *testing.T) {
		out, code := command(t, dir, withoutProxies(), "demo", "--dir", filepath.Join(dir, "other"), "--http", d.http, "--https", d.https,
			"--admin", d.admin, "--blue", d.blue, "--green", freeAddress(t))
		_, port, _ := net.SplitHostPort(d.http)
		if code != 1 || !strings.Contains(out, "port "+port) || !strings.Contains(out, "weir demo --http") {
			t.Errorf("exit %d: %s", code, out)
		}
	})
	secret, err := os.ReadFile(filepath.Join(dir, "demo", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	d.signal(syscall.SIGINT)
	if code := d.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit %d", code)
	}
	again := demoOn(t, dir) // on other ports: the file was not edited, so it follows the flags
	now, err := os.ReadFile(filepath.Join(dir, "demo", "secret"))
	if err != nil || string(now) != string(secret) {
		t.Errorf("the secret changed: %v", err)
	}
	out, code := command(t, dir, nil, "status", "--admin", again.admin)
	if code != 0 || !strings.Contains(out, "overlay 25/75") {
		t.Errorf("exit %d, the weights of before are not in force:\n%s", code, out)
	}
	list, err := http.Get("http://" + again.http + "/api/runs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = list.Body.Close() }()
	b, _ := io.ReadAll(list.Body)
	if list.StatusCode != 200 || !strings.Contains(string(b), `"IVX"`) {
		t.Errorf("the run of before is gone: %d %s", list.StatusCode, b)
	}
	again.signal(syscall.SIGINT)
	if code := again.wait(60 * time.Second); code != 0 {
		t.Fatalf("exit %d", code)
	}
	measured(t, "second start in the same folder", "secret, run and weights of before are there")
}
