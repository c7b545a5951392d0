package http2_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http2"
)

// BenchmarkH2Load measures the CPU time of this process per request while h2load, in another, asks over 16 connections with 8 streams each. Run it with -cpu 1
// or 2: "own" and "std" (net/http) alternate, so that a noisy machine hits both. own-cpu-ns and std-cpu-ns are the figures, ratio their quotient.
func BenchmarkH2Load(b *testing.B) {
	if _, err := exec.LookPath("h2load"); err != nil {
		b.Skip("needs h2load")
	}
	for _, secure := range []bool{true, false} {
		b.Run("tls="+strconv.FormatBool(secure), func(b *testing.B) {
			own := start(b, secure, http2.Options{}, hello)
			std := startStandard(b, secure, helloBody)
			n := max(b.N, 1000)
			var cpu [2]time.Duration
			for range 3 {
				cpu[0] += loaded(b, own.address(), secure, n)
				cpu[1] += loaded(b, std, secure, n)
			}
			b.ReportMetric(float64(cpu[0].Nanoseconds())/float64(3*n), "own-cpu-ns/req")
			b.ReportMetric(float64(cpu[1].Nanoseconds())/float64(3*n), "std-cpu-ns/req")
			b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "ratio")
			b.ReportMetric(float64(3*n)/float64(own.counters.Flushes.Load()), "requests/write")
		})
	}
}

// BenchmarkLarge is the same for answers of 1 MiB: CPU per MiB.
func BenchmarkLarge(b *testing.B) {
	if _, err := exec.LookPath("h2load"); err != nil {
		b.Skip("needs h2load")
	}
	body := make([]byte, 1<<20)
	own := start(b, true, http2.Options{}, func(s *http2.Stream) { answer(s, 200, body) })
	std := startStandard(b, true, body)
	n := max(b.N, 100)
	var cpu [2]time.Duration
	for range 3 {
		cpu[0] += loaded(b, own.address(), true, n)
		cpu[1] += loaded(b, std, true, n)
	}
	b.ReportMetric(float64(cpu[0].Microseconds())/float64(3*n), "own-cpu-us/MiB")
	b.ReportMetric(float64(cpu[1].Microseconds())/float64(3*n), "std-cpu-us/MiB")
}

func startStandard(b *testing.B, secure bool, body []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := new(http.Protocols)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	srv := &http.Server{Protocols: p, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.Header()["Cache-Control"] = []string{"no-store"}
		_, _ = w.Write(body)
	})}
	if secure {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(b)}}
		go func() { _ = srv.ServeTLS(l, "", "") }()
	} else {
		go func() { _ = srv.Serve(l) }()
	}
	b.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

// loaded runs h2load for n requests and returns the CPU time this process spent meanwhile.
func loaded(b *testing.B, address string, secure bool, n int) time.Duration {
	scheme := "http://"
	if secure {
		scheme = "https://"
	}
	before := cpuTime()
	out, err := exec.Command("h2load", "-c16", "-m8", "-n"+strconv.Itoa(n), "-t1", scheme+address+"/").CombinedOutput()
	if err != nil || !bytes.Contains(out, fmt.Appendf(nil, "%d succeeded, 0 failed, 0 errored, 0 timeout", n)) {
		b.Fatalf("h2load: %v\n%s", err, out)
	}
	return cpuTime() - before
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
