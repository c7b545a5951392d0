package main

import (
	"fmt"
	"io"
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

// TestE2EChromium: a browser that knows nothing but the demo's CA opens the address that the demo prints, over HTTP/2 and over HTTP/3. One that does not know the CA
// opens neither, and nothing of it reaches the edge's routes: so it is the CA that makes the others work.
//
// HTTP/3 is forced, because Chromium follows Alt-Svc to QUIC only for certificates of public CAs, which no private one is. Forcing lifts that one rule; the certificate
// is verified all the same, as the case without the CA shows.
func TestE2EChromium(t *testing.T) {
	t.Parallel()
	program := chromium(t)
	d := demoOn(t, folder(t))
	address := regexp.MustCompile(`https://\S+/api/health`).FindString(d.out.String())
	for _, c := range []struct {
		name          string
		trusts, quic  bool
		counted, says string
	}{
		{"HTTP/2", true, false, "HTTP/2.0", ""},
		{"HTTP/2 without the CA", false, false, "", "Page load failed: net::ERR_CERT_AUTHORITY_INVALID"},
		{"HTTP/3", true, true, "HTTP/3.0", ""},
		{"HTTP/3 without the CA", false, true, "", "Page load failed: net::ERR_QUIC_"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBrowser(t, program)
			if c.trusts {
				b.trust(d.authority())
			}
			want := d.healths()
			page, said := b.open(address, c.quic, d.https)
			if !strings.Contains(said, c.says) || strings.Contains(page, `"status":"healthy"`) != c.trusts {
				t.Fatalf("the page is %q\nwant to hear %q, heard:\n%s", page, c.says, tail(said))
			}
			if c.counted != "" {
				want[c.counted]++
				eventually(t, 10*time.Second, "the edge counts the request", func() bool { return fmt.Sprint(d.healths()) == fmt.Sprint(want) })
				measured(t, "GET "+regexp.MustCompile(`:\d+`).ReplaceAllString(address, ""), "%s, by the demo's CA in the browser's own store", c.counted)
			} else if got := d.healths(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("requests before %v, after %v", want, got)
			}
		})
	}
	d.signal(syscall.SIGINT)
	if code := d.wait(30 * time.Second); code != 0 {
		t.Fatalf("exit %d after SIGINT", code)
	}
}

// authority is the file with the demo's CA, as the demo prints it.
func (d *demonstration) authority() string {
	return regexp.MustCompile(`--cacert (\S+)`).FindStringSubmatch(d.out.String())[1]
}

// healths is how many requests the API answered with 200 through TLS, by protocol.
func (d *demonstration) healths() map[string]int {
	d.t.Helper()
	res, err := http.Get("http://" + d.admin + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^weir_http_requests_total\{code="200",listener="https",method="GET",proto="([^"]+)",route="api"\} (\d+)$`).FindAllStringSubmatch(string(b), -1) {
		if counts[m[1]], err = strconv.Atoi(m[2]); err != nil {
			d.t.Fatal(err)
		}
		if counts[m[1]] == 0 {
			delete(counts, m[1]) // some series are there before their first request
		}
	}
	return counts
}

// chromium is the browser's path. What makes its certificate store must be there too.
func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("scenarios take a minute")
	}
	_, missing := exec.LookPath("certutil")
	for _, name := range []string{"chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && missing == nil {
			return path
		}
	}
	if os.Getenv("WEIR_TEST_ALL") == "1" {
		t.Fatal("needs Chromium and certutil (make deps), and skips are forbidden")
	}
	t.Skip("skipped: needs Chromium (make deps)")
	return ""
}

// browser is a headless Chromium with a home folder of its own, where nothing is but its certificate store.
type browser struct {
	t             *testing.T
	program, home string
}

func newBrowser(t *testing.T, program string) *browser {
	t.Helper()
	b := &browser{t, program, folder(t)}
	if err := os.MkdirAll(b.store(), 0o700); err != nil {
		t.Fatal(err)
	}
	b.certutil("-N", "--empty-password")
	t.Cleanup(func() {
		for _, pid := range b.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may end by itself meanwhile
		}
	})
	return b
}

func (b *browser) store() string { return filepath.Join(b.home, ".pki", "nssdb") }

func (b *browser) certutil(args ...string) {
	b.t.Helper()
	if out, err := exec.Command("certutil", append(args, "-d", "sql:"+b.store())...).CombinedOutput(); err != nil {
		b.t.Fatalf("certutil %v: %v\n%s", args, err, out)
	}
}

// trust does what a user does with "import authority: trust it for web sites".
func (b *browser) trust(ca string) {
	b.t.Helper()
	b.certutil("-A", "-n", "demo", "-t", "C,,", "-i", ca)
}

// flags make a browser that keeps to itself.
func (b *browser) flags() []string {
	return []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + filepath.Join(b.home, "profile"), // the sandbox does not start as root
		"--no-first-run", "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
		"--disable-domain-reliability", "--disable-breakpad", "--proxy-server=direct://", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1", // not a name is looked up
		"--explicitly-allowed-ports=10080", // the one port that freeAddress may give and browsers refuse
	}
}

func (b *browser) environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.home, "TMPDIR=" + b.home, "DBUS_SESSION_BUS_ADDRESS=disabled:"}
}

// open is the page as the browser has it once it is loaded, and what the browser said meanwhile. All its processes have ended.
func (b *browser) open(address string, quic bool, origin string) (page, said string) {
	b.t.Helper()
	args := append(b.flags(), "--timeout=120000", "--dump-dom")
	if quic {
		args = append(args, "--origin-to-force-quic-on="+origin)
	}
	cmd := exec.Command(b.program, append(args, address)...)
	cmd.Dir, cmd.WaitDelay = b.home, 10*time.Second
	cmd.Env = b.environment()
	p := start(b.t, cmd)
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }() // no group is left when all went well
	if code := p.wait(4 * time.Minute); code != 0 {
		b.t.Fatalf("Chromium: exit %d\n%s", code, tail(p.errs.String()))
	}
	eventually(b.t, 10*time.Second, "the browser's processes end", func() bool { return len(b.processes()) == 0 })
	return p.out.String(), p.errs.String()
}

// processes are those that were started with something in the browser's home. The crash reporters leave the group, so the group does not tell.
func (b *browser) processes() (pids []int) {
	b.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), b.home+"/") {
			continue // it ended while we looked
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}
