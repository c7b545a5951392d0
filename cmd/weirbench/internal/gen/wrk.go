package gen

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Wrk is one run of wrk(1): one thread, closed loop, keep-alive.
type Wrk struct {
	URL      string
	Conns    int
	Duration time.Duration // whole seconds: wrk takes no others
	Headers  []string      // "Name: value"
	Script   string        // a Lua file, empty for none
	Core     int
	Dir      string // where its output is kept while it runs
}

// answerWithin is after how long wrk takes an answer for a failure: far longer than any server needs, because the machine may stand still for some seconds, which is nobody's failure.
const answerWithin = "30s"

// WrkResult is what wrk says it did. Failed counts socket errors and statuses other than 2xx and 3xx.
type WrkResult struct {
	Requests int
	Failed   int
}

// ErrNone means that not one request was answered.
var ErrNone = errors.New("not one request was answered")

// Run runs wrk and returns its count. A run with failures is returned as an error: requests that fail
// cost something else than what is being measured.
func (w Wrk) Run(ctx context.Context) (WrkResult, error) {
	text, err := tool{name: "wrk", args: w.args(), core: w.Core, dir: w.Dir}.run(ctx)
	if err != nil {
		return WrkResult{}, err
	}
	r, err := ParseWrk(text)
	if err == nil && r.Failed > 0 {
		err = fmt.Errorf("run wrk: %d of %d requests failed", r.Failed, r.Requests)
	}
	return r, err
}

func (w Wrk) args() []string {
	args := []string{"-t1", fmt.Sprintf("-c%d", w.Conns), fmt.Sprintf("-d%ds", int(w.Duration.Seconds())), "--timeout", answerWithin}
	for _, h := range w.Headers {
		args = append(args, "-H", h)
	}
	if w.Script != "" {
		args = append(args, "-s", w.Script)
	}
	return append(args, w.URL)
}

// ParseWrk reads the summary that wrk prints.
func ParseWrk(text string) (WrkResult, error) {
	done := regexp.MustCompile(`(?m)^\s*(\d+) requests in `).FindStringSubmatch(text)
	if done == nil {
		return WrkResult{}, fmt.Errorf("parse wrk: no request count in %.200q", text)
	}
	var r WrkResult
	var err error
	if r.Requests, err = strconv.Atoi(done[1]); err != nil {
		return WrkResult{}, fmt.Errorf("parse wrk: %w", err)
	}
	if r.Requests == 0 {
		return WrkResult{}, fmt.Errorf("parse wrk: %w", ErrNone)
	}
	failed := regexp.MustCompile(`(?m)^\s*(?:Non-2xx or 3xx responses: (\d+)|Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+))`)
	for _, m := range failed.FindAllStringSubmatch(text, -1) {
		for _, digits := range m[1:] {
			if digits == "" {
				continue
			}
			n, err := strconv.Atoi(digits)
			if err != nil {
				return WrkResult{}, fmt.Errorf("parse wrk: %w", err)
			}
			r.Failed += n
		}
	}
	return r, nil
}
