package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// tap is one watch of requests. Owned by the goroutine of the verb.
type tap struct {
	sh     *shell
	count  uint64
	length time.Duration
	json   bool

	open         bool
	seen, missed uint64
}

func (sh *shell) tapVerb() *cobra.Command {
	t := &tap{sh: sh}
	var filters func() url.Values
	cmd := sh.asking(&cobra.Command{
		Use:   "tap",
		Short: "Watch requests as they end: who asked for what, which route, group and target it got and why, and how it went",
		Long: "Watch requests as they end: who asked for what, which route, group and target it got and why, and how it went.\n\n" +
			"Every given filter must hold. Paths are without query and cut to 112 bytes, as in the flight recorder. At most 2000 requests a second are shown; how many were not is said at\n" +
			"the end. Ctrl-C ends the watch, as do --count and --for.",
		Example: "  weir tap --status 5xx\n  weir tap --service api --group green --min-duration 200ms\n  weir tap --client 203.0.113.0/24 --path /api/auth --for 30s --json",
		Args:    noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if t.length > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, t.length)
			defer cancel()
		}
		err := c.Tap(ctx, filters(), t.show)
		if errors.Is(err, errQuit) || ctx.Err() != nil {
			err = nil
		}
		if t.missed > 0 {
			fmt.Fprintf(sh.stderr, "weir: %d more requests are not shown: they came faster than they could be\n", t.missed)
		}
		return err
	})
	filters = tapFilters(cmd.Flags())
	cmd.Flags().Uint64Var(&t.count, "count", 0, "end after so many requests; 0 does not")
	cmd.Flags().DurationVar(&t.length, "for", 0, "end after so long; 0 does not")
	cmd.Flags().BoolVar(&t.json, "json", false, "print each request as JSON, one a line")
	return cmd
}

// tapFilters are the flags that choose; what they choose is known when they were read.
func tapFilters(f *pflag.FlagSet) func() url.Values {
	texts := map[string]*string{}
	for _, flag := range [][2]string{
		{"service", "only requests for this `SERVICE`"}, {"route", "only requests that this `ROUTE` took"}, {"group", "only requests that this `GROUP` answered or was dealt"},
		{"status", "only answers with this `STATUS`, as 404, or class, as 5xx"}, {"method", "only requests with this `METHOD`"}, {"path", "only paths that begin with `PREFIX`"},
		{"client", "only requests of this `ADDRESS` or network"}, {"header", "only requests that have a field of this `NAME`"},
	} {
		texts[flag[0]] = f.String(flag[0], "", flag[1])
	}
	took := f.Duration("min-duration", 0, "only requests that took at least so long")
	failed := f.Bool("failed", false, "only requests that failed: 5xx, and answers that were cut off")
	return func() url.Values {
		q := url.Values{}
		for name, value := range texts {
			if *value != "" {
				q.Set(name, *value)
			}
		}
		if *took != 0 {
			q.Set("min_duration", took.String())
		}
		if *failed {
			q.Set("failed", "true")
		}
		return q
	}
}

// show prints one event. The first one has no request: from then on none goes by unseen.
func (t *tap) show(e admin.TapEvent) error {
	t.missed += e.Missed
	if !t.open {
		t.open = true
		fmt.Fprintln(t.sh.stderr, "weir: watching requests as they end; Ctrl-C ends this")
	}
	if e.Request == nil {
		return nil
	}
	t.seen++
	var err error
	if t.json {
		err = json.NewEncoder(t.sh.stdout).Encode(e.Request)
	} else {
		err = show.Request(t.sh.stdout, e.Request, t.colours())
	}
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	if t.seen == t.count {
		return errQuit
	}
	return nil
}

// colours reports a terminal that somebody looks at, and that has not asked for none (no-color.org).
func (t *tap) colours() bool {
	none, _ := t.sh.env("NO_COLOR")
	kind, _ := t.sh.env("TERM")
	return t.sh.stdout == os.Stdout && isatty.IsTerminal(os.Stdout.Fd()) && none == "" && kind != "dumb"
}
