package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/compare"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

func runCompare(ctx context.Context, args []string, out, diag io.Writer) error {
	flags := flag.NewFlagSet("weirbench compare", flag.ContinueOnError)
	flags.SetOutput(diag)
	scenarios := flags.String("scenarios", "", "comma-separated, of "+strings.Join(compare.Names(), ", ")+" (default all)")
	proxies := flags.String("proxies", "nginx,haproxy,gostd,weir", "comma-separated, in the order of a round; gostd (net/http) only where a scenario asks for it")
	rounds := flags.Int("rounds", 3, "interleaved rounds")
	quick := flags.Bool("quick", false, "short windows and few connections: checks the bench, judges nothing")
	weir := flags.String("weir", "bin/weir", "weir's program")
	output := flags.String("o", "", "Markdown file whose marked section is replaced, with a .json beside it (default: print only)")
	proxyCore := flags.Int("proxy-core", 0, "core of the proxy under test")
	loadCore := flags.Int("load-core", 1, "core of origin and load")
	timeout := flags.Duration("timeout", time.Hour, "end of the whole run, whatever it has reached")
	gate := flags.Bool("gate", false, "exit 1 when a demand is not met")
	if err := parse(flags, args); err != nil {
		return err
	}
	names, err := proxyNames(*proxies)
	if err != nil {
		fmt.Fprintln(diag, err)
		return errUsage
	}
	lock, err := proc.Lock(filepath.Join(os.TempDir(), "weirbench.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	o := compare.Options{
		Scenarios: split(*scenarios), Proxies: names, Rounds: *rounds, Quick: *quick, Weir: *weir,
		Command: strings.Join(append([]string{"weirbench", "compare"}, args...), " "), Progress: diag,
	}
	o.ProxyCore, o.LoadCore = compare.Cores(proc.ThisMachine(), *proxyCore, *loadCore)
	if o.LoadCore != proc.AnyCore {
		if err := proc.Pin(o.LoadCore); err != nil {
			return err
		}
	}
	if o.Files, err = proc.RaiseFiles(); err != nil {
		return err
	}
	result, err := compare.Run(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprint(out, result.Markdown())
	if *output != "" {
		if err := result.Write(*output); err != nil {
			return err
		}
	}
	return verdict(result, *gate)
}

// verdict: a bench that could not measure has failed; a figure that misses its demand is a result.
func verdict(r *compare.Result, gate bool) error {
	if r.Failures > 0 {
		return fmt.Errorf("compare: %d trials failed (see the notes)", r.Failures)
	}
	if !gate {
		return nil
	}
	for _, w := range r.Rows {
		if w.Verdict == compare.Fail || w.Verdict == compare.Unknown {
			return fmt.Errorf("compare: %s, %s: %s", w.Scenario, w.Name, w.Verdict)
		}
	}
	return nil
}

func proxyNames(list string) ([]peer.Name, error) {
	var names []peer.Name
	for _, n := range split(list) {
		switch name := peer.Name(n); name {
		case peer.Nginx, peer.HAProxy, peer.GoStd, peer.Weir:
			names = append(names, name)
		default:
			return nil, fmt.Errorf("weirbench compare: unknown proxy %q", n)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("weirbench compare: no proxies given")
	}
	return names, nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
