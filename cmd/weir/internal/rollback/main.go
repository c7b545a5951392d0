package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	weir, api     string // programs
	runs          int
	rate, clients int
	latency       bool
	within        time.Duration // the most that the median may be
	limit         time.Duration // of everything
	json          bool
}

func main() {
	// The kernel tells children of our end when the thread that forked them ends; this one does not before us.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "rollback:", err)
		os.Exit(1)
	}
}

// errUsage has been explained on stderr already.
var errUsage = errors.New("usage")

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	tell := out
	if o.json {
		tell = os.Stderr
	}
	p := &proof{options: o, out: tell}
	err = p.play(ctx)
	if o.json {
		b, encoding := json.Marshal(p.account)
		_, writing := fmt.Fprintf(out, "%s\n", b)
		err = errors.Join(err, encoding, writing)
	}
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return fmt.Errorf("not over within %s: %w", o.limit, err)
	}
	return err
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("rollback", flag.ContinueOnError)
	f.StringVar(&o.weir, "weir", "bin/weir", "the weir to prove")
	f.StringVar(&o.api, "api", "bin/valor-api", "the API behind it")
	f.IntVar(&o.runs, "runs", 1, "how often the bad version is shipped, 1 to 100")
	f.IntVar(&o.rate, "rate", 1000, "requests a second, 100 to 2000")
	f.IntVar(&o.clients, "clients", 250, "client addresses, each with a connection of its own, 50 to 1000")
	f.BoolVar(&o.latency, "latency", true, "slow answers count against a version too, as by default in weir; a machine that has other work makes any version slow")
	f.DurationVar(&o.within, "within", 5*time.Second, "the most that the median rollback may take")
	f.DurationVar(&o.limit, "limit", 10*time.Minute, "end, whatever is not done by then")
	f.BoolVar(&o.json, "json", false, "the account as JSON, what is told on the way on stderr")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return o, err
	case err != nil:
		return o, errUsage
	}
	if f.NArg() > 0 || o.runs < 1 || o.runs > 100 || o.rate < 100 || o.rate > 2000 || o.clients < 50 || o.clients > 1000 || o.limit <= 0 || o.within <= 0 {
		f.Usage()
		return o, errUsage
	}
	return o, nil
}
