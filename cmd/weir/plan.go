package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

func (sh *shell) planVerb() *cobra.Command {
	var config string
	var asJSON bool
	cmd := sh.asking(&cobra.Command{
		Use:   "plan [-c NEW]",
		Short: "Show what a reload would change and what live traffic would notice, without doing it",
		Long: "Show what a reload would change and what live traffic would notice, without doing it.\n\n" +
			"The running weir does all of a reload that can fail, sockets, certificates and new targets included, and takes it back. NEW lies in the folder of its\n" +
			"configuration; without -c it is that file as it is now. Exit code 1: a reload would be refused, with every reason.",
		Example: "  weir plan\n  weir plan -c /etc/weir/new.toml && mv /etc/weir/new.toml /etc/weir/weir.toml && weir reload",
		Args:    noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		var q admin.PlanRequest
		if config != "" {
			whole, err := filepath.Abs(config)
			if err != nil {
				return fmt.Errorf("find %s: %w", config, err)
			}
			q.Path = whole
		}
		p, err := c.Plan(cmd.Context(), q)
		if err != nil {
			return err
		}
		if asJSON {
			return json.NewEncoder(sh.stdout).Encode(p)
		}
		show.Plan(sh.stdout, p)
		return nil
	})
	cmd.Flags().StringVarP(&config, "config", "c", "", "the `NEW` configuration, beside the one in force")
	// WEIR_CONFIG names what is run; it must not make a plan of it without being typed.
	_ = cmd.Flags().SetAnnotation("config", noEnv, []string{""})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
