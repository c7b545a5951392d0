package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/proxy/handover"
	"github.com/valor-ivx/weir/proxy/server"
)

// defaultDrain is how long a TERM lets requests in flight finish: Kubernetes kills after 30 s, so the rest of
// the shutdown fits in what is left.
const defaultDrain = 25 * time.Second

// An upgrade is answered by the process that it replaces, within the minute that the admin API gives a call.
const (
	defaultUpgrade = 30 * time.Second
	mostUpgrade    = 50 * time.Second
)

// runOptions are what the run verb can be told.
type runOptions struct {
	config, pid    string
	drain, upgrade time.Duration
	delay          time.Duration
}

func (sh *shell) runVerb() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run -c FILE",
		Short: "Run the edge in the foreground",
		Long: "Run the edge in the foreground.\n\nSignals: TERM and INT stop gracefully within the drain deadline (a second one: now), " +
			"QUIT gracefully,\nHUP reloads, USR1 reopens the logs, USR2 upgrades.\nExit codes: 0 stopped, 1 invalid configuration or failed start, 3 drain deadline hit.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.run(cmd.Context(), o) },
	}
	cmd.Flags().StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE`")
	cmd.Flags().StringVar(&o.pid, "pid", "", "write the process id to `FILE`")
	cmd.Flags().DurationVar(&o.drain, "drain-timeout", defaultDrain, "how long requests in flight may take after TERM")
	cmd.Flags().DurationVar(&o.delay, "drain-delay", 0, "how long to serve on after TERM, not ready any more, before the listeners close")
	cmd.Flags().DurationVar(&o.upgrade, "upgrade-timeout", defaultUpgrade, "how long the new process of an upgrade may take until it could serve, at most 50s")
	return cmd
}

func (sh *shell) run(ctx context.Context, o runOptions) error {
	if o.upgrade <= 0 || o.upgrade > mostUpgrade {
		return usageError{fmt.Errorf("--upgrade-timeout %s: it must be more than 0 and at most %s", o.upgrade, mostUpgrade)}
	}
	limitMemory()
	if o.delay < 0 {
		return usageError{fmt.Errorf("--drain-delay %s: it must not be less than 0", o.delay)}
	}
	signals := notify()
	defer signal.Stop(signals)
	inherited, err := handover.FromEnvironment()
	if err != nil {
		return err
	}
	return exit(server.Run(ctx, server.Options{
		ConfigPath: o.config, PIDFile: o.pid, Version: readBuild().String(), DrainTimeout: o.drain, DrainDelay: o.delay,
		Inherited: inherited, Notify: notifier(), Command: sh.command(), UpgradeTimeout: o.upgrade,
		Stdout: sh.stdout, Stderr: sh.stderr,
	}, signals))
}

// notifier is whom systemd wants to be told of this process; it stays in the environment for the one that may replace it.
func notifier() handover.Notifier { return handover.Notifier(os.Getenv("NOTIFY_SOCKET")) }

// notify receives the signals of the contract.
// A broken pipe on stdout must not end the edge either: who reads the log is not who needs the service.
func notify() chan os.Signal {
	signal.Ignore(syscall.SIGPIPE)
	// Nor must a log that has grown to the process's limit on files (ulimit -f): the write fails, and its lines are counted.
	signal.Ignore(syscall.SIGXFSZ)
	// Room for a few of each: os/signal drops what does not fit.
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	return signals
}

func (sh *shell) checkVerb() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration and print FILE:LINE:COL: message for everything wrong with it",
		Args:  noArgs,
		RunE:  func(*cobra.Command, []string) error { return sh.check(config) },
	}
	cmd.Flags().StringVarP(&config, "config", "c", defaultConfig, "configuration `FILE`")
	return cmd
}

// check leaves printing to server.Check: errors and warnings are what a person asked for, so they go to
// stdout, and a script greps them there.
func (sh *shell) check(config string) error {
	if !server.Check(config, sh.stdout) {
		return exitError(exitInvalid)
	}
	return nil
}

func exit(code int) error {
	if code == exitOK {
		return nil
	}
	return exitError(code)
}
