package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/load"
)

func runLoad(ctx context.Context, args []string, out, diag io.Writer) (err error) {
	flags := flag.NewFlagSet("weirbench load", flag.ContinueOnError)
	flags.SetOutput(diag)
	o := load.Options{Command: strings.Join(append([]string{"weirbench", "load"}, args...), " ")}
	flags.StringVar(&o.Target, "target", "http://127.0.0.1:8080", "loopback URL; without a path the demo's mix of health and valuation requests")
	flags.StringVar(&o.Profile, "profile", "steady", "steady, spike (×5 for the middle third) or overload (twice the capacity it finds)")
	flags.DurationVar(&o.Duration, "duration", 0, "of the whole profile (default 20s, 30s, 15s)")
	flags.IntVar(&o.Rate, "rate", 0, "requests per second, at most 2000 (default 500 steady, 300 spike)")
	dir := flags.String("o", "load-report", "folder for report.md and plot.html")
	weir := flags.String("weir", "bin/weir", `program whose "demo" is started if nothing answers at the target; empty: never`)
	if err := parse(flags, args); err != nil {
		return err
	}
	targets, err := load.Targets(ctx, o.Target)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if *weir != "" {
		demo, err := load.StartDemo(ctx, *weir, targets[0].URL, filepath.Join(*dir, "weir-demo.log"))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, demo.Stop()) }()
		if demo.Started() {
			fmt.Fprintf(diag, "started %s demo\n", *weir)
		}
	}
	report, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprint(out, report.Markdown())
	return report.Write(*dir)
}
