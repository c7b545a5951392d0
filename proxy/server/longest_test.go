package server_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/otlptest"
)

// longestAnywhere is past every text of a client that is kept or sent on to whom an operator asks: the paths of spans.
const longestAnywhere = 512

// TestMegabytes: what a client sends a megabyte of is in no log, trace, tap or record at that length: neither where it is refused, nor where as much of it is taken as a listener can be told to.
func TestMegabytes(t *testing.T) {
	for _, format := range []string{"json", "combined"} {
		t.Run(format, func(t *testing.T) { megabytes(t, format) })
	}
}

func megabytes(t *testing.T, format string) {
	c := otlptest.Start(t)
	dir := shortDir(t)
	blue := &colour{name: "blue", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })}
	blue.start(t)
	text := tracedText(dir, blue.address, "endpoint = \""+c.HTTP+"\"\n", "max_uri = \"32KiB\"\n", "")
	r := run(t, dir, strings.Replace(text, "output = ", "access = \""+format+"\"\naudit = \"audit.log\"\noutput = \"weir.log\"\naccess_output = ", 1))
	t.Cleanup(func() {
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	tap := r.tap("?path=/taken")

	mega := strings.Repeat("lorem", 1<<20/5)
	for _, head := range []string{"GET /refused?q=" + mega + " HTTP/1.1\r\nHost: x\r\n\r\n", "GET /refused HTTP/1.1\r\nHost: x\r\nUser-Agent: " + mega + "\r\n\r\n"} {
		conn := connect(t, r.address).conn
		go func() { _, _ = io.WriteString(conn, head) }() // ends with the connection: whether it is all taken before the refusal is nobody's business here
		defer func() { _ = conn.Close() }()
	}
	var wrote string
	eventually(t, "the refusals are logged", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "access.log"))
		wrote = string(b)
		return err == nil && strings.Count(wrote, "\n") == 2
	})
	const most = 30 << 10 // of 32 KiB
	for i, req := range []*http.Request{request(t, r, "/taken?q="+mega[:most]), request(t, r, "/taken/"+mega[:most]), request(t, r, "/taken")} {
		if i == 2 {
			req.Header.Set("User-Agent", mega[:most])
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusInternalServerError {
			t.Fatalf("%s for %.20s", res.Status, req.URL)
		}
		for what, text := range map[string]string{"tap": fmt.Sprintf("%+v", tap.request()), "span": fmt.Sprint(nextRequest(t, c).Attributes)} {
			if strings.Contains(text, mega[:longestAnywhere+1]) || !strings.Contains(text, "/taken") {
				t.Errorf("%s: %.600s", what, text)
			}
		}
	}
	for _, path := range []string{"/v1/requests", "/v1/errors"} {
		if text := r.call(http.StatusOK, "GET", path, ""); strings.Contains(text, mega[:longestAnywhere+1]) || strings.Count(text, `"/taken`) != 3 {
			t.Errorf("%s: %.600s", path, text)
		}
	}
	r.call(http.StatusOK, "POST", "/v1/logs/reopen", "", "Weir-Operator", mega[:10<<10])
	r.stop()
	b, err := os.ReadFile(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	if len(lines) != 6 || lines[5] != "" {
		t.Fatalf("%d lines for 5 requests", len(lines)-1)
	}
	for i, line := range lines[:5] {
		if strings.Contains(line, mega[:observe.LongestField+1]) || len(line) > 3*observe.LongestField || i > 1 && !strings.Contains(line, "...[cut:225") {
			t.Errorf("line %d has %d bytes: %.600s", i, len(line), line)
		}
	}
	if audit, err := os.ReadFile(filepath.Join(dir, "audit.log")); err != nil || len(audit) == 0 || len(audit) > 2000 {
		t.Errorf("%v: audit log: %.600s", err, audit)
	}
}

// request is a GET of the running server.
func request(t *testing.T, r *running, target string) *http.Request {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+r.address+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
