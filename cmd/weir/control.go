package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/proxy/admin"
)

// defaultWait is how long stop watches the process drain: run's deadline and the time to close.
const defaultWait = time.Minute

// stopOptions are what the stop verb can be told.
type stopOptions struct {
	now  bool
	wait time.Duration
}

func (sh *shell) stopVerb() *cobra.Command {
	var o stopOptions
	cmd := sh.asking(&cobra.Command{
		Use:   "stop",
		Short: "Stop the running weir gracefully and wait until it has ended",
		Args:  noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error { return sh.stop(cmd.Context(), c, o) })
	cmd.Flags().BoolVar(&o.now, "now", false, "close what is in flight too")
	cmd.Flags().DurationVar(&o.wait, "wait", defaultWait, "how long to wait for the end; 0 does not wait")
	return cmd
}

func (sh *shell) stop(ctx context.Context, c *client.Client, o stopOptions) error {
	mode := admin.StopGracefully
	if o.now {
		mode = admin.StopNow
	}
	res, err := c.Stop(ctx, mode)
	if err != nil {
		return err
	}
	if o.wait <= 0 {
		fmt.Fprintf(sh.stdout, "weir (pid %d) is stopping (%s)\n", res.PID, res.Mode)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.wait)
	defer cancel()
	if err := c.WaitGone(ctx, res.PID); errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("weir (pid %d) is still draining after %s: weir stop --now ends it", res.PID, o.wait)
	} else if err != nil {
		return err
	}
	fmt.Fprintf(sh.stdout, "weir (pid %d) has stopped (%s)\n", res.PID, res.Mode)
	return nil
}

func (sh *shell) logsVerb() *cobra.Command {
	return sh.family("logs", "What concerns the log files", sh.asking(&cobra.Command{
		Use:   "reopen",
		Short: "Close and open the log files again, after they were rotated",
		Args:  noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error { return sh.reopenLogs(cmd.Context(), c) }))
}

func (sh *shell) reopenLogs(ctx context.Context, c *client.Client) error {
	if err := c.ReopenLogs(ctx); err != nil {
		return err
	}
	fmt.Fprintln(sh.stdout, "logs reopened")
	return nil
}

// defaultHealthWait is how long a weir that does not answer is asked: less than the 30 s after which Docker gives a check up without a word.
const defaultHealthWait = 5 * time.Second

func (sh *shell) healthcheckVerb() *cobra.Command {
	var a access
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Exit 0 when the running weir is ready for traffic, 1 otherwise (for a container's HEALTHCHECK)",
		Long: "Exit 0 when the running weir is ready for traffic (a configuration in force, every listener accepting, not stopping), 1 when it is not, does not answer or is not there. " +
			"Prints each check with its reason; where a token is needed and none is given, one word. WEIR_ADMIN says where to ask.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client(sh)
			if err != nil {
				return err
			}
			ok, report, err := c.Ready(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintln(sh.stdout, report)
			if !ok {
				return exitError(exitInvalid)
			}
			return nil
		},
	}
	a.flagsWithin(cmd.Flags(), defaultHealthWait)
	return cmd
}
