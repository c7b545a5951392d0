package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// shadowRows are how many places are printed unless all are asked for.
const shadowRows = 20

func (sh *shell) shadowVerb() *cobra.Command {
	var all, print bool
	cmd := sh.asking(&cobra.Command{
		Use:     "shadow SERVICE [reset]",
		Short:   "Show where the answers of a group that is tried differ from those that clients get",
		Example: "  weir shadow api\n  weir shadow api reset",
		Long: "Show where the answers of a group that is tried differ from those that clients get, as the service's shadow has found out. reset counts anew.\n\n" +
			"DIFFERING counts the comparisons in which only the group that is tried differed, NOISE those in which the one that answers differed from itself.",
		Args: cobra.RangeArgs(1, 2),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		var s admin.Shadow
		var err error
		switch {
		case len(args) == 1:
			s, err = c.Shadow(cmd.Context(), args[0])
		case args[1] == "reset":
			s, err = c.ResetShadow(cmd.Context(), args[0])
		default:
			return usageError{fmt.Errorf("shadow %q: it is reset, or nothing", args[1])}
		}
		if err != nil {
			return err
		}
		if print {
			b, err := json.Marshal(s)
			if err == nil {
				_, err = fmt.Fprintf(sh.stdout, "%s\n", b)
			}
			return err
		}
		rows := shadowRows
		if all {
			rows = len(s.Differences)
		}
		show.Shadow(sh.stdout, args[0], s, rows)
		return nil
	})
	cmd.Flags().BoolVar(&all, "all", false, fmt.Sprintf("print every place, not the first %d", shadowRows))
	cmd.Flags().BoolVar(&print, "json", false, "print the admin API's JSON")
	return cmd
}
