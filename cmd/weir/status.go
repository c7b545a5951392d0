package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
)

func (sh *shell) statusVerb() *cobra.Command {
	var asJSON bool
	cmd := sh.asking(&cobra.Command{
		Use:   "status",
		Short: "Show listeners, services, weights, observed shares and targets of the running weir",
		Args:  noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		if asJSON {
			raw, err := c.RawStatus(cmd.Context())
			if err != nil {
				return err
			}
			_, err = sh.stdout.Write(raw)
			return err
		}
		s, err := c.Status(cmd.Context())
		if err != nil {
			return err
		}
		show.Status(sh.stdout, s, time.Now())
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the admin API's JSON")
	return cmd
}
