// Command weirbench measures weir beside nginx and HAProxy (compare) and puts a running edge under
// load (load). It is a module of its own so that its dependencies stay out of the product. It talks
// to loopback only, installs nothing, and leaves no process behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gostd"
)

const usage = `usage:
  weirbench compare [flags]   nginx, HAProxy and weir side by side: CPU, memory, latency
  weirbench load [flags]      vegeta against a running edge or "weir demo"
  weirbench gostd FILE        the proxy that net/http gives, as a peer of compare
Flags of a verb: weirbench VERB -h
`

// errUsage has been explained on stderr already.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "weirbench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, diag io.Writer) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "compare":
		return runCompare(ctx, args[1:], out, diag)
	case "load":
		return runLoad(ctx, args[1:], out, diag)
	case "gostd":
		if len(args) != 2 {
			fmt.Fprint(diag, usage)
			return errUsage
		}
		return gostd.Run(ctx, args[1], diag)
	default:
		fmt.Fprint(diag, usage)
		return errUsage
	}
}

// parse reads a verb's flags; the flag package has reported an error by itself.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return errUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(flags.Output(), "%s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return errUsage
	}
	return nil
}
