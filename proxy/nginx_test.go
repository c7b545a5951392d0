package proxy_test

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write golden files")

// TestNginxAccepts sends what we refuse to nginx in front of an upstream, and holds the list of what it lets through: where our strictness differs from what
// people are used to, for better or worse.
func TestNginxAccepts(t *testing.T) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs nginx (make deps)")
		}
		t.Skip("skipped: needs nginx (make deps)")
	}
	socket := startNginx(t, program)
	all := corpus(t, "requests.txt")
	verdicts := make([]string, len(all))
	var wait sync.WaitGroup
	for i, s := range all {
		if status, _ := s.verdict(); status == 0 || len(s.heard) > 1 {
			continue
		}
		wait.Go(func() { verdicts[i] = nginxSays(socket, s.raw) })
	}
	wait.Wait()
	var report strings.Builder
	report.WriteString("Requests that Weir refuses and nginx (Debian's, default settings, proxy_pass) lets through: nginx's status, our reason, the case in http1/testdata/requests.txt.\n\n")
	for i, s := range all {
		if strings.HasPrefix(verdicts[i], "2") {
			why := s.heard[0]
			if _, in, ok := strings.Cut(why, " then "); ok {
				why = in
			}
			fmt.Fprintf(&report, "%s  %s: %s\n", verdicts[i], why, s.name)
		}
	}
	const golden = "testdata/nginx-accepts.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(report.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if report.String() != string(want) {
		t.Errorf("differs from %s (another nginx? go test -run Nginx -update):\n%s", golden, report.String())
	}
}

// nginxSays is the status of the first answer to raw, or what comes instead of one.
func nginxSays(socket, raw string) string {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patienceOfTests))
	go func() { _, _ = io.WriteString(c, raw) }() // it may stop reading before the end
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || len(line) < 12 {
		return "no answer"
	}
	return line[9:12]
}

// startNginx runs nginx on a socket in front of an upstream that answers 204 to everything, until the test ends.
func startNginx(t *testing.T, program string) (socket string) {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "up"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_ = c.SetDeadline(time.Now().Add(patienceOfTests))
				r := bufio.NewReader(c)
				for line := ""; line != "\r\n"; {
					if line, err = r.ReadString('\n'); err != nil {
						break
					}
				}
				_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
				_ = c.Close()
			}()
		}
	}()
	conf := strings.ReplaceAll(`daemon off; master_process off; pid DIR/pid; error_log stderr notice;
events { worker_connections 1024; }
http {
  access_log off; client_body_timeout 2s; client_header_timeout 2s;
  client_body_temp_path DIR/1; proxy_temp_path DIR/2; fastcgi_temp_path DIR/3; uwsgi_temp_path DIR/4; scgi_temp_path DIR/5;
  server { listen unix:DIR/s; location / { proxy_pass http://unix:DIR/up; } }
}
`, "DIR", dir)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), program, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "conf"))
	run.WaitDelay = 5 * time.Second
	stderr, err := run.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), "OS: ") { // said once it listens
	}
	drained := make(chan struct{})
	go func() {
		for lines.Scan() {
		}
		close(drained)
	}()
	t.Cleanup(func() {
		<-drained
		_ = run.Wait() // killed at the end of the test: its error says that
	})
	return filepath.Join(dir, "s")
}
