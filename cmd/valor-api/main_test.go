package main_test

import (
	"bufio"
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
)

// built is the path of the binary under test, written once by TestMain.
var built string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "valor-api")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "valor-api")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=v9.8.7", "-o", built, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// instance is one running process.
type instance struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
	// logs belongs to the reading goroutine until exited is closed, which is when the process is gone.
	logs      []string
	exited    chan struct{}
	listening chan string // gets the address
}

// start runs the binary and waits for its "listening" line, or for its end.
func start(t *testing.T, database string, env ...string) *instance {
	t.Helper()
	i := launch(t, database, env...)
	i.await()
	return i
}

// launch starts the process; await waits for it. They are apart so that two can start together.
func launch(t *testing.T, database string, env ...string) *instance {
	t.Helper()
	i := &instance{t: t, exited: make(chan struct{}), listening: make(chan string, 1)}
	// The context kills by SIGKILL at the end of the test, whatever happened before.
	ctx, cancel := context.WithCancel(context.Background())
	i.cmd = exec.CommandContext(ctx, built)
	i.cmd.Env = append([]string{"VALOR_ENV=demo", "VALOR_ADDRESS=127.0.0.1:0",
		"VALOR_DATABASE=file:" + database}, env...)
	out, err := i.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	i.cmd.Stderr = i.cmd.Stdout
	if err := i.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(i.exited)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var entry struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
				i.listening <- entry.Address
			}
			i.logs = append(i.logs, lines.Text())
		}
		i.cmd.Wait() // the state of the process is what counts
	}()
	t.Cleanup(func() { cancel(); <-i.exited })
	return i
}

func (i *instance) await() {
	i.t.Helper()
	select {
	case address := <-i.listening:
		i.url = "http://" + address
	case <-i.exited:
		i.t.Fatalf("ended before it listened: %s", strings.Join(i.logs, "\n"))
	case <-time.After(2 * time.Minute):
		i.t.Fatal("does not listen")
	}
}

// end sends a signal and returns the exit code.
func (i *instance) end(sig os.Signal) int {
	i.t.Helper()
	if err := i.cmd.Process.Signal(sig); err != nil {
		i.t.Fatal(err)
	}
	<-i.exited
	return i.cmd.ProcessState.ExitCode()
}

// save posts a run and returns its id when it was acknowledged.
func (i *instance) save(ticker string) (string, error) {
	res, err := http.Post(i.url+"/api/runs", "application/json",
		strings.NewReader(`{"inputs": {"ticker": "`+ticker+`"}}`))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var got struct {
		RunID string `json:"run_id"`
	}
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", res.StatusCode)
	}
	return got.RunID, nil
}

func get(url string) (int, string, error) {
	res, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}

func TestVersionAndUsage(t *testing.T) {
	out, err := exec.Command(built, "version").Output()
	if err != nil || string(out) != "valor-api v9.8.7\n" {
		t.Errorf("version: %q, %v", out, err)
	}
	var exit *exec.ExitError
	if err := exec.Command(built, "frobnicate").Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("usage: %v", err)
	}
}

func TestWebWritesTheFrontEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "web")
	out, err := exec.Command(built, "web", "--out", dir).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), " files in "+dir+"\n") {
		t.Fatalf("%v: %s", err, out)
	}
	index, err := os.ReadFile(filepath.Join(dir, "index.html"))
	if err != nil || !strings.Contains(string(index), "<title>Valor IVX</title>") {
		t.Errorf("%v: %s", err, index)
	}
	for _, args := range [][]string{{"web"}, {"web", "--out"}, {"web", "--out", ""}, {"web", dir}, {"web", "--out", dir, "more"}} {
		var exit *exec.ExitError
		if err := exec.Command(built, args...).Run(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%q: %v", args, err)
		}
	}
	var exit *exec.ExitError
	if out, err := exec.Command(built, "web", "--out", filepath.Join(dir, "index.html")).CombinedOutput(); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "write web tree") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBadEnvironmentEndsWithEveryReason(t *testing.T) {
	cmd := exec.Command(built)
	cmd.Env = []string{"VALOR_DATABASE=oracle://h/db", "VALOR_ENV=production"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "VALOR_DATABASE: the value is neither") ||
		!strings.Contains(string(out), "VALOR_JWT_SECRET") {
		t.Errorf("%v: %s", err, out)
	}
}

// Blue and green start at the same moment on a file that does not exist yet, as the demo does.
func TestTwoProcessesStartTogether(t *testing.T) {
	for round := range 20 {
		startTogether(t, round, databases{path: filepath.Join(t.TempDir(), "shared.db")})
	}
}

func startTogether(t *testing.T, round int, d databases) {
	t.Helper()
	blue := launch(t, d.path, append(d.env(), "VALOR_COLOR=blue")...)
	green := launch(t, d.path, append(d.env(), "VALOR_COLOR=green")...)
	for _, i := range []*instance{blue, green} {
		i.await()
		if _, err := i.save("AAPL"); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	code, list, err := get(blue.url + "/api/runs")
	if err != nil || code != 200 || !strings.Contains(list, `"total":2`) {
		t.Fatalf("round %d: %d %s, %v", round, code, list, err)
	}
	for _, i := range []*instance{blue, green} {
		if code := i.end(syscall.SIGTERM); code != 0 {
			t.Fatalf("round %d: exit %d: %s", round, code, strings.Join(i.logs, "\n"))
		}
	}
}

// underWay is a request whose last byte is still to be sent.
type underWay struct {
	conn net.Conn
	last string
}

// slow is an instance with one request under way, for as long as the test likes.
func slow(t *testing.T) (*instance, *underWay) {
	t.Helper()
	i := start(t, filepath.Join(t.TempDir(), "x.db"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, "POST /api/dcf HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	for { // until the metrics show it beside the scrape itself
		_, body, err := get(i.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(body, "\nvalor_http_requests_in_flight 2\n") {
			return i, &underWay{conn, "}"}
		}
	}
}

// end sends the rest and reads the answer.
func (u *underWay) end() error {
	if _, err := io.WriteString(u.conn, u.last); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(u.conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s, %v", res.Status, err)
	}
	return nil
}

func TestTermFinishesWhatItBegan(t *testing.T) {
	t.Parallel()
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(fmt.Sprint(sig), func(t *testing.T) {
			t.Parallel()
			i, request := slow(t)
			if err := i.cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			for { // until nobody else comes in
				conn, err := net.Dial("tcp", strings.TrimPrefix(i.url, "http://"))
				if err != nil {
					break
				}
				conn.Close()
			}
			if err := request.end(); err != nil {
				t.Errorf("the request under way: %v", err)
			}
			<-i.exited
			if code := i.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit %d: %s", code, strings.Join(i.logs, "\n"))
			}
		})
	}
}

func TestDrainDeadline(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the drain deadline, 10 s")
	}
	t.Parallel()
	i, request := slow(t)
	if code := i.end(syscall.SIGTERM); code != 3 {
		t.Errorf("exit %d, want 3: %s", code, strings.Join(i.logs, "\n"))
	}
	if err := request.end(); err == nil {
		t.Error("a request longer than the deadline was answered")
	}
}

func TestColorsAndFaults(t *testing.T) {
	database := filepath.Join(t.TempDir(), "x.db")
	good := start(t, database, "VALOR_COLOR=blue")
	bad := start(t, database, "VALOR_COLOR=green", "VALOR_FAULT_ERRORS=1")
	for i, want := range map[*instance]int{good: 200, bad: 500} {
		res, err := http.Post(i.url+"/api/dcf", "application/json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		color := "blue"
		if i == bad {
			color = "green"
		}
		if res.StatusCode != want || res.Header.Get("X-Valor-Color") != color {
			t.Errorf("%s: %d from %q", color, res.StatusCode, res.Header.Get("X-Valor-Color"))
		}
		if code, body, err := get(i.url + "/api/health"); err != nil || code != 200 ||
			!strings.Contains(body, `"version":"v9.8.7","color":"`+color+`"`) {
			t.Errorf("%s health: %d %s, %v", color, code, body, err)
		}
	}
}
