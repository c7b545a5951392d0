package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"github.com/valor-ivx/weir/proxy/admin"
)

// systemctl is as much of systemd as deploy.sh uses, with real processes: a unit's program is stopped by TERM, waited for, and started again.
const systemctl = `set -eu
# A process that has ended and that nobody has asked about has ended all the same: its parent may be one that never asks.
alive() { [ -e "/proc/$1/status" ] && ! grep -q '^State:.Z' "/proc/$1/status"; }
colour=${2#valor-api@} colour=${colour%.service}
if [ "$1" = --quiet ]; then colour=${3#valor-api@} colour=${colour%.service} && [ -e "$UNITS/$colour.pid" ] && alive "$(cat "$UNITS/$colour.pid")"; exit; fi
echo "$@" >>"$UNITS/record"
if [ -e "$UNITS/$colour.pid" ]; then pid=$(cat "$UNITS/$colour.pid"); kill -TERM "$pid" 2>/dev/null && while alive "$pid"; do sleep 0.05; done; fi
. "$UNITS/$colour.env"
cd "$UNITS"
VALOR_COLOR=$colour nohup "$UNITS/$colour/valor-api" >>"$UNITS/$colour.log" 2>&1 3>&- &
echo $! >"$UNITS/$colour.pid"
`

// host is one machine with weir and two colours of the real API as units, and versions of it to be shipped.
type host struct {
	*edge
	t     *testing.T
	units string
	env   []string
	user  *collaborators
}

func newHost(t *testing.T) *host {
	t.Helper()
	for _, program := range []string{"bash", "jq", "curl"} {
		needs(t, program)
	}
	dir := folder(t)
	h := &host{t: t, units: filepath.Join(dir, "units")}
	bin := filepath.Join(dir, "bin")
	for _, d := range []string{bin, filepath.Join(h.units, "releases")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script(t, filepath.Join(bin, "systemctl"), systemctl)
	c := newConf(dir, freeAddress(t), freeAddress(t))
	c.service = strings.Replace(sureHealth, "/ready", "/api/readiness", 1) + swift
	c.routes += "headers = \"basic\"\n"
	ca := openCA(t)
	save(t, filepath.Join(dir, "pair.pem"), leafPEM(t, ca))
	c.listeners += "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\n"
	c.tls = "[[tls.certificate]]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n"
	for colour, address := range map[string]string{"blue": c.blues[0], "green": c.greens[0]} {
		save(t, filepath.Join(h.units, colour+".env"), fmt.Sprintf("export VALOR_ENV=demo VALOR_ADDRESS=%s VALOR_DRAIN_DELAY=100ms VALOR_DATABASE=file:%s/valor.db VALOR_JWT_SECRET=%s\n", address, h.units, strings.Repeat("s", 64)))
	}
	programs := programs(t)
	h.release("v0", "exec "+programs+"/valor-api")
	h.env = append(os.Environ(), "PATH="+bin+":"+programs+":"+os.Getenv("PATH"), "UNITS="+h.units, "DEPLOY_BY=systemd", "RELEASES="+h.units+"/releases", "WEIR_ADMIN=unix://"+dir+"/admin.sock",
		"READY_TIMEOUT=30s", "DEPLOY_TIMEOUT=2m")
	t.Cleanup(func() {
		for _, colour := range []string{"blue", "green"} {
			b, err := os.ReadFile(filepath.Join(h.units, colour+".pid"))
			if err != nil {
				continue
			}
			var pid int
			if _, err := fmt.Sscan(string(b), &pid); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
			}
		}
	})
	for _, colour := range []string{"blue", "green"} {
		if err := os.Symlink(filepath.Join(h.units, "releases", "v0"), filepath.Join(h.units, colour)); err != nil {
			t.Fatal(err)
		}
		if out, err := h.command(filepath.Join(bin, "systemctl"), "restart", "valor-api@"+colour+".service").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	h.edge = run(t, dir, c)
	h.env = append(h.env, "SMOKE_URL=http://"+h.address("http"))
	h.probed("healthy", "healthy")
	h.user = registered(t, h.edge, ca)
	return h
}

// needs ends a test on a machine without the program, unless that is forbidden.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("WEIR_TEST_ALL") != "" {
			t.Fatalf("needs %s (make deps), and skips are forbidden", program)
		}
		t.Skipf("skipped: needs %s (make deps)", program)
	}
}

// release is a version: what its program does.
func (h *host) release(tag, does string) {
	h.t.Helper()
	dir := filepath.Join(h.units, "releases", tag)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	script(h.t, filepath.Join(dir, "valor-api"), does)
}

func (h *host) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = h.units, h.env
	return cmd
}

// ship runs deploy.sh and holds its exit code; what it said comes back.
func (h *host) ship(want int, env []string, args ...string) string {
	h.t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := h.command(filepath.Join(top, "configs/deploy/deploy.sh"), args...)
	cmd.Env = append(cmd.Env, env...)
	out, _ := cmd.CombinedOutput() // its exit code is what counts
	if code := cmd.ProcessState.ExitCode(); code != want {
		h.t.Fatalf("deploy.sh %q: exit %d, not %d:\n%s", args, code, want, out)
	}
	return string(out)
}

// traffic is which colour has all of it.
func (h *host) traffic() string {
	h.t.Helper()
	for name, w := range h.status().Services[0].Weights() {
		if w == 10000 {
			return name
		}
	}
	return ""
}

// version is what a colour runs.
func (h *host) version(colour string) string {
	h.t.Helper()
	to, err := os.Readlink(filepath.Join(h.units, colour))
	if err != nil {
		h.t.Fatal(err)
	}
	return filepath.Base(to)
}

// sockets are somebody's WebSockets at one colour, one by HTTP/1.1 and one by HTTP/2.
type sockets []socket

type socket struct {
	*websocket.Conn
	ended chan error
}

// sit opens them, at the colour that has the traffic.
func (h *host) sit(colour string) (list sockets) {
	h.t.Helper()
	for _, protocol := range []string{"http/1.1", "h2"} {
		conn, res, err := h.user.dial(protocol, "", h.user.token)
		if err != nil {
			h.t.Fatalf("%s: %v", protocol, err)
		}
		h.t.Cleanup(func() { _ = conn.CloseNow() })
		if got := res.Header.Get("X-Valor-Color"); got != colour {
			h.t.Fatalf("%s came to %q, not to %s", protocol, got, colour)
		}
		s := socket{conn, make(chan error, 1)}
		go func() { // ends with the connection
			_, _, err := conn.Read(h.user.ctx)
			s.ended <- err
		}()
		list = append(list, s)
	}
	return list
}

// alive holds them to get answers.
func (h *host) alive(list sockets) {
	h.t.Helper()
	for _, s := range list {
		if err := s.Ping(h.user.ctx); err != nil {
			h.t.Errorf("a WebSocket whose colour stays: %v", err)
		}
	}
}

// toldToLeave holds them to have heard from their colour that it ends.
func (h *host) toldToLeave(list sockets) {
	h.t.Helper()
	for _, s := range list {
		if err := <-s.ended; websocket.CloseStatus(err) != websocket.StatusGoingAway {
			h.t.Errorf("a WebSocket whose colour was replaced: %v", err)
		}
	}
}

// TestE2EShip: deploy.sh on one machine, by units that are real processes: one version after another under load by HTTP/1.1, with and without TLS, and HTTP/2, without a failed request. WebSockets stay at their colour for as long as that
// is kept, and hear from it when it is replaced. Each version that is bad is taken back with its own exit code.
func TestE2EShip(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	programs := programs(t)
	plain, secure := h.address("http"), h.address("tls")
	g := newGuests(t, errand{"GET", "/api/health", "", `"healthy"`}, errand{"POST", "/api/dcf", "{}", "10.63719200361473"})
	g.visit("kept", overTCP(plain), -1)
	g.visit("one each", overTCP(plain), 1)
	g.visit("kept, TLS", overTLS(secure), -1)
	g.visitHTTP2(secure, 2)
	attack := newAttack(t, "http://"+plain, "https://"+secure)
	live := "blue"
	var warm, here sockets
	n := count(2, 100)
	for i := range n {
		here = h.sit(live)
		tag := fmt.Sprintf("v%d", i+1)
		h.release(tag, "exec "+programs+"/valor-api")
		if out := h.ship(exitOK, nil, "production", tag); !strings.Contains(out, "perShare") && !strings.Contains(out, "it computes") {
			t.Fatalf("nobody looked at what clients get:\n%s", out)
		}
		old := live
		live = map[string]string{"blue": "green", "green": "blue"}[live]
		if h.traffic() != live || h.version(live) != tag {
			t.Fatalf("%s has the traffic, %s is %s", h.traffic(), live, h.version(live))
		}
		if i > 0 && h.version(old) != fmt.Sprintf("v%d", i) {
			t.Errorf("the colour before is %s: it was to be kept", h.version(old))
		}
		h.toldToLeave(warm)
		h.alive(here)
		warm = here
	}
	if out := h.ship(exitOK, nil, "production", fmt.Sprintf("v%d", n)); !strings.Contains(out, "already") || h.traffic() != live {
		t.Errorf("once more the same: %s", out)
	}
	h.alive(warm)
	requests := g.leave() + attack.end()
	measured(t, "deploy.sh, one version after another under load (H1, H1 over TLS, H2"+attack.name()+"), WebSockets by H1 and H2 held", "%d deployments, %d requests on %d connections, 0 failed; %d WebSockets kept until their colour was replaced, which told them", n, requests, g.came.Load(), 2*n)
	t.Run("bad", func(t *testing.T) { h.badVersions(t, live) })
}

func under(r *admin.Rollout) bool { return r != nil && !r.Over() }

// badVersions: what does not start, is never healthy, fails, is wrong to clients, or is not there.
func (h *host) badVersions(t *testing.T, live string) {
	programs := programs(t)
	idle := map[string]string{"blue": "green", "green": "blue"}[live]
	before := h.version(idle)
	_, end := visits(t, h.address("http"), "/api/health")
	defer end()
	h.release("hangs", "exec tail -f /dev/null")
	h.release("fails", "VALOR_FAULT_ERRORS=0.9 exec "+programs+"/valor-api")
	h.release("good", "exec "+programs+"/valor-api")
	for _, s := range []struct {
		tag  string
		code int
		env  []string
		says string
	}{
		{"missing", exitTimedOut, nil, "there is no "},
		{"hangs", exitTimedOut, []string{"READY_TIMEOUT=3s"}, "was not healthy within"},
		{"good", exitRolledBack, []string{"SMOKE_URL=http://" + freeAddress(t)}, "what clients get does not pass: " + live + " has the traffic, as before"},
	} {
		out := h.ship(s.code, s.env, "production", s.tag)
		if !strings.Contains(out, s.says) || h.traffic() != live || h.version(idle) != before || under(h.status().Services[0].Rollout) {
			t.Errorf("%s: %s has the traffic, %s is %s:\n%s", s.tag, h.traffic(), idle, h.version(idle), out)
		}
	}
	out := h.ship(exitRolledBack, nil, "production", "fails", "--evidence", h.units+"/evidence.md")
	if evidence, err := os.ReadFile(h.units + "/evidence.md"); err != nil || !strings.Contains(string(evidence), "rolled back") || h.traffic() != live {
		t.Errorf("%v %s\n%s", err, evidence, out)
	}
	record, err := os.ReadFile(h.units + "/record")
	if err != nil {
		t.Fatal(err)
	}
	if out := h.ship(exitOK, nil, "production", "good", "--dry-run"); !strings.Contains(out, "would run: systemctl restart valor-api@"+idle) || !strings.Contains(out, "would run: weir deploy api --to "+idle) {
		t.Errorf("dry run:\n%s", out)
	}
	if b, err := os.ReadFile(h.units + "/record"); err != nil || string(b) != string(record) || h.version(idle) != before {
		t.Errorf("a dry run did something: %v", err)
	}
	h.ship(exitOK, nil, "production", "good") // the same once more, after all that
	if h.traffic() != idle {
		t.Errorf("%s has the traffic", h.traffic())
	}
	h.ship(exitOK, nil, "rollback", "production")
	if h.traffic() != live {
		t.Errorf("after a rollback %s has the traffic", h.traffic())
	}
	h.must("weights", "api", "blue=60", "green=40")
	if out := h.ship(exitInvalid, nil, "production", "good"); !strings.Contains(out, "one colour must have all of the traffic") {
		t.Errorf("by 60 to 40:\n%s", out)
	}
	for _, args := range [][]string{{"production"}, {"elsewhere", "v1"}, {"production", "../v1"}, {"production", "v1", "--force"}} {
		h.ship(exitUsage, nil, args...)
	}
}
