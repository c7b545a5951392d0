package main

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestE2EHealth: liveness, readiness and the health check of a weir that has a token, on a unix socket: ready, stopping, gone.
func TestE2EHealth(t *testing.T) {
	t.Parallel()
	dir, b := folder(t), newBackend(t, "blue")
	c := newConf(dir, b.address, "127.0.0.1:1")
	c.admin += "token = \"a-token\"\n"
	e := run(t, dir, c)
	check := func(token string, args ...string) (string, int) {
		t.Helper()
		return command(t, dir, []string{"WEIR_ADMIN=unix://" + e.socket, "WEIR_ADMIN_TOKEN=" + token}, append([]string{"healthcheck"}, args...)...)
	}
	if out, code := check("a-token"); code != 0 || out != "[+]config ok: generation 1\n[+]listeners ok: 1 open\n[+]not_draining ok\nok\n" {
		t.Errorf("with the token: exit %d, %q", code, out)
	}
	for _, token := range []string{"", "another"} { // readiness is no secret, its details are
		if out, code := check(token); code != 0 || out != "ok\n" {
			t.Errorf("with token %q: exit %d, %q", token, code, out)
		}
	}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/readyz?verbose": 401, "/livez?verbose": 200, "/v1/status": 401} {
		if status, _, body := e.try("GET", path, ""); status != want {
			t.Errorf("GET %s without a token: %d %s, want %d", path, status, body, want)
		}
	}
	e.token = "a-token"
	held := slowRequest(t, e, b, held)
	e.signal(syscall.SIGTERM)
	eventually(t, 10*time.Second, "it is not ready", func() bool {
		status, _, _ := e.try("GET", "/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	if out, code := check("a-token"); code != 1 || out != "[+]config ok: generation 1\n[-]listeners failed: closed\n[-]not_draining failed: stopping\nnot ready\n" {
		t.Errorf("while it stops: exit %d, %q", code, out)
	}
	if out, code := check(""); code != 1 || out != "not ready\n" {
		t.Errorf("while it stops, without a token: exit %d, %q", code, out)
	}
	if status, _, _ := e.try("GET", "/livez", ""); status != http.StatusOK {
		t.Errorf("not ready must not mean not alive: %d", status)
	}
	b.letGo()
	if a := <-held; a.err != nil || a.status != http.StatusOK {
		t.Errorf("the request in flight: %+v", a)
	}
	if code := e.wait(60 * time.Second); code != 0 {
		t.Errorf("exit %d", code)
	}
	if out, code := check("a-token"); code != 1 || !strings.Contains(out, e.socket) {
		t.Errorf("when it is gone: exit %d, %q", code, out)
	}
}

// TestE2EHealthOfOthers: whoever accepts and says nothing, or answers something else, is no healthy weir.
func TestE2EHealthOfOthers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	listen := func(name string) net.Listener {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	listen("silent") // the kernel accepts for it
	other := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<h1>It works!</h1>") })}
	l := listen("other")
	served := make(chan error, 1)
	go func() { served <- other.Serve(l) }()
	t.Cleanup(func() { _ = other.Close(); <-served })
	for _, c := range []struct{ name, timeout, want string }{{"silent", "500ms", "deadline exceeded"}, {"other", "1m", "is not weir"}, {"nobody", "1m", "nobody"}} {
		out, code := command(t, dir, []string{"WEIR_ADMIN=unix://" + filepath.Join(dir, c.name)}, "healthcheck", "--timeout", c.timeout)
		if code != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%s: exit %d, %q does not say %q", c.name, code, out, c.want)
		}
	}
}
