package gen

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// H2load is one run of h2load(1): one thread, closed loop, HTTP/2 over TLS.
type H2load struct {
	URL      string
	Conns    int
	Streams  int // outstanding requests per connection
	Duration time.Duration
	Cipher   string // the one TLS 1.3 suite that must be negotiated, as OpenSSL names it
	Core     int
	Dir      string // where its output is kept while it runs
}

// H2loadResult is what h2load says it did. Failed counts requests without an answer of 2xx.
type H2loadResult struct {
	Requests int
	Failed   int
	Protocol string // by ALPN
	TLS      string // version
	Cipher   string
}

// Run runs h2load and returns its count. A run with failures, or over anything but HTTP/2 on the
// demanded cipher, is returned as an error: it costs something else than what is being measured.
func (l H2load) Run(ctx context.Context) (H2loadResult, error) {
	text, err := tool{name: "h2load", args: l.args(), core: l.Core, dir: l.Dir}.run(ctx)
	if err != nil {
		return H2loadResult{}, err
	}
	r, err := ParseH2load(text)
	switch {
	case err != nil:
	case r.Failed > 0:
		err = fmt.Errorf("run h2load: %d of %d requests failed", r.Failed, r.Requests)
	case r.Protocol != "h2" || r.TLS != "TLSv1.3" || r.Cipher != l.Cipher:
		err = fmt.Errorf("run h2load: negotiated %s, %s, %s; want h2, TLSv1.3, %s", r.Protocol, r.TLS, r.Cipher, l.Cipher)
	}
	return r, err
}

func (l H2load) args() []string {
	return []string{
		"-t1", fmt.Sprintf("-c%d", l.Conns), fmt.Sprintf("-m%d", l.Streams),
		"-D", fmt.Sprintf("%dms", l.Duration.Milliseconds()), l.URL,
	}
}

// ParseH2load reads the summary that h2load prints. h2load counts a refused connection as nothing at
// all and still exits with 0: what tells is that not one request was done.
func ParseH2load(text string) (H2loadResult, error) {
	line := regexp.MustCompile(`(?m)^requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$`).FindStringSubmatch(text)
	if line == nil {
		return H2loadResult{}, fmt.Errorf("parse h2load: no request count in %.200q", text)
	}
	var n [5]int
	for i, digits := range line[1:] {
		var err error
		if n[i], err = strconv.Atoi(digits); err != nil {
			return H2loadResult{}, fmt.Errorf("parse h2load: %w", err)
		}
	}
	done, succeeded, failed := n[0], n[1], n[2]
	if done == 0 {
		return H2loadResult{}, fmt.Errorf("parse h2load: %w", ErrNone)
	}
	codes := regexp.MustCompile(`(?m)^status codes: (\d+) 2xx,`).FindStringSubmatch(text)
	if codes == nil {
		return H2loadResult{}, fmt.Errorf("parse h2load: no status codes in %.200q", text)
	}
	good, err := strconv.Atoi(codes[1])
	if err != nil {
		return H2loadResult{}, fmt.Errorf("parse h2load: %w", err)
	}
	// errored and timeout are parts of failed; a 3xx is a success to h2load, not to the bench.
	r := H2loadResult{Requests: done, Failed: failed + max(0, succeeded-good)}
	for label, to := range map[string]*string{"Application protocol": &r.Protocol, "TLS Protocol": &r.TLS, "Cipher": &r.Cipher} {
		if m := regexp.MustCompile(`(?m)^` + label + `: (\S+)$`).FindStringSubmatch(text); m != nil {
			*to = m[1]
		}
	}
	return r, nil
}
