package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// badConfigs are mistakes, each with what its message must say.
var badConfigs = []struct {
	name, want string
	break_     func(c conf) string
}{
	{"syntax", `weir\.toml:\d+:\d+: `, func(c conf) string { return c.String() + "\nweight = = 3\n" }},
	{"unknown key", `weir\.toml:\d+:\d+: .*weigth.*weight`, func(c conf) string { return strings.Replace(c.String(), "weight =", "weigth =", 1) }},
	{"sum", `weir\.toml:\d+:\d+: .*sum to 90, not 100`, func(c conf) string { return strings.Replace(c.String(), "weight = 100", "weight = 90", 1) }},
	{"unknown service", `weir\.toml:\d+:\d+: .*"other"`, func(c conf) string {
		return strings.Replace(c.String(), `service = "api"`, `service = "other"`, 1)
	}},
	{"missing certificate", `weir\.toml:\d+:\d+: .*gone\.pem`, func(c conf) string {
		c.tls = "[[tls.certificate]]\ncert = \"gone.pem\"\nkey = \"gone.pem\"\n"
		return c.String()
	}},
	{"bad regex", `weir\.toml:\d+:\d+: `, func(c conf) string {
		return strings.Replace(c.String(), "[[route]]\n", "[[route]]\npath = \"~(\"\n", 1)
	}},
}

func TestE2EBadConfigAtStart(t *testing.T) {
	t.Parallel()
	for _, bad := range badConfigs {
		t.Run(bad.name, func(t *testing.T) {
			dir, at := folder(t), freeAddress(t)
			c := newConf(dir, "127.0.0.1:1", "127.0.0.1:2")
			c.listeners = strings.Replace(c.listeners, "127.0.0.1:0", at, 1)
			config := filepath.Join(dir, "weir.toml")
			save(t, config, bad.break_(c))
			e := launch(t, dir, config)
			if code := e.wait(40 * time.Second); code != 1 {
				t.Errorf("exit %d, want 1", code)
			}
			if said := e.errs.String(); !regexp.MustCompile(bad.want).MatchString(said) {
				t.Errorf("%q does not say %s", said, bad.want)
			}
			if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
				t.Errorf("the state folder was touched: %v", err)
			}
			for _, check := range [][]string{{"check", "-c", config}, {"-t", "-c", config}} {
				out, code := command(t, dir, nil, check...)
				if code != 1 || !regexp.MustCompile(bad.want).MatchString(out) {
					t.Errorf("weir %v: exit %d, %q", check, code, out)
				}
			}
		})
	}
	t.Run("several at once", func(t *testing.T) {
		dir := folder(t)
		config := filepath.Join(dir, "weir.toml")
		save(t, config, strings.NewReplacer("weight = 100", "weight = 90", `service = "api"`, `service = "other"`, "127.0.0.1:2", "nowhere").Replace(newConf(dir, "127.0.0.1:1", "127.0.0.1:2").String()))
		out, code := command(t, dir, nil, "check", "-c", config)
		if lines := strings.Count(out, "weir.toml:"); code != 1 || lines != 3 {
			t.Errorf("exit %d, %d lines of 3:\n%s", code, lines, out)
		}
	})
	measured(t, "bad configurations at start", "%d kinds: exit 1, FILE:LINE:COL, nothing listens, no state touched", len(badConfigs))
}

func TestE2EBadConfigAtReload(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	e := run(t, dir, c)
	traffic := newLoad(t, e.address("http"), 2, "GET", "POST")
	if out := e.must("reload"); !strings.Contains(out, "unchanged") {
		t.Errorf("reload of the same file: %s", out)
	}
	good := 1
	for i, bad := range badConfigs {
		replace(t, e.config, bad.break_(c))
		_, body := e.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", "")
		if !regexp.MustCompile(`"line":\d+,"column":\d+`).MatchString(body) {
			t.Errorf("%s: no position in %s", bad.name, body)
		}
		out, code := e.verb("reload")
		if code != 1 || !regexp.MustCompile(bad.want).MatchString(out) {
			t.Errorf("%s: exit %d, %q does not say %s", bad.name, code, out, bad.want)
		}
		if _, code := e.verb("-s", "reload"); code != 1 {
			t.Errorf("%s: weir -s reload: exit %d", bad.name, code)
		}
		s := e.status()
		if s.Generation != uint64(good) || s.Config.LastReload.OK || len(s.Config.LastReload.Errors) == 0 {
			t.Errorf("%s: generation %d, want %d; %+v", bad.name, s.Generation, good, s.Config.LastReload)
		}
		if v := e.metric("weir_config_last_reload_successful"); v != "0" {
			t.Errorf("%s: weir_config_last_reload_successful %s", bad.name, v)
		}
		replace(t, e.config, c.weights(90-i).String())
		e.must("reload")
		good++
		if v := e.metric("weir_config_last_reload_successful"); v != "1" || e.status().Generation != uint64(good) {
			t.Errorf("after %s and a good file: weir_config_last_reload_successful %s, generation %d of %d", bad.name, v, e.status().Generation, good)
		}
	}
	e.unmendable(t, c, good)
	requests := traffic.stop()
	e.stop()
	measured(t, "bad configurations at reload, under load", "%d kinds: 422 and exit 1 with positions, generation unchanged, gauge 0 then 1; %d requests, 0 lost", len(badConfigs)+4, requests)
}

// unmendable are files without a mistake that a running process cannot follow.
func (e *edge) unmendable(t *testing.T, c conf, generation int) {
	taken, err := net.Listen("tcp", freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	free := freeAddress(t)
	for _, bad := range []struct {
		name, want string
		conf       func(conf) conf
	}{
		{"a port that another process has", "address already in use", func(c conf) conf {
			c.listeners += fmt.Sprintf("[[listener]]\nname = \"more\"\naddress = %q\n[[listener]]\nname = \"taken\"\naddress = %q\n", free, taken.Addr())
			return c
		}},
		{"another admin address", "admin.address cannot change", func(c conf) conf {
			c.admin = "address = \"127.0.0.1:19180\"\nstate_dir = \"state\"\n"
			return c
		}},
		{"another state_dir", "admin.state_dir cannot change", func(c conf) conf {
			c.admin = strings.Replace(c.admin, `"state"`, `"elsewhere"`, 1)
			return c
		}},
		{"a log that cannot be opened", "log", func(c conf) conf {
			c.log = "output = \"no/such/folder/log\"\n"
			return c
		}},
	} {
		replace(t, e.config, bad.conf(c).String())
		out, code := e.verb("reload")
		if code != 1 || !strings.Contains(out, bad.want) {
			t.Errorf("%s: exit %d, %q", bad.name, code, out)
		}
		if s := e.status(); s.Generation != uint64(generation) || len(s.Listeners) != 1 {
			t.Errorf("%s: generation %d with %d listeners", bad.name, s.Generation, len(s.Listeners))
		}
		// Waited for, because the file watch tries the file once more, and holds the port while it does.
		eventually(t, time.Minute, bad.name+": the listener that was opened before the failure is closed", func() bool {
			l, err := net.Listen("tcp", free)
			if err == nil {
				_ = l.Close()
			}
			return err == nil
		})
	}
}

func TestE2EPIDFileRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	config := filepath.Join(dir, "weir.toml")
	save(t, config, newConf(dir, "127.0.0.1:1", "127.0.0.1:2").String())
	e := launch(t, dir, config, "--pid", filepath.Join(dir, "no", "such", "folder.pid"))
	if code := e.wait(40 * time.Second); code != 1 || !strings.Contains(e.errs.String(), "folder.pid") {
		t.Errorf("exit %d, %q", code, e.errs.String())
	}
}

// TestE2EPortsBusyAtStart: whoever comes second says so and leaves the first alone.
func TestE2EPortsBusyAtStart(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	at := freeAddress(t)
	c := newConf(dir, newBackend(t, "blue").address, "127.0.0.1:1")
	c.listeners = strings.Replace(c.listeners, "127.0.0.1:0", at, 1)
	e := run(t, dir, c)
	twin := launch(t, dir, e.config)
	if code := twin.wait(40 * time.Second); code != 1 || !strings.Contains(twin.errs.String(), "belongs to another weir") {
		t.Errorf("same state folder: exit %d, %q", code, twin.errs.String())
	}
	elsewhere := filepath.Join(dir, "elsewhere.toml")
	save(t, elsewhere, strings.Replace(c.String(), `"state"`, `"elsewhere"`, 1))
	second := launch(t, dir, elsewhere)
	if code := second.wait(40 * time.Second); code != 1 || !strings.Contains(second.errs.String(), "address already in use") {
		t.Errorf("same admin socket: exit %d, %q", code, second.errs.String())
	}
	other := folder(t)
	c.admin = newConf(other, "", "").admin
	config := filepath.Join(other, "weir.toml")
	save(t, config, c.String())
	third := launch(t, other, config)
	if code := third.wait(40 * time.Second); code != 1 || !strings.Contains(third.errs.String(), at) {
		t.Errorf("same port: exit %d, %q", code, third.errs.String())
	}
	if res, _, err := dialKept(t, at).do("GET", "/", ""); err != nil || res.StatusCode != 200 {
		t.Errorf("the first edge: %v %v", res, err)
	}
	_, port, _ := net.SplitHostPort(at)
	text, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, e.config, strings.Replace(string(text), at, ":"+port, 1))
	if out, code := e.verb("reload"); code != 1 || !strings.Contains(out, "address already in use") {
		t.Errorf("an address that overlaps the open one: exit %d, %q", code, out)
	}
	replace(t, e.config, string(text))
	if res, _, err := dialKept(t, at).do("GET", "/", ""); err != nil || res.StatusCode != 200 {
		t.Errorf("after the refused reload: %v %v", res, err)
	}
	e.signal(syscall.SIGKILL)
	e.wait(40 * time.Second)
	again := launch(t, dir, e.config) // the killed one's socket file is still there
	again.ready()
	again.stop()
}
