package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// Demo is the edge under load: one that was running already, or "weir demo" that we started and own.
type Demo struct {
	proc *proc.Process // nil: not ours
	out  *os.File
}

// demoReadyWithin is the contract's promise for an empty build cache; a built one takes a second.
const demoReadyWithin = 120 * time.Second

// demoStopWithin leaves the demo time to end its two API instances.
const demoStopWithin = 15 * time.Second

// StartDemo uses what answers at ready already, else runs "WEIR demo", its output going to logFile,
// and waits for a good answer there. The owner calls Stop.
func StartDemo(ctx context.Context, weir, ready, logFile string) (*Demo, error) {
	if answers(ctx, ready) == nil {
		return &Demo{}, nil
	}
	out, err := os.Create(logFile)
	if err != nil {
		return nil, fmt.Errorf("start weir demo: %w", err)
	}
	p, err := proc.Start(proc.Command{Path: weir, Args: []string{"demo"}, Core: proc.AnyCore, Out: out})
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("nothing answers at %s, and: %w (make build)", ready, err)
	}
	d := &Demo{proc: p, out: out}
	if err := d.await(ctx, ready); err != nil {
		return nil, errors.Join(err, d.Stop())
	}
	return d, nil
}

// Started says whether the demo is ours.
func (d *Demo) Started() bool { return d.proc != nil }

// Stop ends the demo if we started it.
func (d *Demo) Stop() error {
	if d.proc == nil {
		return nil
	}
	defer d.out.Close()
	return d.proc.Stop(demoStopWithin)
}

func (d *Demo) await(ctx context.Context, ready string) error {
	ctx, cancel := context.WithTimeout(ctx, demoReadyWithin)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		last := answers(ctx, ready)
		if last == nil {
			return nil
		}
		select {
		case <-d.proc.Done():
			text, _ := os.ReadFile(d.out.Name()) // its own words, if it had any
			return fmt.Errorf("start weir demo: it ended: %v: %s", d.proc.Err(), strings.TrimSpace(string(text[max(0, len(text)-600):])))
		case <-ctx.Done():
			return fmt.Errorf("start weir demo: %w: %w", ctx.Err(), last)
		case <-poll.C:
		}
	}
}

// answers asks once.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, res.StatusCode)
	}
	return nil
}
