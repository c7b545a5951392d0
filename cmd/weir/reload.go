package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
)

func (sh *shell) reloadVerb() *cobra.Command {
	var confirm time.Duration
	cmd := sh.asking(&cobra.Command{
		Use:   "reload",
		Short: "Read the configuration again, wait until it is in force and print what changed, or every error",
		Long: "Read the configuration again, wait until it is in force and print what changed, or every error.\n\n" +
			"With --confirm 60s it is in force for a minute: then what was in force before is again, unless weir reload confirm comes first, so that one who has locked everybody out, himself\n" +
			"included, need only wait. Whatever is reloaded until then waits for the same confirmation. The file stays as it is: after a revert, a reload or a restart takes it again.",
		Example: "  weir reload --confirm 60s && curl -fsS https://example.com/ && weir reload confirm\n  weir reload revert",
		Args:    noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		return sh.reload(cmd.Context(), c, confirm)
	})
	cmd.Flags().DurationVar(&confirm, "confirm", 0, "take it back after so long, unless weir reload confirm comes first")
	cmd.AddCommand(
		sh.unconfirmedVerb("confirm", "Make the configuration in force stay, after weir reload --confirm", func(ctx context.Context, c *client.Client) error {
			r, err := c.ConfirmReload(ctx)
			if err == nil {
				fmt.Fprintf(sh.stdout, "confirmed: generation %d stays in force\n", r.Generation)
			}
			return err
		}),
		sh.unconfirmedVerb("revert", "Put the configuration from before weir reload --confirm in force again, at once", func(ctx context.Context, c *client.Client) error {
			r, err := c.RevertReload(ctx)
			if err == nil {
				show.Reload(sh.stdout, r)
				fmt.Fprintln(sh.stdout, "the file still says otherwise: a reload or a restart takes it again")
			}
			return err
		}),
	)
	return cmd
}

func (sh *shell) reload(ctx context.Context, c *client.Client, confirm time.Duration) error {
	res, err := c.Reload(ctx, confirm)
	if err != nil {
		return err
	}
	show.Reload(sh.stdout, res)
	return nil
}

// unconfirmedVerb is one that ends the wait for a confirmation.
func (sh *shell) unconfirmedVerb(name, short string, do func(context.Context, *client.Client) error) *cobra.Command {
	return sh.asking(&cobra.Command{Use: name, Short: short, Args: noArgs}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		return do(cmd.Context(), c)
	})
}
