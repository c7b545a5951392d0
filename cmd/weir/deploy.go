package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/valor-ivx/weir/cmd/weir/internal/deploy"
)

// deployFlags are what deploy can be told beside what a rollout can.
type deployFlags struct {
	rollout  rolloutFlags
	healthy  time.Duration
	evidence string
}

func (sh *shell) deployVerb() *cobra.Command {
	var a access
	var o deployFlags
	cmd := &cobra.Command{
		Use:   "deploy SERVICE --to GROUP[=HOST:PORT,…] [--wait]",
		Short: "Ship a group: wait until it is healthy, move traffic to it by evidence, tell what came of it",
		Example: "  weir deploy api --to green --wait\n  weir deploy api --to green=10.0.0.3:5002,10.0.0.4:5002 --wait --evidence deploy.md\n" +
			"  weir deploy api --to green --wait --json > verdict.json",
		Long: "Wait until the targets of a group are healthy, start a rollout to it by the service's settings, and with --wait follow that to its end.\n\n" +
			"Addresses after the group say which targets are meant: with others nothing is begun. The rollout is weir's: Ctrl-C, a lost connection and a restart of weir\n" +
			"do not end it, and the same command again follows it.\n\n" +
			"With --wait: exit 0 promoted, 4 rolled back or aborted, 5 not healthy within --healthy-timeout (no weight has moved) or not over within --wait-timeout (it goes on),\n" +
			"130 left by a second Ctrl-C. Progress is on standard error, the verdict on standard output.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return sh.deploy(cmd, a, o, args[0]) },
	}
	a.flags(cmd.Flags())
	o.flags(cmd.Flags())
	return cmd
}

func (o *deployFlags) flags(f *pflag.FlagSet) {
	o.rollout.flags(f)
	f.VisitAll(func(g *pflag.Flag) { g.Usage = strings.TrimPrefix(g.Usage, "start: ") })
	f.Lookup("to").Usage = "the `GROUP[=HOST:PORT,…]` to ship (default: the only one without weight)"
	f.Lookup("wait").Usage = "wait for the end and tell it by the exit code"
	f.Lookup("json").Usage = "print the verdict as one JSON document"
	f.DurationVar(&o.healthy, "healthy-timeout", 2*time.Minute, "how long the group's targets may take to be healthy, before anything is begun")
	f.StringVar(&o.evidence, "evidence", "", "write what came of it to `FILE` too, as Markdown for a pull request; - for standard output, in place of the plain text")
}

func (sh *shell) deploy(cmd *cobra.Command, a access, f deployFlags, service string) error {
	o := deploy.Options{
		Service: service, Wait: f.rollout.wait, Healthy: f.healthy, Timeout: f.rollout.limit, Progress: sh.stderr, Command: sh.again(cmd, service),
	}
	var err error
	if f.rollout.to, o.Targets, err = parseShipped(f.rollout.to); err != nil {
		return usageError{err}
	}
	if o.Request, err = f.rollout.request(cmd.Flags()); err != nil {
		return usageError{err}
	}
	if o.Client, err = a.client(sh); err != nil {
		return err
	}
	if f.evidence == "-" && f.rollout.print {
		return usageError{errors.New("--json and --evidence - both want standard output")}
	}
	if f.evidence != "" && f.evidence != "-" { // before anything is begun: a file that cannot be written is found now
		file, err := os.OpenFile(f.evidence, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		_ = file.Close() // nothing was written
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	o.Signals = signals
	v, err := deploy.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	if err := sh.verdict(&v, f); err != nil {
		// What came of the rollout is what the exit code is for.
		fmt.Fprintf(sh.stderr, "weir: write the verdict: %v\n", err)
		return exit(max(v.ExitCode, exitInvalid))
	}
	return exit(v.ExitCode)
}

// verdict prints what came of it.
func (sh *shell) verdict(v *deploy.Verdict, f deployFlags) error {
	var failed error
	if f.evidence == "-" {
		v.Markdown(sh.stdout)
		return nil
	}
	if f.evidence != "" {
		var b bytes.Buffer
		v.Markdown(&b)
		failed = os.WriteFile(f.evidence, b.Bytes(), 0o644)
	}
	if !f.rollout.print {
		v.Text(sh.stdout)
		return failed
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(sh.stdout, "%s\n", b)
	}
	return errors.Join(failed, err)
}

// parseShipped reads GROUP or GROUP=HOST:PORT,….
func parseShipped(to string) (group string, targets []string, err error) {
	group, list, named := strings.Cut(to, "=")
	if !named {
		return group, nil, nil
	}
	if group == "" {
		return "", nil, fmt.Errorf("--to %q: there is no group before the =", to)
	}
	for address := range strings.SplitSeq(list, ",") {
		address = strings.TrimSpace(address)
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			return "", nil, fmt.Errorf("--to %q: %q is not HOST:PORT", to, address)
		}
		targets = append(targets, address)
	}
	return group, targets, nil
}

// again is the command as it can be typed again: what was given by flags, in their order, quoted for a shell.
func (sh *shell) again(cmd *cobra.Command, service string) string {
	words := []string{quoted(sh.self), "deploy", quoted(service)}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "bool" && f.Value.String() == "true" {
			words = append(words, "--"+f.Name)
			return
		}
		words = append(words, "--"+f.Name+"="+quoted(f.Value.String()))
	})
	return strings.Join(words, " ")
}

// quoted is a word for a POSIX shell.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=+@%", r)
	}
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
