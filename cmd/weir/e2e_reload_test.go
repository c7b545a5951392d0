package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	edgetls "github.com/valor-ivx/weir/tls"
)

// reloading is the scenario of reloads under load: two files that differ in everything that can change, put in force in turn.
type reloading struct {
	*edge
	files [2]string // contents
	pairs [2]string // certificate and key in one PEM, that belong to them
	third string    // address of the listener that only the second file has
	now   int       // which file is in force
	gen   uint64
}

// leafPEM is a new certificate for localhost with its key, in one file, so that one rename swaps both.
func leafPEM(t *testing.T, ca *edgetls.LocalCA) string {
	t.Helper()
	leaf, err := ca.Leaf([]string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var both strings.Builder
	for _, path := range []string{leaf.Cert, leaf.Key} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		both.Write(b)
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			t.Fatal(err) // kept, it would be given out again
		}
		if leaf.Cert == leaf.Key {
			break
		}
	}
	return both.String()
}

func openCA(t *testing.T) *edgetls.LocalCA {
	t.Helper()
	ca, err := edgetls.OpenLocalCA(filepath.Join(folder(t), "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// twoFiles prepares the folder: weights, a route, a listener, a target list and a certificate differ.
func twoFiles(t *testing.T, dir string) *reloading {
	t.Helper()
	blue, green, second := newBackend(t, "blue"), newBackend(t, "green"), newBackend(t, "blue")
	r := &reloading{third: freeAddress(t), gen: 1}
	ca := openCA(t)
	r.pairs = [2]string{leafPEM(t, ca), leafPEM(t, ca)}
	a := newConf(dir, blue.address, green.address).weights(70)
	a.listeners += "[[listener]]\nname = \"tls\"\naddress = \"127.0.0.1:0\"\ntls = true\n"
	a.tls = "[[tls.certificate]]\ncert = \"pair.pem\"\nkey = \"pair.pem\"\n"
	a.service = "health = { path = \"/ready\", interval = \"1s\", timeout = \"500ms\" }\n"
	b := a.weights(30)
	b.listeners += fmt.Sprintf("[[listener]]\nname = \"third\"\naddress = %q\n", r.third)
	b.routes += "[[route]]\nname = \"added\"\npath = \"/load/1\"\nservice = \"api\"\nmax_body = \"1KiB\"\n"
	b.blues = []string{second.address, blue.address}
	r.files = [2]string{a.String(), b.String()}
	return r
}

// turn puts the other file in force by the given way and waits until it is.
func (r *reloading) turn(way string) {
	r.t.Helper()
	next := 1 - r.now
	replace(r.t, filepath.Join(r.dir, "pair.pem"), r.pairs[next])
	switch way {
	case "write":
		save(r.t, r.config, r.files[next])
	default:
		replace(r.t, r.config, r.files[next])
	}
	switch way {
	case "signal":
		r.signal(syscall.SIGHUP)
	case "admin":
		r.call(http.StatusOK, "POST", "/v1/reload", "")
	}
	r.arrived(next, way)
}

// arrived waits for the certificate and the number of listeners that belong to a file: a pair that is replaced before the file can be a generation of its own.
func (r *reloading) arrived(next int, way string) {
	r.t.Helper()
	var s admin.Status
	eventually(r.t, 10*time.Second, "the reload by "+way+" is in force", func() bool {
		s = r.status()
		// What is in force shows a moment before what came of the reload, and what came of the one before may be the refusal of a file that was being written.
		return len(s.Listeners) == 2+next && s.Config.LastReload != nil && s.Config.LastReload.OK
	})
	r.now, r.gen = next, s.Generation
}

func TestE2EReloadUnderLoad(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	r := twoFiles(t, dir)
	save(t, filepath.Join(dir, "pair.pem"), r.pairs[0])
	r.edge = runFile(t, dir, r.files[0])
	address, secure := r.address("http"), r.address("tls")
	traffic := newLoad(t, address, 4, "GET", "POST")
	events, socket := eventStream(t, address), webSocket(t, address)
	kept := dialTLS(t, secure, nil)
	first := kept.serial()
	var orphan *keptAlive // a connection by the listener that a reload took away
	ways := []string{"signal", "admin", "signal", "admin", "rename", "admin", "signal", "admin", "signal", "write"}
	n := count(50, 1000)
	files := 0
	for i := range n {
		if i == 20 {
			files = e2eFiles(t, r.process)
		}
		r.turn(ways[i%len(ways)])
		if i%10 == 0 {
			orphan = dialKept(t, r.third)
			if _, _, err := orphan.do("GET", "/orphan", ""); err != nil { // a connection that nobody has accepted yet goes with the socket
				t.Fatal(err)
			}
		}
		if i%10 == 1 {
			if _, _, err := orphan.do("GET", "/orphan", ""); err != nil {
				t.Fatalf("a reload that closed the listener closed its connection: %v", err)
			}
			_ = orphan.conn.Close()
			if _, err := tls.Dial("tcp", r.third, nil); err == nil || !strings.Contains(err.Error(), "refused") {
				t.Fatalf("the listener that left the file still accepts: %v", err)
			}
		}
		if i%10 < 2 {
			fresh := dialTLS(t, secure, nil)
			if same := fresh.serial() == first; same != (r.now == 0) {
				t.Fatalf("reload %d: the certificate in force is not the file's", i)
			}
			_ = fresh.conn.Close()
		}
		traffic.after(1)
	}
	if _, _, err := kept.do("GET", "/kept", ""); err != nil {
		t.Errorf("the TLS connection of before: %v", err)
	}
	requests := traffic.stop()
	left := 0
	eventually(t, time.Minute, "no more open files than after 20 reloads, but for resting upstream connections, which come and go", func() bool {
		left = e2eFiles(t, r.process)
		return left <= files+8
	})
	seen, frames := events.finish("the event stream"), socket.finish("the WebSocket")
	if ok := r.metric("weir_config_last_reload_successful"); ok != "1" {
		t.Errorf("weir_config_last_reload_successful %s", ok)
	}
	r.stop()
	measured(t, "reloads under load (signal, admin, rename, write in place; weights, route, listener, targets, certificate)",
		"%d reloads, %d requests on 4 connections, 0 lost, 0 connections closed, slowest %s; event stream %d events, WebSocket %d echoes, both unbroken; open files %d after 20 reloads, %d at the end",
		n, requests, time.Duration(traffic.longest.Load()).Round(time.Millisecond), seen, frames, files, left)
}

// e2eFiles is how many descriptors a process has open.
func e2eFiles(t *testing.T, p *process) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Skipf("count open files: %v", err)
	}
	return len(list)
}

// TestE2EReloadHandOver gives one address from listener to listener while new connections keep coming: not one is refused or reset.
func TestE2EReloadHandOver(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	at := freeAddress(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	named := func(name string) string {
		c := c
		c.listeners = fmt.Sprintf("[[listener]]\nname = %q\naddress = %q\n", name, at)
		return c.String()
	}
	e := runFile(t, dir, named("l0"))
	quit, done := make(chan struct{}), make(chan struct{})
	dials := 0
	go func() {
		defer close(done)
		client := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
		for {
			select {
			case <-quit:
				return
			default:
			}
			res, err := client.Get("http://" + at + "/")
			if err != nil {
				t.Errorf("connection %d: %v", dials, err)
				return
			}
			_ = res.Body.Close()
			dials++
		}
	}()
	n := count(20, 300)
	for i := range n {
		replace(t, e.config, named(fmt.Sprintf("l%d", (i+1)%3)))
		e.must("reload")
	}
	close(quit)
	<-done
	e.stop()
	measured(t, "one address handed from listener to listener under new connections", "%d times, %d connections, 0 lost", n, dials)
}

// runFile is run with the file's text.
func runFile(t *testing.T, dir, content string) *edge {
	t.Helper()
	config := filepath.Join(dir, "weir.toml")
	save(t, config, content)
	e := launch(t, dir, config)
	e.ready()
	return e
}

// TestE2EReloadConfigMap swaps the link that a mounted ConfigMap consists of: weir.toml → ..data/weir.toml, ..data → the folder of one version.
func TestE2EReloadConfigMap(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	r := twoFiles(t, dir)
	for i, version := range []string{"..v0", "..v1"} {
		if err := os.Mkdir(filepath.Join(dir, version), 0o755); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(dir, version, "weir.toml"), r.files[i])
		save(t, filepath.Join(dir, version, "pair.pem"), r.pairs[i])
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..v0", "..data")
	link("..data/weir.toml", "weir.toml")
	link("..data/pair.pem", "pair.pem")
	r.edge = launch(t, dir, filepath.Join(dir, "weir.toml"))
	r.ready()
	traffic := newLoad(t, r.address("http"), 2, "GET", "POST")
	n := count(6, 60)
	for range n {
		next := 1 - r.now
		link(fmt.Sprintf("..v%d", next), "..data_tmp")
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		r.arrived(next, "ConfigMap")
	}
	if s := r.status(); s.Generation != uint64(1+n) {
		t.Errorf("generation %d after %d swaps: each is one reload", s.Generation, n)
	}
	requests := traffic.stop()
	r.stop()
	measured(t, "ConfigMap ..data swaps under load", "%d swaps, %d generations, %d requests, 0 lost", n, n, requests)
}

// TestE2EReloadBusyFolder: other files in the configuration's folder, a log for one, must not hide its changes.
func TestE2EReloadBusyFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	r := twoFiles(t, dir)
	save(t, filepath.Join(dir, "pair.pem"), r.pairs[0])
	r.edge = runFile(t, dir, r.files[0])
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.Create(filepath.Join(dir, "other.log"))
		if err != nil {
			return
		}
		defer func() { _ = f.Close() }()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				_, _ = f.WriteString("a line\n")
			}
		}
	}()
	for range 3 {
		r.turn("rename")
	}
	close(quit)
	<-done
	r.stop()
}

// TestE2EReloadLatest: whatever was written last is in force in the end, however reloads and writes overtake each other.
func TestE2EReloadLatest(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	r := twoFiles(t, dir)
	save(t, filepath.Join(dir, "pair.pem"), r.pairs[0])
	r.edge = runFile(t, dir, r.files[0])
	n := count(10, 100)
	for i := range n {
		for j := range 7 {
			save(t, r.config, r.files[(i+j)%2])
			if j%3 == 0 {
				r.signal(syscall.SIGHUP)
			}
		}
		last := (i + 6) % 2
		eventually(t, 10*time.Second, "the last file is in force", func() bool {
			s := r.status()
			return len(s.Listeners) == 2+last
		})
	}
	r.stop()
	measured(t, "bursts of 7 writes and 3 signals", "%d bursts, the last file is in force after each", n)
}

// TestE2EReloadOvertaken writes the next file while a reload still waits for a probe of the one before, and lets the wait end at once: the watch must not take
// the next file for the one that was just put in force.
func TestE2EReloadOvertaken(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	e := run(t, dir, c)
	c.service = "health = { path = \"/ready\", interval = \"30s\", timeout = \"30s\" }\n"
	n := count(3, 20)
	for i := range n {
		silent, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		slow := c
		slow.blues = append([]string{silent.Addr().String()}, c.blues...)
		replace(t, e.config, slow.weights(50).String())
		e.signal(syscall.SIGHUP)
		probe, err := silent.Accept()
		if err != nil {
			t.Fatal(err)
		}
		replace(t, e.config, c.weights(60+i).String())
		_ = probe.Close() // the probe has failed: the peer is known, the reload goes on
		eventually(t, 5*time.Second, "the file that was written during the reload is in force", func() bool {
			return int(e.status().Services[0].Weights()["blue"]) == 100*(60+i)
		})
		_ = silent.Close()
	}
	e.stop()
	measured(t, "a file written while the reload before it waits for a probe", "%d times, each in force in the end", n)
}
