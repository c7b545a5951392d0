package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const eventuallyLong = time.Minute

// upgradeConf is a plain and a TLS listener, in front of two colours.
func upgradeConf(t *testing.T, dir string) conf {
	t.Helper()
	save(t, filepath.Join(dir, "pair.pem"), leafPEM(t, openCA(t)))
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.log = "access = \"combined\"\noutput = \"access.log\"\n"
	c.listeners = "[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\n"
	c.tls = "[[tls.certificate]]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n"
	return c
}

// TestE2EUpgrade replaces the running program again and again, by verb and by signal, under load by HTTP/1.1 with and without TLS, on kept and on new connections, by HTTP/2 and HTTP/3, with WebSockets and an event
// stream that outlive the process they came to: nothing fails, and the addresses, the weights that an operator has set, the pid file and the metrics say so all the time.
func TestE2EUpgrade(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := upgradeConf(t, dir)
	b := newBackend(t, "blue")
	c.blues, c.greens = []string{b.address}, []string{b.address}
	address := freeAddress(t) // for TCP and UDP
	c.listeners = strings.Replace(c.listeners, "127.0.0.1:0\"\ntls = true", address+"\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]", 1)
	l := founded(t, dir, c.String(), nil, "--drain-timeout", "20m").begin() // WebSockets are closed after 60 % of it
	plain, secure := l.address("http"), l.address("tls")
	l.must("weights", "api", "blue=70", "green=30")
	// A request by HTTP/3 that is answered when its process has been replaced several times: its packets come through all of them.
	patient, end := overQUIC(secure)
	defer end()
	before, patience := b.served.Load(), make(chan error, 1)
	go func() {
		_, err := hello.over(patient, fmt.Sprintf("https://%s/?ms=%d", secure, held))
		patience <- err
	}()
	eventually(t, 0, "the patient request is there", func() bool { return b.served.Load() > before })
	g := newGuests(t, hello)
	g.visit("kept", overTCP(plain), -1)
	g.visit("one each", overTCP(plain), 1)
	g.visit("kept, TLS", overTLS(secure), -1)
	g.visit("one each, TLS", overTLS(secure), 1)
	g.visitHTTP2(secure, 2)
	g.visitHTTP3(secure)
	attack := newAttack(t, "http://"+plain, "https://"+secure)
	n := count(3, 100)
	var lasting []*stream
	for i := range n {
		g.after(200)
		if i == 0 || i == n-1 {
			lasting = append(lasting, webSocket(t, plain), eventStream(t, plain))
		}
		if i%3 == 1 {
			before := strconv.Itoa(l.now())
			if err := syscall.Kill(l.now(), syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			var id string
			eventually(t, 0, "another process serves", func() bool {
				b, err := os.ReadFile(filepath.Join(dir, "weir.pid"))
				id = strings.TrimSpace(string(b))
				return err == nil && id != before
			})
			eventually(t, 0, "it answers", func() bool { return strconv.Itoa(l.status().PID) == id })
			l.succeeded(id)
		} else {
			l.upgrade()
		}
	}
	g.after(200)
	if p, s := l.address("http"), l.address("tls"); p != plain || s != secure {
		t.Errorf("addresses %s %s were %s %s", p, s, plain, secure)
	}
	b.letGo()
	if err := <-patience; err != nil {
		t.Errorf("the patient request by HTTP/3: %v", err)
	}
	var frames int64
	for _, s := range lasting {
		frames += s.finish("a stream that was there before")
	}
	requests := g.leave() + attack.end()
	if got := l.metric(`weir_upgrades_total{result="done"}`); got != strconv.Itoa(n) {
		t.Errorf("weir_upgrades_total is %s after %d", got, n)
	}
	_, body := l.call(http.StatusOK, "GET", "/v1/services/api", "")
	if !strings.Contains(body, `"weight":70`) && !strings.Contains(body, `"blue":70`) {
		t.Errorf("the weights are not the operator's: %s", body)
	}
	l.end()
	measured(t, "upgrades under load (H1, H1 over TLS, H2, H3"+attack.name()+"; connections kept and new ones), WebSockets and event streams held", "%d upgrades, %d requests on %d connections and %d frames and events, 0 failed", n, requests, g.came.Load(), frames)
}

// TestE2EDrainDelay: after TERM the edge is not ready, and serves all the same, those who were there and those who come, each with a goodbye; then it ends, or at once when it is told again.
func TestE2EDrainDelay(t *testing.T) {
	t.Parallel()
	e, _ := drainable(t, "--drain-delay", "10m")
	address := e.address("http")
	kept := dialKept(t, address)
	if _, _, err := kept.do("GET", "/", ""); err != nil {
		t.Fatal(err)
	}
	e.signal(syscall.SIGTERM)
	eventually(t, 0, "it is not ready", func() bool { s, _, _ := e.try("GET", "/readyz", ""); return s == http.StatusServiceUnavailable })
	// The answers say so as soon as the signal has come all the way.
	eventually(t, 0, "who comes is served and told to come anew", func() bool {
		res, body, _ := dialKept(t, address).do("GET", "/", "")
		if res == nil || res.StatusCode != http.StatusOK || body == "" {
			t.Fatalf("who came got %v", res)
		}
		return res.Close
	})
	if res, _, _ := kept.do("GET", "/", ""); res == nil || res.StatusCode != http.StatusOK || !res.Close {
		t.Errorf("who was there got %v", res)
	}
	if s := e.status(); s.State != "draining" {
		t.Errorf("state %s", s.State)
	}
	e.signal(syscall.SIGTERM)
	if code := e.wait(eventuallyLong); code != 0 && code != 3 { // 3 where a connection was there to be cut
		t.Errorf("exit %d", code)
	}
	short, _ := drainable(t, "--drain-delay", "100ms")
	short.stop()
	if out, code := command(t, e.dir, nil, "run", "-c", e.config, "--drain-delay", "-1s"); code != 2 || !strings.Contains(out, "--drain-delay") {
		t.Errorf("exit %d: %s", code, out)
	}
	measured(t, "TERM with --drain-delay", "/readyz 503 at once, clients old and new served with Connection: close until the delay is over or a second TERM")
}

// TestE2EUpgradeFails: a new program that is not there, is no program, crashes, hangs, or finds its configuration wrong, changes nothing, is told of with exit 1, and the next good one takes over.
func TestE2EUpgradeFails(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	good := upgradeConf(t, dir).String()
	l := founded(t, dir, good, nil, "--upgrade-timeout", "50s", "--drain-timeout", "20s").begin() // longer than any of them takes on a busy machine
	plain := l.address("http")
	g := newGuests(t, hello)
	g.visit("kept", overTCP(plain), -1)
	g.visit("one each", overTCP(plain), 1)
	weir, other := filepath.Join(programs(t), "weir"), filepath.Join(dir, "other")
	for i, c := range []struct {
		name, lines, config, says string
	}{
		{"missing", "", good, "no such file"},
		{"no program", "no program", good, "exec format error"},
		{"crashes", "exit 7", good, "exit status 7"},
		{"is killed", "kill -9 $$", good, "signal: killed"},
		{"says something else", "echo '{\"word\":\"serving\"}' >&4; exec sleep 60", good, `says \"serving\"`},
		{"dies when it may serve", "read hello <&3; echo '{\"word\":\"ready\",\"version\":\"x\"}' >&4; read go <&3; exit 9", good, "exit status 9"},
		{"speaks nonsense", "echo nonsense >&4; exec sleep 60", good, "invalid character"},
		{"bad configuration", "weir", strings.Replace(good, "[log]", "[lag]", 1), "weir.toml:"},
		{"address taken", "weir", strings.Replace(good, "127.0.0.1:0\"\n[[", newBackend(t, "x").address+"\"\n[[", 1), "address already in use"},
	} {
		_ = os.Remove(other)
		switch c.lines {
		case "":
		case "weir":
			if err := os.Symlink(weir, other); err != nil {
				t.Fatal(err)
			}
		case "no program":
			program(t, other, c.lines)
		default:
			script(t, other, c.lines)
		}
		l.install(t, other)
		if c.config != good {
			// Not yet seen by the file watch: it would refuse it too, and say so.
			replace(t, l.config, c.config)
		}
		out, code := l.verb("upgrade")
		replace(t, l.config, good)
		if code != 1 || !strings.Contains(out, strings.ReplaceAll(c.says, `\"`, `"`)) {
			t.Errorf("%s: exit %d, says %q, want %q", c.name, code, out, c.says)
		}
		if got := l.status().PID; got != l.now() {
			t.Fatalf("%s: process %d serves, not %d", c.name, got, l.now())
		}
		if got := l.metric(`weir_upgrades_total{result="failed"}`); got != strconv.Itoa(i+1) {
			t.Errorf("%s: weir_upgrades_total{failed} is %s", c.name, got)
		}
		g.after(20)
	}
	l.install(t, weir)
	l.upgrade()
	g.after(20)
	requests := g.leave()
	l.end()
	notReady(t)
	measured(t, "upgrades to programs that are missing, broken, crash, hang, or have a bad configuration", "10 of 10 refused with exit 1 and the reason, then a good one; %d requests, 0 failed", requests)
}

// notReady holds a process that does not get ready to its time.
func notReady(t *testing.T) {
	t.Helper()
	dir := folder(t)
	l := founded(t, dir, upgradeConf(t, dir).String(), nil, "--upgrade-timeout", "2s").begin()
	script(t, filepath.Join(dir, "hangs"), "exec sleep 60")
	l.install(t, filepath.Join(dir, "hangs"))
	if out, code := l.verb("upgrade"); code != 1 || !strings.Contains(out, "was not ready within 2s") {
		t.Errorf("hangs: exit %d, says %q", code, out)
	}
	if res, _, err := dialKept(t, l.address("http")).do("GET", "/", ""); err != nil || res.StatusCode != http.StatusOK || l.status().PID != l.now() {
		t.Errorf("beside one that hangs: %v %v", res, err)
	}
	l.end()
}

// hanging makes the lineage's program one that never gets ready, begins an upgrade to it and waits until that runs; told gives what came of it.
func (l *lineage) hanging() (child int, told <-chan string) {
	l.t.Helper()
	id := filepath.Join(l.dir, "hangs.pid")
	script(l.t, filepath.Join(l.dir, "hangs"), "echo $$ > hangs.tmp; mv hangs.tmp hangs.pid; exec sleep 60")
	_ = os.Remove(id)
	l.install(l.t, filepath.Join(l.dir, "hangs"))
	answer := make(chan string, 1)
	go func() {
		out, code := l.verb("upgrade")
		answer <- fmt.Sprintf("%d %s", code, out)
	}()
	eventually(l.t, 0, "the new process runs", func() bool {
		b, err := os.ReadFile(id)
		if err == nil {
			child, err = strconv.Atoi(strings.TrimSpace(string(b)))
		}
		return err == nil
	})
	return child, answer
}

// TestE2EUpgradeBusy: while an upgrade is under way nothing else can be changed, reads and traffic go on, and a stop ends both processes.
func TestE2EUpgradeBusy(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	l := founded(t, dir, upgradeConf(t, dir).String(), nil, "--upgrade-timeout", "45s", "--drain-timeout", "20s").begin()
	child, told := l.hanging()
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v1/upgrade", ""}, {"POST", "/v1/reload", ""}, {"PUT", "/v1/services/api/weights", `{"blue":50,"green":50}`},
		{"POST", "/v1/services/api/drain", `{"group":"green"}`}, {"POST", "/v1/services/api/rollout", ""},
	} {
		if status, _, answer := l.try(c.method, c.path, c.body); status != http.StatusConflict || !strings.Contains(answer, "an upgrade is under way") {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, answer)
		}
	}
	if s := l.status(); s.PID != l.now() || s.State != "running" {
		t.Errorf("status %+v", s)
	}
	l.call(http.StatusOK, "GET", "/readyz", "")
	if res, _, err := dialKept(t, l.address("http")).do("GET", "/", ""); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v %v", res, err)
	}
	l.signal(syscall.SIGTERM)
	if code := l.wait(eventuallyLong); code != 0 {
		t.Errorf("exit %d", code)
	}
	l.awaitEnd(child)
	if out := <-told; !strings.HasPrefix(out, "1 ") || !strings.Contains(out, "weir is stopping") {
		t.Errorf("the upgrade ended with %s", out)
	}
	measured(t, "writes during an upgrade; TERM during an upgrade", "409, reads and traffic go on; both processes end, exit 0")
}

// TestE2EUpgradeKilled: a process that is killed while its heir starts leaves everything to it.
func TestE2EUpgradeKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	l := founded(t, dir, upgradeConf(t, dir).String(), nil).begin()
	plain := l.address("http")
	script(t, filepath.Join(dir, "late"), fmt.Sprintf("echo $$ > late.tmp; mv late.tmp late.pid; read go < late.fifo; exec %s \"$@\"", filepath.Join(programs(t), "weir")))
	if err := syscall.Mkfifo(filepath.Join(dir, "late.fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.install(t, filepath.Join(dir, "late"))
	if err := syscall.Kill(l.now(), syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	var id []byte
	eventually(t, 0, "the new process runs", func() (ok bool) {
		var err error
		id, err = os.ReadFile(filepath.Join(dir, "late.pid"))
		return err == nil
	})
	l.signal(syscall.SIGKILL)
	<-l.done
	// Nobody accepts now, but the socket is there: whoever comes waits.
	early := dialKept(t, plain)
	if err := os.WriteFile(filepath.Join(dir, "late.fifo"), []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if res, _, err := early.do("GET", "/", ""); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("%v %v", res, err)
	}
	eventually(t, 0, "it answers", func() bool { s, _, _ := l.try("GET", "/readyz", ""); return s == http.StatusOK })
	l.succeeded(strings.TrimSpace(string(id)))
	l.must("stop")
	l.awaitEnd(l.now())
	measured(t, "kill -9 of the old process while the new one starts", "the new one serves; a connection that came between was answered")
}

// TestE2EUpgradeProcessOne: in a container there is nobody to hand over to.
func TestE2EUpgradeProcessOne(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root: a namespace of its own")
	}
	dir := folder(t)
	l := founded(t, dir, upgradeConf(t, dir).String(), nil)
	l.cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	l.begin()
	out, code := l.verb("upgrade")
	if code != 1 || !strings.Contains(out, "process 1") {
		t.Errorf("exit %d: %s", code, out)
	}
	l.must("stop", "--wait", "0")
	if code := l.wait(eventuallyLong); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// TestE2ESocketActivation: sockets from systemd are those of the listeners and the admin API, by address and by name; systemd is told when weir is ready and by which process an upgrade replaced it; a socket
// that nobody has use for, or that is none to listen on, is an error with its name.
func TestE2ESocketActivation(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := upgradeConf(t, dir)
	var sockets []*os.File
	pass := func(l net.Listener, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		_ = l.Close()
		t.Cleanup(func() { _ = f.Close() })
		sockets = append(sockets, f)
		return l.Addr().String()
	}
	at := pass(net.Listen("tcp", "127.0.0.1:0")) // what the file says
	pass(net.Listen("unix", filepath.Join(dir, "admin.sock")))
	named := pass(net.Listen("tcp", "127.0.0.1:0")) // the file says port 0
	c.listeners = strings.Replace(c.listeners, "127.0.0.1:0", at, 1)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = notify.Close() }()
	hear := func() string {
		t.Helper()
		b := make([]byte, 1024)
		_ = notify.SetReadDeadline(time.Now().Add(eventuallyLong))
		n, err := notify.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	environment := []string{"LISTEN_FDS=3", "LISTEN_FDNAMES=weir.socket:weir.socket:tls", "NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}
	l := founded(t, dir, c.String(), environment, "--drain-timeout", "20s")
	l.cmd.ExtraFiles = sockets
	early := make(chan error, 1)
	go func() { // the socket is there before weir is
		conn, err := overTCP(at)()
		if err == nil {
			err = conn.Close()
		}
		early <- err
	}()
	l.begin()
	if err := <-early; err != nil {
		t.Error(err)
	}
	if got := hear(); got != fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=serving", l.now()) {
		t.Errorf("systemd heard %q", got)
	}
	if l.address("http") != at || l.address("tls") != named {
		t.Errorf("addresses %s %s, want %s %s", l.address("http"), l.address("tls"), at, named)
	}
	for range 2 {
		l.upgrade()
		if got := hear(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
			t.Errorf("systemd heard %q", got)
		}
		for range 2 { // both say it: whichever systemd listens to
			if got := hear(); got != fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=serving", l.now()) {
				t.Errorf("systemd heard %q", got)
			}
		}
		if conn, err := overTLS(named)(); err != nil {
			t.Error(err)
		} else {
			_ = conn.Close()
		}
	}
	l.over()
	l.must("stop", "--wait", "0") // whoever asks whether it has gone would wait for systemd to start it
	l.awaitEnd(l.now())
	if _, err := os.Lstat(filepath.Join(dir, "admin.sock")); err != nil {
		t.Errorf("the socket's file is systemd's: %v", err)
	}
}

// TestE2ESocketsUnwanted: what systemd gives and nobody wants stops a start.
func TestE2ESocketsUnwanted(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	config := filepath.Join(dir, "weir.toml")
	save(t, config, upgradeConf(t, dir).String())
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tcp.Close() }()
	listening, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listening.Close() }()
	file, err := os.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for _, c := range []struct {
		name, environment, says string
		files                   []*os.File
	}{
		{"stranger", "LISTEN_FDS=1 LISTEN_FDNAMES=web", "web (tcp " + tcp.Addr().String() + ")", []*os.File{listening}},
		{"file", "LISTEN_FDS=1", "number 1", []*os.File{file}},
		{"number", "LISTEN_FDS=many", `LISTEN_FDS is "many"`, nil},
		{"too many", "LISTEN_FDS=3", "number 3", []*os.File{listening}},
		{"upgrade", "WEIR_UPGRADE_FDS=x", `WEIR_UPGRADE_FDS is "x"`, nil},
		{"no process before", "WEIR_UPGRADE_FDS=0", "process before", nil},
	} {
		cmd := shellCommand(filepath.Join(programs(t), "weir"), "run", "-c", config)
		cmd.Env, cmd.ExtraFiles = append(os.Environ(), strings.Fields(c.environment)...), c.files
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), c.says) {
			t.Errorf("%s: %v, says %s, want %s", c.name, err, out, c.says)
		}
	}
	// For another process: not ours, and no error.
	l := founded(t, dir, upgradeConf(t, dir).String(), nil)
	l.cmd.Env = append(l.cmd.Env, "LISTEN_FDS=1", "LISTEN_PID=1")
	l.begin()
	l.end()
}
