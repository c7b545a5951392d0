package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
)

func (sh *shell) incidentsVerb() *cobra.Command {
	var asJSON bool
	cmd := sh.asking(&cobra.Command{
		Use:   "incidents [ID | last]",
		Short: "List what was kept of rollbacks, or print one as Markdown",
		Long: "List what was kept of rollbacks, or print one as Markdown: the evidence over time, requests that failed and those of the other groups beside them,\n" +
			"what changed in the configuration since the last promotion, and the state of the targets. Every rollout that is rolled back by itself leaves one.",
		Example: "  weir incidents\n  weir incidents last > incident.md",
		Args:    cobra.MaximumNArgs(1),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		list, err := c.Incidents(cmd.Context())
		if err != nil {
			return err
		}
		if len(args) == 0 {
			if asJSON {
				return json.NewEncoder(sh.stdout).Encode(list)
			}
			show.Incidents(sh.stdout, list)
			return nil
		}
		id := args[0]
		if id == "last" && len(list) > 0 {
			id = list[0].ID
		}
		i, err := c.Incident(cmd.Context(), id)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(sh.stdout).Encode(i)
		}
		show.Incident(sh.stdout, &i)
		return nil
	})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
