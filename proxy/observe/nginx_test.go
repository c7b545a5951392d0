package observe_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// startNginx runs a real nginx that logs in its predefined combined format and returns its address, and a function that ends it and returns its log.
func startNginx(t *testing.T) (string, func() string) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		for _, path := range []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx"} {
			if _, err := os.Stat(path); err == nil {
				nginx = path
			}
		}
	}
	if nginx == "" {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs nginx (make deps)")
		}
		t.Skip("skipped: needs nginx (make deps)")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	conf := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events {} http { access_log %[1]s/access.log combined; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f;
uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/c; server { listen unix:%[2]s; location / { return 200 "hello"; } } }`, dir, socket)
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), nginx, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", filepath.Join(dir, "error.log"))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			tick.Stop()
			break
		}
		if time.Now().After(deadline) {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("nginx does not answer: %s", output.String())
		}
	}
	return socket, func() string {
		if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("nginx: %v: %s", err, output.String())
		}
		return string(readFile(t, filepath.Join(dir, "access.log")))
	}
}

var combinedTime = regexp.MustCompile(`\[[^]]*\]`)

// The same requests, hostile bytes included, logged by a real nginx and by us: byte for byte the same but for the client (a Unix socket has none) and the time.
func TestCombinedAgainstNginx(t *testing.T) {
	socket, stop := startNginx(t)
	var every []byte // each byte that a header value can carry
	for c := 1; c < 256; c++ {
		if c != '\n' && c != '\r' {
			every = append(every, byte(c))
		}
	}
	bearable := bytes.Trim(every, " ")
	entries := []observe.Entry{
		{Target: []byte("/"), UserAgent: []byte("curl/8")},
		{Target: []byte("/a?b=c%20d&e"), Referer: []byte("http://x/?q=1"), UserAgent: bearable},
		{Target: []byte("/\x80\xff\"'<>\\|^`{}~"), Referer: bearable},
		{Target: []byte("/é€😀?\xc3\x28"), UserAgent: []byte(`"`)},
		{Target: []byte("/"), UserAgent: []byte(`\`), Referer: []byte(`\x22`)},
		{Target: []byte("/"), UserAgent: []byte("-"), Referer: []byte("a\tb")},
	}
	var want []string
	for i := range entries {
		e := &entries[i]
		e.Method, e.Proto, e.Status, e.BytesOut = message.GET, message.HTTP11, 200, 5
		if i%2 == 1 {
			e.Method, e.BytesOut = message.HEAD, 0
		}
		ask(t, socket, e)
		want = append(want, combinedTime.ReplaceAllString(logged(t, observe.Combined, *e), "[]"))
	}
	got := strings.ReplaceAll(combinedTime.ReplaceAllString(stop(), "[]"), "unix: - ", "- - ")
	// The probe that waited for the start sent nothing, and nginx logs nothing for it.
	if diff := cmp.Diff(strings.Join(want, ""), got); diff != "" {
		t.Errorf("ours against nginx's (-ours +nginx):\n%s", diff)
	}
}

// ask sends one raw request and reads the whole answer.
func ask(t *testing.T, socket string, e *observe.Entry) {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", e.Method, e.Target)
	if e.UserAgent != nil {
		fmt.Fprintf(&b, "User-Agent: %s\r\n", e.UserAgent)
	}
	if e.Referer != nil {
		fmt.Fprintf(&b, "Referer: %s\r\n", e.Referer)
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	status, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 200 ") {
		t.Fatalf("%q: %v for %q", status, err, b.String())
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
}

// The time as the standard library writes it, over zones and days.
func TestCombinedTime(t *testing.T) {
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 5*3600+45*60), time.FixedZone("", -9*3600-30*60), time.FixedZone("", 14*3600)} {
		for day := 0; day < 800; day += 37 {
			at := time.Date(2023, 12, 30, 23, 59, 58, 999999999, time.UTC).Add(time.Duration(day) * 24 * time.Hour).Add(time.Duration(day) * 61 * time.Minute).In(zone)
			e := observe.Entry{Time: at, Client: netip.MustParseAddr("192.0.2.1"), Status: 200}
			if line, want := logged(t, observe.Combined, e), at.Format("[02/Jan/2006:15:04:05 -0700]"); !strings.Contains(line, " - - "+want+" ") {
				t.Errorf("%s lacks %s", line, want)
			}
			if line, want := logged(t, observe.JSON, e), at.UTC().Format(`"2006-01-02T15:04:05.000000Z"`); !strings.HasPrefix(line, `{"@timestamp":`+want) {
				t.Errorf("%s lacks %s", line, want)
			}
		}
	}
}
