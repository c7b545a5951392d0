package http2_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// echo reads the request's body to its end and answers with it, trailers included.
func echo(s *http2.Stream) {
	var e exchange
	if err := s.ReadRequest(&e.req); err != nil {
		refuse(s, err)
		return
	}
	var body []byte
	b := s.Body()
	for !b.Complete() {
		p, err := b.Next()
		body = append(body, p...)
		if err != nil && !b.Complete() {
			return // the client is gone, or too slow
		}
	}
	if len(body) == 0 {
		body = helloBody
	}
	e.resp.Status, e.resp.Framing = 200, message.Chunked
	s.WriteHead(&e.resp, []byte("content-type: text/plain\r\n"), false)
	s.Write(body)
	s.Finish(b.Trailers())
}

// TestH2spec runs every case of h2spec, from the module that .ci/tools/h2spec.mod pins. None may fail.
func TestH2spec(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	tool, err := exec.Command("go", "tool", "-modfile=../../.ci/tools/h2spec.mod", "-n", "h2spec").Output()
	if err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatalf("h2spec: %v", err)
		}
		t.Skip("skipped: needs h2spec (make deps)")
	}
	s := start(t, true, http2.Options{}, echo)
	host, port, _ := strings.Cut(s.address(), ":")
	out, err := exec.Command(strings.TrimSpace(string(tool)), "-h", host, "-p", port, "-t", "-k", "-o", "60", "-S").CombinedOutput()
	if err != nil || !strings.Contains(string(out), " 0 failed") {
		t.Fatalf("h2spec: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
}
