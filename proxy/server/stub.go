// Package server is a stand-in with the agreed signatures, so that cmd/weir compiles on its own branch.
// DELETE THIS FILE when the real proxy/server is merged.
package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// Server is the stand-in's server.
type Server struct{}

// Options are the agreed options.
type Options struct {
	ConfigPath     string
	PIDFile        string
	Version        string
	DrainTimeout   time.Duration
	Stdout, Stderr io.Writer
	Ready          func(*Server)
}

// Run says it is ready and waits for TERM, INT or QUIT.
func Run(ctx context.Context, o Options, signals <-chan os.Signal) int {
	if !Check(o.ConfigPath, o.Stderr) {
		return 1
	}
	if o.Ready != nil {
		o.Ready(&Server{})
	}
	for {
		select {
		case <-ctx.Done():
			return 0
		case s := <-signals:
			_, _ = fmt.Fprintf(o.Stdout, "stub: signal %v\n", s)
			switch s.String() {
			case "terminated", "interrupt", "quit":
				return 0
			}
		}
	}
}

// Check finds fault with a file that cannot be read or begins with "bad".
func Check(path string, w io.Writer) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		_, _ = fmt.Fprintf(w, "%s:1:1: %v\n", path, err)
		return false
	}
	if len(b) >= 3 && string(b[:3]) == "bad" {
		_, _ = fmt.Fprintf(w, "%s:1:1: bad\n", path)
		return false
	}
	return true
}
