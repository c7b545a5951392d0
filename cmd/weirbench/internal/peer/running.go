package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// readyWithin is how long a server may take to listen; stopWithin how long it may take to end before
// it is killed. Both are far above what a healthy one needs, even while others compile.
const (
	readyWithin = 30 * time.Second
	stopWithin  = 20 * time.Second
)

// Running is a server that listens. Its owner calls Stop.
type Running struct {
	Addr netip.AddrPort
	H2   netip.AddrPort // of the origin, where it speaks HTTP/2 without TLS
	name string
	proc *proc.Process
	out  *os.File
}

// Program is a proxy to start.
type Program struct {
	Name   Name
	Binary string // path, as Binary returns it
	Dir    string // for its configuration and everything it writes; made if missing
	Core   int    // the only core it may run on, or proc.AnyCore
}

// Start writes the proxy's configuration for the job, starts it and waits until it listens.
func Start(ctx context.Context, p Program, j Job) (*Running, error) {
	name := map[Name]string{Nginx: "nginx.conf", HAProxy: "haproxy.cfg", Weir: "weir.toml", GoStd: "gostd.json"}[p.Name]
	conf, err := writeConfig(p.Dir, name, j.Config(p.Name, p.Dir))
	if err != nil {
		return nil, err
	}
	args := map[Name][]string{
		Nginx:   {"-e", filepath.Join(p.Dir, "error.log"), "-p", p.Dir, "-c", conf},
		HAProxy: {"-db", "-f", conf},
		Weir:    {"run", "-c", conf},
		GoStd:   {"gostd", conf},
	}[p.Name]
	return start(ctx, string(p.Name), p.Dir, proc.Command{Path: p.Binary, Args: args, Core: p.Core}, j.Listen)
}

// PID is the server's main process.
func (r *Running) PID() int { return r.proc.PID() }

// CPU is what its process tree has used so far.
func (r *Running) CPU() (time.Duration, error) { return proc.CPU(r.PID()) }

// Stop ends the server; it has ended when Stop returns. A server that had ended before, or had to be
// killed, is an error.
func (r *Running) Stop() error {
	defer r.out.Close()
	select {
	case <-r.proc.Done():
		return fmt.Errorf("run %s: ended by itself: %v: %s", r.name, r.proc.Err(), r.said())
	default:
	}
	if err := r.proc.Stop(stopWithin); err != nil {
		return fmt.Errorf("stop %s: %w", r.name, err)
	}
	return nil
}

func start(ctx context.Context, name, dir string, c proc.Command, addr netip.AddrPort) (*Running, error) {
	out, err := os.Create(filepath.Join(dir, "out.txt"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.Out, c.Dir = out, dir
	p, err := proc.Start(c)
	if err != nil {
		out.Close()
		return nil, err
	}
	r := &Running{Addr: addr, name: name, proc: p, out: out}
	if err := r.await(ctx); err != nil {
		// Stop closes the output file; await's error has the reason already.
		_ = r.Stop()
		return nil, err
	}
	return r, nil
}

// await polls the address until it accepts, the process ends, or patience does.
func (r *Running) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("it does not listen after "+readyWithin.String()))
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := net.DialTimeout("tcp", r.Addr.String(), time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-r.proc.Done():
			return fmt.Errorf("start %s: it ended: %v: %s", r.name, r.proc.Err(), r.said())
		case <-ctx.Done():
			return fmt.Errorf("start %s: %w: %s", r.name, context.Cause(ctx), r.said())
		case <-poll.C:
		}
	}
}

// said is the last of what the server printed, for error messages.
func (r *Running) said() string {
	const most = 600
	text, err := os.ReadFile(r.out.Name())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}
