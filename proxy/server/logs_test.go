package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// logText is a configuration with one route to a target, and lines for [log].
func logText(dir, target, log string) string {
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\n%s\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n"+
		"[[route]]\nname = \"all\"\nhost = [\"x\"]\nservice = \"api\"\n[service.api.group.blue]\nweight = 100\ntargets = [%q]\n[service.api.group.green]\nweight = 0\ntargets = [\"127.0.0.1:1\"]\n", dir, log, target)
}

// rawAsk makes one request, with a head as it is given, on a connection of its own.
func rawAsk(t *testing.T, address, head string) (status int) {
	t.Helper()
	c := connect(t, address)
	defer func() { _ = c.conn.Close() }()
	if _, err := c.conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// objects are the JSON lines of a file.
func objects(t *testing.T, path string) (list []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var one map[string]any
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatalf("%v in %q of %s", err, line, path)
		}
		list = append(list, one)
	}
	return list
}

// TestSampling: of ordinary requests chance lets some lines through, each with the rate; the rest is counted, and with them are as many as there were. What was refused, failed or was slow is all there.
func TestSampling(t *testing.T) {
	dir := shortDir(t)
	blue := &colour{name: "blue", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-time.After(120 * time.Millisecond)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		}
	})}
	blue.start(t)
	defer blue.kill()
	r := run(t, dir, logText(dir, blue.address, "access_output = \"access.log\"\noutput = \"weir.log\"\nsample = 0.25\nslow = \"100ms\""))
	const usual, wanted = 400, 10
	c := connect(t, r.address)
	defer func() { _ = c.conn.Close() }()
	for range usual {
		if status, _ := c.get(t); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	for range wanted {
		for path, want := range map[string]int{"/slow": http.StatusOK, "/broken": http.StatusInternalServerError} {
			if got := rawAsk(t, r.address, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); got != want {
				t.Fatalf("%s: %d", path, got)
			}
		}
		if got := rawAsk(t, r.address, "GET / HTTP/1.1\r\nHost: elsewhere\r\nConnection: close\r\n\r\n"); got != http.StatusNotFound {
			t.Fatalf("another host: %d", got)
		}
	}
	// An answer is read before its line is written; what is counted last is awaited.
	requests := usual + 3*wanted
	eventually(t, "all are counted", func() bool {
		return counted(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_http_requests_total{") == requests && counted(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_http_requests_in_flight") == 0
	})
	left := counted(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_log_sampled_out_total")
	dropped := counted(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_log_dropped_total")
	r.stop()
	kept, drawn, slowOnes := map[string]int{}, 0, 0
	for _, line := range objects(t, filepath.Join(dir, "access.log")) {
		if line["weir.sample_rate"] == 0.25 {
			drawn++
			continue
		}
		if line["weir.sample_rate"] != nil {
			t.Errorf("rate %v", line["weir.sample_rate"])
		}
		kept[fmt.Sprint(line["url.path"], line["http.response.status_code"])]++
		if line["event.duration"].(float64) >= 100e6 {
			slowOnes++
		}
	}
	// An ordinary request may take 100 ms on a busy machine, and is then a slow one, which slowOnes knows.
	if kept["/slow200"] != wanted || kept["/broken500"] != wanted || kept["/404"] != wanted {
		t.Errorf("kept %v", kept)
	}
	late := slowOnes - wanted
	if late < 0 || drawn+left+kept["/200"] != usual || dropped != 0 {
		t.Errorf("%d drawn and %d left out, %d slow ones among them, %d dropped, of %d", drawn, left, late, dropped, usual)
	}
	if drawn == 0 || left == 0 {
		t.Errorf("%d drawn and %d left out of %d", drawn, left, usual)
	}
	for _, line := range objects(t, filepath.Join(dir, "weir.log")) {
		if line["event.dataset"] == "weir.access" {
			t.Errorf("an access line in the other file: %v", line)
		}
	}
}

// counted is the sum of the series whose lines begin with prefix.
func counted(metrics, prefix string) (sum int) {
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var value float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(strings.TrimSpace(line), ' '):], &value); err == nil {
			sum += int(value)
		}
	}
	return sum
}

// TestSecretsAreNotLogged: no form of the log has the value of a query parameter that is a secret by its name, by default or by redact_query, wherever a client puts it.
func TestSecretsAreNotLogged(t *testing.T) {
	for _, form := range []string{"json", "combined"} {
		dir, blue := shortDir(t), newColour(t, "blue")
		defer blue.kill()
		r := run(t, dir, logText(dir, blue.address, "access = \""+form+"\"\noutput = \"all.log\"\nredact_query = [\"invite\", \"Geheim-Nr\"]"))
		heads := []string{
			"GET /a?invite=hunter2&shown=yes HTTP/1.1\r\nHost: x\r\n",
			"GET /a?shown=yes&INVITE=hunter2 HTTP/1.1\r\nHost: x\r\n",
			"GET /a?geheim_nr=hunter2;shown=no&shown=yes HTTP/1.1\r\nHost: x\r\n",
			"GET /a?user%5Binvite%5D=hunter2&shown=yes HTTP/1.1\r\nHost: x\r\n",
			"GET /a?%69nvite=hunter2&shown=yes HTTP/1.1\r\nHost: x\r\n",
			"GET /a?code=hunter2&access_token=hunter2&shown=yes HTTP/1.1\r\nHost: x\r\n",
			"GET /a?shown=yes HTTP/1.1\r\nHost: x\r\nReferer: https://u:hunter2@y/?invite=hunter2\r\n",
			"GET /a?shown=yes HTTP/1.1\r\nHost: x\r\nReferer: https://y/?next=/b?invite=hunter2#token=hunter2\r\n",
			"GET /a?shown=yes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hunter2\r\nCookie: session=hunter2\r\nX-Api-Key: hunter2\r\n",
			"GET /a?shown=yes HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpodW50ZXIy\r\n",
			"GET http://u:hunter2@x/a?shown=yes&invite=hunter2 HTTP/1.1\r\nHost: x\r\n",     // refused: user information (RFC 9110 §4.2.4)
			"GET /a?shown=yes&invite=hunter2 HTTP/1.1\r\nHost: x\r\nBad Field: hunter2\r\n", // refused: no field name
		}
		for _, head := range heads {
			rawAsk(t, r.address, head+"Connection: close\r\n\r\n")
		}
		// What the admin API tells of requests is no log, and no less bare.
		for _, path := range []string{"/v1/requests", "/v1/errors"} {
			if told := r.call(http.StatusOK, "GET", path, ""); strings.Contains(told, "hunter2") {
				t.Errorf("%s: a secret in %s", path, told)
			}
		}
		r.stop()
		b, err := os.ReadFile(filepath.Join(dir, "all.log"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte("hunter2")) || bytes.Contains(b, []byte("aHVudGVyMg")) || bytes.Contains(b, []byte("YTpodW50ZXIy")) {
			t.Errorf("%s: a secret in\n%s", form, b)
		}
		if n := bytes.Count(b, []byte("shown=yes")); n < len(heads) {
			t.Errorf("%s: %d of %d requests are there with what is no secret:\n%s", form, n, len(heads), b)
		}
	}
}

// TestAuditLog: every write is in the file of its own, whatever level says and however many there are; reloads by file and signal too; and the file can be rotated and moved like the others.
func TestAuditLog(t *testing.T) {
	dir, blue := shortDir(t), newColour(t, "blue")
	defer blue.kill()
	text := func(audit string) string {
		return logText(dir, blue.address, "level = \"error\"\nsample = 0.0\naccess_output = \"access.log\"\noutput = \"weir.log\"\naudit = \""+audit+"\"")
	}
	r := run(t, dir, text("audit.log"))
	const writes = 250 // past where weir's own log begins to leave out of one message in a second
	for i := range writes {
		r.call(http.StatusOK, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, 100-i%50, i%50), "Weir-Operator", "ann@desk")
	}
	r.call(http.StatusUnprocessableEntity, "PUT", "/v1/services/api/weights", `{"blue":1}`, "Weir-Operator", "bob@desk")
	for _, name := range []string{"access.log", "weir.log", "audit.log"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+".1")); err != nil {
			t.Fatal(err)
		}
	}
	r.call(http.StatusOK, "POST", "/v1/logs/reopen", "")
	for _, name := range []string{"access.log", "weir.log", "audit.log"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("after reopen: %v", err)
		}
	}
	lines := objects(t, filepath.Join(dir, "audit.log.1")) // the reopen has written all that came before it
	if len(lines) != writes+1 {
		t.Fatalf("%d lines for %d writes", len(lines), writes+1)
	}
	for i, line := range lines[:writes] {
		if line["event.dataset"] != "weir.audit" || line["event.action"] != "set weights" || line["event.outcome"] != "success" || line["weir.audit.subject"] != "api" ||
			line["weir.audit.after"] != fmt.Sprintf("blue=%d green=%d", 100-i%50, i%50) || !strings.HasPrefix(line["user.name"].(string), "ann@desk") {
			t.Fatalf("line %d: %v", i, line)
		}
	}
	if last := lines[writes]; last["event.outcome"] != "failure" || last["error.message"] == nil || !strings.HasPrefix(last["user.name"].(string), "bob@desk") {
		t.Errorf("refused write: %v", last)
	}
	r.write(text("moved.log")) // the file watch takes it
	eventually(t, "the new file is in force", func() bool { return r.status().Generation == 2 })
	r.write(strings.Replace(text("moved.log"), "weight = 100", "weight = 90", 1)) // sums to 90
	r.signals <- syscall.SIGHUP
	eventually(t, "the mistake is refused", func() bool {
		last := r.status().Config.LastReload // nil until the first reload has said how it ended, which is after it is in force
		return last != nil && !last.OK
	})
	r.stop()
	for _, line := range objects(t, filepath.Join(dir, "weir.log.1")) {
		if line["event.dataset"] == "weir.audit" || line["log.level"] != "error" {
			t.Errorf("weir.log has %v", line)
		}
	}
	var told []string
	for _, name := range []string{"audit.log", "moved.log"} {
		for _, line := range objects(t, filepath.Join(dir, name)) {
			told = append(told, fmt.Sprint(name, " ", line["event.action"], " ", line["event.outcome"]))
		}
	}
	// Who takes the bad file first, the watch or the signal, takes it; the other one may refuse it again.
	if got := strings.Join(told, ", "); !strings.HasPrefix(got, "audit.log reopen logs success, moved.log reload success, moved.log reload failure") {
		t.Errorf("told: %s", got)
	}
}

// TestLogsShareAFile: outputs that name the same place are one, over reloads that part them and join them again; no line is lost or torn.
func TestLogsShareAFile(t *testing.T) {
	dir, blue := shortDir(t), newColour(t, "blue")
	defer blue.kill()
	logs := []string{
		"output = \"a.log\"\naccess_output = \"a.log\"\naudit = \"a.log\"",
		"output = \"a.log\"\naccess_output = \"b.log\"\naudit = \"a.log\"",
		"output = \"a.log\"\naccess_output = \"b.log\"\naudit = \"b.log\"",
		"output = \"b.log\"\naccess_output = \"a.log\"\naudit = \"c.log\"",
		"output = \"c.log\"\naccess_output = \"a.log\"",
		"output = \"a.log\"",
	}
	r := run(t, dir, logText(dir, blue.address, logs[0]))
	const each = 50
	for i, text := range logs {
		if i > 0 {
			r.write(logText(dir, blue.address, text))
			if status, answer, err := r.try("POST", "/v1/reload", ""); err != nil || status != http.StatusOK {
				t.Fatalf("%d %s %v", status, answer, err)
			}
		}
		for range each {
			if status, _ := r.client.get(t); status != http.StatusOK {
				t.Fatalf("status %d", status)
			}
		}
	}
	r.stop()
	access, audit := 0, 0
	for _, name := range []string{"a.log", "b.log", "c.log"} {
		for _, line := range objects(t, filepath.Join(dir, name)) {
			switch line["event.dataset"] {
			case "weir.access":
				access++
			case "weir.audit":
				audit++
			}
		}
	}
	// The file watch may come first, and its reloads are audited too: a reload by the API that finds nothing to do is a line besides.
	if access != each*len(logs) || audit < len(logs)-1 {
		t.Errorf("%d access lines and %d of the audit log, want %d and at least %d", access, audit, each*len(logs), len(logs)-1)
	}
}
