package gen_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

const h2loadHead = `starting benchmark...
Main benchmark duration is started for thread #0.
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
Stopped all clients for thread #0

finished in 1.00s, 4000.00 req/s, 265.88KB/s
`

func TestParseH2load(t *testing.T) {
	const good = "requests: 4000 total, 4128 started, 4000 done, 4000 succeeded, 0 failed, 0 errored, 0 timeout\n"
	const ok = "status codes: 4000 2xx, 0 3xx, 0 4xx, 0 5xx\n"
	of := func(requests, failed int) gen.H2loadResult {
		return gen.H2loadResult{Requests: requests, Failed: failed, Protocol: "h2", TLS: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256"}
	}
	for name, c := range map[string]struct {
		text string
		want gen.H2loadResult
		ok   bool
	}{
		"clean": {h2loadHead + good + ok, of(4000, 0), true},
		"one errored": {h2loadHead + "requests: 4001 total, 4004 started, 4001 done, 4000 succeeded, 1 failed, 1 errored, 0 timeout\n" + ok,
			of(4001, 1), true},
		"all 503": {h2loadHead + "requests: 10 total, 10 started, 10 done, 0 succeeded, 10 failed, 0 errored, 0 timeout\n" +
			"status codes: 0 2xx, 0 3xx, 0 4xx, 10 5xx\n", of(10, 10), true},
		"redirects":         {h2loadHead + good + "status codes: 3990 2xx, 10 3xx, 0 4xx, 0 5xx\n", of(4000, 10), true},
		"HTTP/1.1":          {"Application protocol: http/1.1\n" + good + ok, gen.H2loadResult{Requests: 4000, Protocol: "http/1.1"}, true},
		"refused":           {h2loadHead + "requests: 0 total, 0 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout\n" + ok, gen.H2loadResult{}, false},
		"no codes":          {h2loadHead + good, gen.H2loadResult{}, false},
		"more than a count": {strings.Replace(h2loadHead+good+ok, "4000 done", "99999999999999999999 done", 1), gen.H2loadResult{}, false},
		"empty":             {"", gen.H2loadResult{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := gen.ParseH2load(c.text)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("ParseH2load = %+v, %v; want %+v, ok %v", got, err, c.want, c.ok)
			}
		})
	}
	if _, err := gen.ParseH2load(h2loadHead + "requests: 0 total, 0 started, 0 done, 0 succeeded, 0 failed, 0 errored, 0 timeout\n"); !errors.Is(err, gen.ErrNone) {
		t.Errorf("nothing done: %v", err)
	}
}

// The real program against real servers: a figure for the right protocol, an error for anything else.
func TestH2loadRuns(t *testing.T) {
	if _, err := exec.LookPath("h2load"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal(err)
		}
		t.Skip("skipped: needs h2load (make deps)")
	}
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/busy" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	h2, h1 := secure(t, hello, true), secure(t, hello, false)
	const suite = "TLS_AES_128_GCM_SHA256"
	for name, c := range map[string]struct {
		url, cipher, says string
	}{
		"h2":           {h2.URL, suite, ""},
		"HTTP/1.1":     {h1.URL, suite, "negotiated http/1.1"},
		"other cipher": {h2.URL, "TLS_AES_256_GCM_SHA384", "want h2, TLSv1.3, TLS_AES_256_GCM_SHA384"},
		"bad status":   {h2.URL + "/busy", suite, "requests failed"},
		"nobody there": {"https://127.0.0.1:1/", suite, gen.ErrNone.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			l := gen.H2load{URL: c.url, Conns: 2, Streams: 4, Duration: 200 * time.Millisecond, Cipher: c.cipher, Core: proc.AnyCore, Dir: t.TempDir()}
			r, err := l.Run(t.Context())
			if c.says == "" && (err != nil || r.Requests < 10) {
				t.Errorf("Run = %+v, %v", r, err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("Run = %+v, %v; want %q", r, err, c.says)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (gen.H2load{URL: h2.URL, Conns: 1, Streams: 1, Duration: time.Hour, Core: proc.AnyCore, Dir: t.TempDir()}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}
