package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestReloadIsTakenBack: a configuration that nobody confirms goes by itself. Requests under way and connections notice nothing of it; status, metrics and log tell it.
func TestReloadIsTakenBack(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := openShop(t, quick, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Color", "green")
		if r.URL.Path == "/long" {
			close(arrived)
			<-release
		}
	})
	blues := func(weight string) string {
		text := rolloutText(s.dir, quick, s.blue.address, s.green.address)
		if weight == "0" {
			text = strings.NewReplacer("weight = 100\n", "weight = 0\n", "weight = 0\n", "weight = 100\n").Replace(text)
		}
		return strings.Replace(text, "[log]\n", "[log]\naudit = \"audit.log\"\n", 1)
	}
	s.stop()
	s.running = run(t, s.dir, blues("100")) // with an audit log
	metrics := func() string { return s.call(http.StatusOK, "GET", "/metrics", "") }
	if !strings.Contains(metrics(), `weir_config_reverts_total{result="success"} 0`) {
		t.Error("weir_config_reverts_total is not there from the start")
	}
	if _, colour := s.client.get(t); colour != "blue" {
		t.Fatal(colour)
	}
	s.write(blues("0"))
	var r admin.ReloadResult
	if err := json.Unmarshal([]byte(s.call(http.StatusOK, "POST", "/v1/reload?confirm=1h", "")), &r); err != nil {
		t.Fatal(err)
	}
	if u := r.Unconfirmed; u == nil || u.Generation != 1 || u.Until.Sub(u.Since) != time.Hour || r.Generation != 2 {
		t.Fatalf("%+v", r)
	}
	long := make(chan error, 1)
	other := connect(t, s.address)
	go func() { // ends with its answer
		_, err := io.WriteString(other.conn, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		if err == nil {
			var res *http.Response
			if res, err = http.ReadResponse(other.r, nil); err == nil && (res.StatusCode != http.StatusOK || res.Header.Get("X-Color") != "green" || res.Close) {
				err = http.ErrBodyNotAllowed
			}
		}
		long <- err
	}()
	await(t, arrived, "the long request is with green")
	// Only now may the time run out: asking for the same once more makes it end a second from now.
	if err := json.Unmarshal([]byte(s.call(http.StatusOK, "POST", "/v1/reload?confirm=1s", "")), &r); err != nil || r.Unconfirmed == nil || !r.Unchanged {
		t.Fatalf("%+v %v", r, err)
	}
	within := r.Unconfirmed.Until.Sub(r.Unconfirmed.Since).Round(time.Second)
	eventually(t, "the configuration from before is in force", func() bool {
		st := s.status()
		return st.Config.Unconfirmed == nil && st.Generation == 3 && st.Config.LastReload.Trigger == "revert" // which is told after it is in force
	})
	if _, colour := s.client.get(t); colour != "blue" { // by the connection of before
		t.Error(colour)
	}
	close(release)
	if err := await(t, long, "the long request ends"); err != nil {
		t.Errorf("a request under way: %v", err)
	}
	st := s.status()
	if a := st.Config.LastReload; a.OK || !strings.Contains(a.Errors[0].Message, "nobody confirmed it within "+within.String()) {
		t.Errorf("%+v", a)
	}
	m := metrics()
	for _, want := range []string{`weir_config_reverts_total{result="success"} 1`, `weir_config_reverts_total{result="failure"} 0`, "weir_config_last_reload_successful 0", `weir_config_reloads_total{result="success"} 1`} {
		if !strings.Contains(m, want) {
			t.Errorf("no %s", want)
		}
	}
	audited := func() bool {
		b, _ := os.ReadFile(s.dir + "/audit.log")
		return strings.Contains(string(b), `"user.name":"revert"`) && strings.Contains(string(b), `"weir.audit.before":"generation 2"`) && strings.Contains(string(b), `"weir.audit.after":"generation 3"`)
	}
	eventually(t, "the audit log has it", audited)
	s.call(http.StatusConflict, "POST", "/v1/reload/confirm", "")
	s.signals <- syscall.SIGHUP // somebody asks for the file as it is
	eventually(t, "the file is in force", func() bool { st := s.status(); return st.Generation == 4 && st.Config.Unconfirmed == nil })
	s.scraped(t, "weir_config_last_reload_successful 1") // a reload is counted after it is in force
}

// TestUnconfirmedAndSignals: a reload by signal while one waits waits with it; a confirmation with the tag of what was looked at makes both stay; a restart takes the file.
func TestUnconfirmedAndSignals(t *testing.T) {
	s := openShop(t, quick, nil)
	text := rolloutText(s.dir, quick, s.blue.address, s.green.address)
	s.write(strings.Replace(text, "64KiB", "65KiB", 1))
	s.call(http.StatusOK, "POST", "/v1/reload?confirm=1h", "")
	old := s.status().Config.Version
	s.write(strings.Replace(text, "64KiB", "66KiB", 1))
	s.signals <- syscall.SIGHUP
	eventually(t, "the second file is in force", func() bool { st := s.status(); return st.Generation == 3 })
	st := s.status()
	if u := st.Config.Unconfirmed; u == nil || u.Generation != 1 {
		t.Fatalf("%+v", st.Config)
	}
	said := false
	for _, w := range st.Warnings {
		said = said || strings.Contains(w, "is not confirmed")
	}
	if !said {
		t.Errorf("warnings %q", st.Warnings)
	}
	s.call(http.StatusPreconditionFailed, "POST", "/v1/reload/confirm", "", "If-Match", `"`+old+`"`)
	s.call(http.StatusPreconditionFailed, "DELETE", "/v1/reload", "", "If-Match", `"`+old+`"`)
	s.call(http.StatusOK, "POST", "/v1/reload/confirm", "", "If-Match", `"`+st.Config.Version+`"`)
	if u := s.status().Config.Unconfirmed; u != nil {
		t.Errorf("%+v", u)
	}
	s.write(strings.Replace(text, "64KiB", "67KiB", 1))
	s.call(http.StatusOK, "POST", "/v1/reload?confirm=1h", "")
	s.stop()
	dir, err := os.ReadFile(s.dir + "/weir.toml")
	if err != nil {
		t.Fatal(err)
	}
	s.running = run(t, s.dir, string(dir))
	if st := s.status(); st.Config.Unconfirmed != nil || !strings.Contains(s.call(http.StatusOK, "GET", "/v1/config", ""), "67KiB") {
		t.Errorf("%+v", st.Config)
	}
}

// TestUnconfirmedOverAStart: a start on files that nobody has confirmed, be it that they were taken back, says so, until they change or somebody reloads them for good.
func TestUnconfirmedOverAStart(t *testing.T) {
	s := openShop(t, quick, nil)
	text := rolloutText(s.dir, quick, s.blue.address, s.green.address)
	starts := func(text string, doubtful bool) {
		t.Helper()
		s.stop()
		s.running = run(t, s.dir, text)
		warnings := s.status().Warnings
		if said := strings.Contains(strings.Join(warnings, "\n"), "was reloaded by ann "); said != doubtful {
			t.Errorf("said %v, want %v: %q", said, doubtful, warnings)
		}
	}
	reload := func(kib, query string) string {
		t.Helper()
		next := strings.Replace(text, "64KiB", kib, 1)
		s.write(next)
		s.call(http.StatusOK, "POST", "/v1/reload"+query, "", "Weir-Operator", "ann")
		return next
	}
	wrong := reload("65KiB", "?confirm=1h")
	starts(wrong, true)
	starts(wrong, true) // as long as nobody does anything about it
	s.call(http.StatusOK, "POST", "/v1/reload", "")
	starts(wrong, false)
	back := reload("66KiB", "?confirm=1h")
	s.call(http.StatusOK, "DELETE", "/v1/reload", "")
	starts(back, true)
	mended := reload("67KiB", "?confirm=1h")
	s.call(http.StatusOK, "POST", "/v1/reload/confirm", "")
	starts(mended, false)
	reload("68KiB", "?confirm=1h")
	starts(text, false)
}
