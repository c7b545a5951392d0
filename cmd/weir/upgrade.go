package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (sh *shell) upgradeVerb() *cobra.Command {
	var a access
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Replace the running weir by the program that is on its path now, without losing a connection",
		Long: "Replace the running weir by the program that is on its path now, with the configuration as it is now, without losing a connection.\n\n" +
			"The new process gets every listening socket. When it could serve, the old one stops accepting and drains; " +
			"one that ends, hangs or refuses its configuration changes nothing: the old process goes on, its reasons are printed, and the exit code is 1.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return sh.upgrade(cmd.Context(), a) },
	}
	a.flags(cmd.Flags())
	return cmd
}

func (sh *shell) upgrade(ctx context.Context, a access) error {
	c, err := a.client(sh)
	if err != nil {
		return err
	}
	res, err := c.Upgrade(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(sh.stdout, "weir (pid %d, %s) has taken over from pid %d, which drains\n", res.PID, res.Version, res.Before)
	return nil
}

// command starts this program as it was started, now that its folder is still the one that a relative path begins at. Not os.Executable: that is the file itself,
// past the link that a package manager or a deployment moves to the next version.
func (sh *shell) command() []string {
	program, err := exec.LookPath(sh.self)
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		return nil
	}
	return append([]string{program}, os.Args[1:]...)
}
