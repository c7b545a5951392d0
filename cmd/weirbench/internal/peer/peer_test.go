package peer_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// need skips the test without the program, unless all tests are required.
func need(t *testing.T, n peer.Name) string {
	t.Helper()
	path, err := peer.Binary(n, "")
	if err == nil {
		return path
	}
	if os.Getenv("WEIR_TEST_ALL") == "1" {
		t.Fatal(err)
	}
	t.Skipf("skipped: needs %s (make deps)", n)
	return ""
}

func jobs(t *testing.T) map[string]peer.Job {
	t.Helper()
	cert, err := peer.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	one := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9001")}
	three := append(one, netip.MustParseAddrPort("127.0.0.1:9002"), netip.MustParseAddrPort("127.0.0.1:9003"))
	base := peer.Job{
		Listen: netip.MustParseAddrPort("127.0.0.1:9000"), Origins: one,
		Admin: netip.MustParseAddrPort("127.0.0.1:9004"), Files: 4096,
	}
	all := map[string]peer.Job{"plain": base}
	logged, secure, h2, slow, both := base, base, base, base, base
	web := base
	if web.Web, err = peer.NewWeb(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	all["web"] = web
	logged.Log = true
	secure.TLS = cert
	h2.TLS, h2.H2 = cert, true
	slow.Origins = three
	both.Log, both.TLS, both.Origins = true, cert, three
	both.H2 = true
	all["log"], all["tls"], all["h2"], all["three origins"], all["everything"] = logged, secure, h2, slow, both
	return all
}

// The peers' own checkers accept every configuration, without a warning.
func TestPeersAcceptTheirConfigurations(t *testing.T) {
	for _, n := range []peer.Name{peer.Nginx, peer.HAProxy} {
		t.Run(string(n), func(t *testing.T) {
			binary := need(t, n)
			for name, job := range jobs(t) {
				t.Run(name, func(t *testing.T) {
					dir := t.TempDir()
					conf := filepath.Join(dir, "conf")
					if err := os.WriteFile(conf, []byte(job.Config(n, dir)), 0o600); err != nil {
						t.Fatal(err)
					}
					args := []string{"-t", "-q", "-e", filepath.Join(dir, "error.log"), "-p", dir, "-c", conf}
					if n == peer.HAProxy {
						args = []string{"-c", "-q", "-dW", "-f", conf} // -dW: a warning is an error
					}
					out, err := exec.Command(binary, args...).CombinedOutput()
					if err != nil || strings.Contains(string(out), "warn") {
						t.Errorf("%v: %s\n%s", err, out, job.Config(n, dir))
					}
				})
			}
		})
	}
}

// weir's own checker accepts every configuration. It is built from the tree the bench is in, by the
// module above this one.
func TestWeirAcceptsItsConfigurations(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "weir")
	if out, err := exec.Command("go", "build", "-C", "../../../..", "-o", binary, "./cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v: %s", err, out)
	}
	for name, job := range jobs(t) {
		t.Run(name, func(t *testing.T) {
			conf := filepath.Join(t.TempDir(), "weir.toml")
			if err := os.WriteFile(conf, []byte(job.Config(peer.Weir, dir)), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(binary, "check", "-c", conf).CombinedOutput(); err != nil || strings.Contains(string(out), "warn") {
				t.Errorf("%v: %s\n%s", err, out, job.Config(peer.Weir, dir))
			}
		})
	}
}

// What makes weir's work the same as the peers' is in its file.
func TestWeirConfigurationFollowsTheContract(t *testing.T) {
	all := jobs(t)
	for name, want := range map[string][]string{
		"plain":         {"[[listener]]", `address = "127.0.0.1:9000"`, `access = "off"`, `targets = ["127.0.0.1:9001"]`, `state_dir = "/d/state"`},
		"log":           {`access = "json"`, `output = "/d/access.log"`},
		"tls":           {"tls = true", `min_version = "1.3"`, "[[tls.certificate]]", `cert = "` + all["tls"].TLS.Cert, `key = "` + all["tls"].TLS.Key},
		"h2":            {"tls = true\n\n[tls]"},
		"three origins": {`targets = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]`},
	} {
		text := all[name].Config(peer.Weir, "/d")
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %s in\n%s", name, w, text)
			}
		}
		if offers := strings.Contains(text, `protocols = ["http/1.1"]`); offers != (name == "tls") {
			t.Errorf("%s: only HTTP/1.1 is offered: %v", name, offers)
		}
		if strings.Contains(text, "balance") {
			t.Errorf("%s: the policy must be the default", name)
		}
	}
}

func TestProxiesServeAlike(t *testing.T) {
	need(t, peer.Nginx)
	files, err := proc.RaiseFiles()
	if err != nil {
		t.Fatal(err)
	}
	origin, err := peer.StartOrigin(t.Context(), t.TempDir(), proc.AnyCore, files)
	if err != nil {
		t.Fatal(err)
	}
	stopAfter(t, origin)
	cert, err := peer.NewCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []peer.Name{peer.Nginx, peer.HAProxy} {
		for _, kind := range []string{"plain", "tls", "h2"} {
			t.Run(fmt.Sprintf("%s/%s", n, kind), func(t *testing.T) {
				binary := need(t, n)
				listen, err := peer.FreeAddr()
				if err != nil {
					t.Fatal(err)
				}
				job := peer.Job{Listen: listen, Origins: []netip.AddrPort{origin.Addr}, Files: files, Log: true}
				base := "http://" + listen.String()
				if kind != "plain" {
					job.TLS, base = cert, "https://"+listen.String()
				}
				job.H2 = kind == "h2"
				r, err := peer.Start(t.Context(), peer.Program{Name: n, Binary: binary, Dir: t.TempDir(), Core: proc.AnyCore}, job)
				if err != nil {
					t.Fatal(err)
				}
				stopAfter(t, r)
				checkServes(t, base, listen.String(), job.H2)
				if d, err := r.CPU(); err != nil || d <= 0 {
					t.Errorf("CPU = %v, %v", d, err)
				}
			})
		}
	}
}

func stopAfter(t *testing.T, r *peer.Running) {
	t.Helper()
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(-r.PID(), 0); err != syscall.ESRCH {
			t.Errorf("its process group is not empty: %v", err)
		}
	})
}

// checkServes always offers HTTP/2: a job without it must not speak it.
func checkServes(t *testing.T, base, host string, h2 bool) {
	t.Helper()
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	get := func(method, path, body string) string {
		req, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s %s: %d, %v", method, path, res.StatusCode, err)
		}
		if h2 != (res.ProtoMajor == 2) {
			t.Errorf("%s %s: %s", method, path, res.Proto)
		}
		if res.TLS != nil && (res.TLS.Version != tls.VersionTLS13 || res.TLS.CipherSuite != tls.TLS_AES_128_GCM_SHA256) {
			t.Errorf("negotiated %#x, cipher %#x", res.TLS.Version, res.TLS.CipherSuite)
		}
		return string(text)
	}
	if got := get("GET", peer.PathSmall, ""); got != peer.Answer {
		t.Errorf("small answer %q", got)
	}
	if got := get("POST", peer.PathSink, strings.Repeat("x", 64<<10)); got != "taken" {
		t.Errorf("sink answered %q", got)
	}
	if got := len(get("GET", peer.Path1M, "")); got != 1<<20 {
		t.Errorf("1 MiB body has %d bytes", got)
	}
	echo := get("GET", peer.PathEcho, "")
	scheme, _, _ := strings.Cut(base, ":")
	for _, want := range []string{"x-forwarded-for: 127.0.0.1\n", "x-forwarded-proto: " + scheme + "\n", "x-forwarded-host: " + host + "\n"} {
		if !strings.Contains(echo, want) {
			t.Errorf("origin did not get %q:\n%s", want, echo)
		}
	}
	if strings.Contains(echo, "x-request-id: \n") {
		t.Errorf("origin got no request id:\n%s", echo)
	}
}

func TestStartReportsWhatTheServerSaid(t *testing.T) {
	binary := need(t, peer.HAProxy)
	job := jobs(t)["plain"]
	job.Files = 4096
	job.TLS = &peer.Certificate{Both: "/does/not/exist.pem"}
	program := peer.Program{Name: peer.HAProxy, Binary: binary, Dir: t.TempDir(), Core: proc.AnyCore}
	_, err := peer.Start(t.Context(), program, job)
	if err == nil || !strings.Contains(err.Error(), "does/not/exist") {
		t.Errorf("Start = %v", err)
	}
}

func TestBinarySaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for n, want := range map[peer.Name]string{peer.Nginx: "make deps", peer.HAProxy: "make deps", peer.Weir: "make build"} {
		if _, err := peer.Binary(n, "no/such/weir"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", n, err)
		}
	}
}

func TestSlowOriginTakesItsTimeAndCounts(t *testing.T) {
	o, err := peer.StartSlowOrigin(30 * time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	res, err := http.Get("http://" + o.Addr.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(text) != peer.Answer || o.Served() != 1 {
		t.Errorf("%q, %v, served %d", text, err, o.Served())
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := o.Stop(ctx); err != nil {
		t.Error(err)
	}
}
