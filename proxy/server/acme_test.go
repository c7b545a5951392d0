package server_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/proxy/server"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// instance is a weir in this process, run from a file.
type instance struct {
	t                  *testing.T
	ca                 *pebbletest.CA
	file, state        string
	http, https, admin string
	backend            string
	protocols          string // the TLS listener's line; "": the default
	resolver           string // "": the CA's
	extra              string // at the end of the file
	direct             bool   // the plain listener serves instead of redirecting

	signals chan os.Signal
	exit    chan int
	output  *output
}

// output is what Run prints, for when it fails.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	dir := t.TempDir()
	i := &instance{t: t, file: filepath.Join(dir, "weir.toml"), state: filepath.Join(dir, "state"),
		http: porttest.Reserve(t), https: porttest.Reserve(t), admin: porttest.Reserve(t)}
	i.ca = pebbletest.New(t, pebbletest.Options{HTTPPort: int(netip.MustParseAddrPort(i.http).Port()), TLSPort: int(netip.MustParseAddrPort(i.https).Port())})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello "+r.Host) }))
	t.Cleanup(backend.Close)
	i.backend = backend.Listener.Addr().String()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.ca.Own.Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), root, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.stop() })
	return i
}

func (i *instance) write(acme string, hosts ...string) {
	i.t.Helper()
	quoted, _ := json.Marshal(hosts)
	if !strings.Contains(acme, "profile = ") {
		acme = "profile = \"default\"\n" + acme // the CA deals out either to who names none
	}
	redirect := `redirect = "https"`
	if i.direct {
		redirect = ""
	}
	text := fmt.Sprintf(`[admin]
address = %q
state_dir = %q
[log]
output = %q
[tls.acme]
directory = %q
root_ca = "ca.pem"
resolvers = %q
%s
[[listener]]
name = "http"
address = %q
%s
[[listener]]
name = "https"
address = %q
tls = true
%s
[[route]]
host = %s
service = "api"
[service.api.group.blue]
targets = [%q]
`, i.admin, i.state, filepath.Join(filepath.Dir(i.file), "log"), i.ca.Directory, cmp.Or(i.resolver, i.ca.Resolver), acme, i.http, redirect, i.https, i.protocols, quoted, i.backend)
	if err := os.WriteFile(i.file, []byte(text+i.extra), 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// run returns when every listener accepts.
func (i *instance) run() {
	i.t.Helper()
	i.signals, i.exit, i.output = make(chan os.Signal, 1), make(chan int, 1), &output{}
	ready := make(chan struct{})
	go func() {
		i.exit <- server.Run(context.Background(), server.Options{
			ConfigPath: i.file, DrainTimeout: 60 * time.Second, Stdout: i.output, Stderr: i.output,
			Ready: func(*server.Server) { close(ready) },
		}, i.signals)
	}()
	select {
	case <-ready:
	case code := <-i.exit:
		i.exit = nil
		i.t.Fatalf("exit %d: %s", code, i.output)
	}
}

func (i *instance) stop() {
	if i.exit == nil {
		return
	}
	i.signals <- syscall.SIGTERM
	if code := <-i.exit; code != 0 {
		i.t.Errorf("exit %d: %s", code, i.output)
	}
	i.exit = nil
}

// client asks the edge's TLS listener whatever the URL's host, and trusts what the CA issues.
func (i *instance) client() *http.Client {
	return &http.Client{
		Timeout:       60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: i.ca.Issued},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				to := i.http
				if strings.HasSuffix(address, ":443") {
					to = i.https
				}
				return new(net.Dialer).DialContext(ctx, network, to)
			},
		},
	}
}

// serial is that of the certificate with which host was served, after the request got through to the backend.
func (i *instance) serial(host string) string {
	i.t.Helper()
	resp, err := i.client().Get("https://" + host + "/")
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(body) != "hello "+host {
		i.t.Fatalf("%s: %d %q %v", host, resp.StatusCode, body, err)
	}
	return resp.TLS.PeerCertificates[0].SerialNumber.Text(16)
}

func (i *instance) ask(method, path string, into any) int {
	i.t.Helper()
	req, err := http.NewRequest(method, "http://"+i.admin+path, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		i.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		i.t.Fatal(err)
	}
	if text, ok := into.(*string); ok {
		*text = string(data)
	} else if err := json.Unmarshal(data, into); err != nil {
		i.t.Fatalf("%s: %v: %s", path, err, data)
	}
	return resp.StatusCode
}

// await polls GET /v1/certificates until every named host is in the state.
func (i *instance) await(state string, hosts ...string) map[string]admin.Certificate {
	i.t.Helper()
	limit := time.After(90 * time.Second)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for {
		var list []admin.Certificate
		i.ask("GET", "/v1/certificates", &list)
		found := map[string]admin.Certificate{}
		for _, c := range list {
			if c.State == state {
				found[c.Subject] = c
			}
		}
		missing := false
		for _, h := range hosts {
			missing = missing || found[h].Subject == ""
		}
		if !missing {
			return found
		}
		select {
		case <-pace.C:
		case <-limit:
			i.t.Fatalf("never %s: %v; now %+v", state, hosts, list)
		}
	}
}

// TestACMEEndToEnd: a file naming two hosts is all it takes; a restart needs no CA, a reload takes a third host in and leaves the others alone.
func TestACMEEndToEnd(t *testing.T) {
	i := newInstance(t)
	i.write("", "one.example.test", "two.example.test")
	i.run()
	i.await("valid", "one.example.test", "two.example.test")
	one, two := i.serial("one.example.test"), i.serial("two.example.test")
	if one == two {
		t.Error("one certificate for both")
	}
	_, port, _ := net.SplitHostPort(i.https)
	for url, want := range map[string]string{
		"http://one.example.test/x?y=1":                           "308 https://one.example.test:" + port + "/x?y=1",
		"http://evil.example.test/":                               "404 ",
		"http://one.example.test/.well-known/acme-challenge/none": "308 https://one.example.test:" + port + "/.well-known/acme-challenge/none",
	} {
		resp, err := i.client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Location")); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	i.stop()

	asked := i.ca.Requests.Load()
	i.ca.Down(true)
	i.run()
	if i.serial("one.example.test") != one || i.serial("two.example.test") != two || i.ca.Requests.Load() != asked {
		t.Errorf("after a restart other certificates, or %d questions to the CA", i.ca.Requests.Load()-asked)
	}

	var before time.Time
	eventually(t, "after the restart the next check is known", func() bool { // valid it is at once, from the store
		before = i.await("valid", "one.example.test")["one.example.test"].NextAttempt
		return !before.IsZero()
	})
	i.write("", "one.example.test", "two.example.test", "three.example.test")
	var result map[string]any
	if status := i.ask("POST", "/v1/reload", &result); status != 200 {
		t.Fatalf("reload: %d %v", status, result)
	}
	failed := i.await("failed", "three.example.test")["three.example.test"]
	if !strings.Contains(failed.Error, "503") || failed.NextAttempt.IsZero() || !failed.NotAfter.IsZero() {
		t.Errorf("tells %+v", failed)
	}
	if i.serial("one.example.test") != one {
		t.Error("a reload changed the certificate of a host that was there before")
	}
	if after := i.await("valid", "one.example.test")["one.example.test"].NextAttempt; !after.Equal(before) {
		t.Errorf("a reload that left [tls.acme] alone began it anew: next check %v, was %v", after, before)
	}
	// The CA is back; another contact makes another source of certificates, which takes the old ones over and does not wait for the old one's pause.
	i.ca.Down(false)
	i.write(`email = "ops@example.com"`, "one.example.test", "three.example.test")
	if status := i.ask("POST", "/v1/reload", &result); status != 200 {
		t.Fatalf("reload: %d %v", status, result)
	}
	i.await("valid", "one.example.test", "three.example.test")
	if i.serial("one.example.test") != one {
		t.Error("another source did not take over what there was")
	}
	i.serial("three.example.test")
	var metrics string
	i.ask("GET", "/metrics", &metrics)
	for _, want := range []string{`_timestamp_seconds{subject="one.example.test"}`, `_timestamp_seconds{subject="three.example.test"}`} {
		for _, name := range []string{"weir_tls_certificate_not_before", "weir_tls_certificate_not_after"} {
			if !strings.Contains(metrics, name+want) {
				t.Errorf("no metric %s with %s", name, want)
			}
		}
	}
	if strings.Contains(metrics, `{subject="two.example.test"}`) {
		t.Error("a metric of a host that is gone")
	}

	i.direct = true
	i.write(`email = "ops@example.com"`, "one.example.test", "three.example.test")
	if status := i.ask("POST", "/v1/reload", &result); status != 200 {
		t.Fatalf("reload: %d %v", status, result)
	}
	resp, err := i.client().Get("http://three.example.test/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a listener that no longer redirects answers %s", resp.Status)
	}

	i.write("", "one.example.test", "*.example.test")
	var problem struct{ Errors []admin.Detail }
	if status := i.ask("POST", "/v1/reload", &problem); status != 422 {
		t.Errorf("reload with a wildcard: %d %+v", status, problem)
	}
	i.serial("three.example.test")
}

// TestACMECannotStart: a start that fails says why and leaves nothing open.
func TestACMECannotStart(t *testing.T) {
	i := newInstance(t)
	i.write("", "one.example.test")
	// The folder for certificates cannot be made where a file is.
	if err := os.MkdirAll(i.state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(i.state, "certificates"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr output
	code := server.Run(context.Background(), server.Options{ConfigPath: i.file, Stdout: io.Discard, Stderr: &stderr}, nil)
	if code != 1 || !strings.Contains(stderr.String(), "prepare acme") {
		t.Errorf("exit %d: %s", code, &stderr)
	}
	for _, address := range []string{i.http, i.https, i.admin} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("still bound: %v", err)
			continue
		}
		_ = l.Close()
	}
}
