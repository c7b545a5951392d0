package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

const (
	exitOK      = 0
	exitInvalid = 1
	exitUsage   = 2
)

// noEnv marks flags without a WEIR_ variable: nginx's, which are another spelling of a verb.
const noEnv = "no-env"

// shell is the process as a verb sees it.
type shell struct {
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	// self is how weir was started, for commands to try that can be typed as printed.
	self string
	// understood is set once flags, arguments and environment made sense: an error before is a usage error.
	understood bool
}

// usageError is a mistake in what was typed, found after the flags were read.
type usageError struct{ error }

// exitError ends the process with a code; what there was to say has been said.
type exitError int

// Error is never shown.
func (e exitError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// execute runs one command line and gives the exit code.
func (sh *shell) execute(ctx context.Context, args []string) int {
	root := sh.root()
	root.SetArgs(args)
	root.SetOut(sh.stdout)
	root.SetErr(sh.stderr)
	verb, err := root.ExecuteContextC(ctx)
	var code exitError
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	case !sh.understood || errors.As(err, &usage):
		fmt.Fprintf(sh.stderr, "weir: %v\n", err)
		if verb != root {
			fmt.Fprintf(sh.stderr, "Usage: %s\n", verb.UseLine())
		}
		fmt.Fprintf(sh.stderr, "Try: %s%s --help\n", sh.self, strings.TrimPrefix(verb.CommandPath(), root.Name()))
		return exitUsage
	default:
		sh.explainFailure(err)
		return exitInvalid
	}
}

// explainFailure prints a verb's error as something a person can act on.
func (sh *shell) explainFailure(err error) {
	var p *admin.Problem
	var gone *client.UnreachableError
	switch {
	case errors.As(err, &p) && p.Status == http.StatusUnauthorized:
		fmt.Fprintln(sh.stderr, "weir: the running weir wants a token: set WEIR_ADMIN_TOKEN or give --token-file FILE")
	case errors.As(err, &p) && p.Status == http.StatusPreconditionFailed:
		fmt.Fprintln(sh.stderr, "weir: somebody else changed this at the same moment, so nothing was done: look again and repeat")
	case errors.As(err, &p) && len(p.Errors) > 0:
		show.Details(sh.stderr, p.Errors)
		fmt.Fprintf(sh.stderr, "weir: %s: nothing was changed\n", p.Title)
	case errors.As(err, &gone):
		fmt.Fprintf(sh.stderr, "weir: %v\n", gone)
	default:
		fmt.Fprintf(sh.stderr, "weir: %v\n", err)
	}
}

// fromEnvironment sets every flag that was not typed from WEIR_NAME, with - as _. An empty variable counts
// as none, as it does for a compose file that passes everything on.
func (sh *shell) fromEnvironment(cmd *cobra.Command) error {
	var bad []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Annotations[noEnv] != nil {
			return
		}
		name := "WEIR_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := sh.env(name)
		if !ok || value == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			bad = append(bad, fmt.Errorf("environment variable %s: %w", name, err))
		}
	})
	return errors.Join(bad...)
}
