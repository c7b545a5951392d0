package compare_test

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/compare"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// The test binary doubles as a stand-in for weir: a real proxy process that is started by
// "run -c FILE" and takes address, target and certificate from the file it is given. It is the
// standard library's, so it also shows a proxy that adds fewer headers than the others.
const standIn = "WEIRBENCH_TEST_WEIR"

func TestMain(m *testing.M) {
	if os.Getenv(standIn) == "" {
		os.Exit(m.Run())
	}
	if err := proxyLikeWeir(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func proxyLikeWeir(args []string) error {
	if len(args) == 1 && args[0] == "version" {
		fmt.Println("weir 0.0.0-stand-in")
		return nil
	}
	if len(args) != 3 || args[0] != "run" || args[1] != "-c" {
		return fmt.Errorf("usage: weir run -c FILE, got %q", args)
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	_, listener, _ := strings.Cut(string(text), "[[listener]]")
	value := func(pattern string) string {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(listener); m != nil {
			return m[1]
		}
		return ""
	}
	origin := &url.URL{Scheme: "http", Host: value(`targets = \["([^"]+)"`)}
	proxy := httputil.NewSingleHostReverseProxy(origin)
	address := value(`address = "([^"]+)"`)
	if cert := value(`cert = "([^"]+)"`); cert != "" {
		key := value(`key = "([^"]+)"`)
		if value(`protocols = (.*"h3")`) != "" {
			go func() { fmt.Println(http3.ListenAndServeQUIC(address, cert, key, proxy)) }() // ends with the process
		}
		return http.ListenAndServeTLS(address, cert, key, proxy)
	}
	return http.ListenAndServe(address, proxy)
}

// likeWeir is a program that starts the stand-in.
func likeWeir(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weir")
	script := fmt.Sprintf("#!/bin/sh\nexec env %s=1 %s \"$@\"\n", standIn, self)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWeirColumn(t *testing.T) {
	o := options(t)
	o.Weir = likeWeir(t)
	o.Proxies = []peer.Name{peer.Nginx, peer.Weir}
	o.Scenarios = []string{"h1-get", "h1-tls", "h2-get", "h3-get", "handshake", "post-64k", "body-1m", "idle-10k"}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failures > 0 || r.Versions["weir"] != "weir 0.0.0-stand-in" {
		t.Errorf("%d failures, versions %v", r.Failures, r.Versions)
	}
	for _, w := range r.Rows {
		// What 200 resting connections add to a process may fit into pages that it has already: then there is no ratio to nothing.
		fits := w.Scenario == "idle-10k" && min(w.Median[peer.Weir], w.Median[peer.Nginx]) <= 0
		if !fits && (!(w.Median[peer.Weir] > 0) || !(w.Ratio[peer.Nginx] > 0) && w.Scenario != "h3-get") {
			t.Errorf("%s: median %v, ratio %v", w.Scenario, w.Median, w.Ratio)
		}
		// The standard library's proxy costs several times nginx (measured: five), on any machine.
		if w.Scenario == "h1-get" && w.Ratio[peer.Nginx] < 1.5 {
			t.Errorf("h1-get: net/http at %v × nginx", w.Ratio[peer.Nginx])
		}
	}
	notes := strings.Join(r.Notes, "\n")
	for _, header := range []string{"x-forwarded-proto", "x-forwarded-host", "x-request-id"} {
		if !strings.Contains(notes, "weir does not send "+header) {
			t.Errorf("no note about %s in %q", header, notes)
		}
	}
	if strings.Contains(notes, "nginx") || strings.Contains(notes, "x-forwarded-for") {
		t.Errorf("notes %q", notes)
	}
}

// TestObserved: weir beside a weir with an access log, of which there is a line for each request; one that writes none gives no figure.
func TestObserved(t *testing.T) {
	o := options(t)
	o.Proxies, o.Scenarios, o.Weir = []peer.Name{peer.Nginx, peer.Weir}, []string{"observed"}, filepath.Join(t.TempDir(), "weir")
	if out, err := exec.Command("go", "build", "-C", "../../../..", "-o", o.Weir, "./cmd/weir").CombinedOutput(); err != nil {
		t.Fatalf("build weir: %v: %s", err, out)
	}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Failures > 0 || len(r.Rows) != 3 {
		t.Fatalf("%d rows, notes %q", len(r.Rows), r.Notes)
	}
	for _, w := range r.Rows {
		// How much a log adds is no matter for a crowded machine.
		if v := w.Values[peer.Weir]; len(v) != 1 || w.Unit == "µs/request" && !(v[0] > 1 && v[0] < 5000) || !(v[0] > -100) || len(w.Values[peer.Nginx]) > 0 {
			t.Errorf("%s: %v", w.Name, w.Values)
		}
	}
	if w := r.Rows[2]; w.Max == nil || *w.Max != 10 || w.Issue != "F" || w.Verdict != compare.NotJudged {
		t.Errorf("demand %+v, %s", w.Figure, w.Verdict)
	}
	o.Weir = likeWeir(t)
	r, err = compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(r.Notes, "\n"); r.Failures != 1 || !strings.Contains(notes, "access log") {
		t.Errorf("without a log: %d failures, notes %q", r.Failures, notes)
	}
}
