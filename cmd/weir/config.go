package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/configs"
)

func (sh *shell) configVerb() *cobra.Command {
	return sh.family("config", "Print a configuration as it is understood, or its language", sh.configPrintVerb(), sh.configSchemaVerb())
}

func (sh *shell) configPrintVerb() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "print -c FILE",
		Short: "Print every key of a configuration with its value: defaults filled in, references expanded, secrets redacted",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := configs.Load(config, os.LookupEnv)
			if err != nil {
				return err
			}
			_, err = sh.stdout.Write(cfg.TOML())
			return err
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", defaultConfig, "configuration `FILE`")
	return cmd
}

func (sh *shell) configSchemaVerb() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the configuration's language as a JSON Schema, for editors",
		Long: "Print the configuration's language as a JSON Schema, for editors: they complete keys, show the manual and underline mistakes. Editors that use taplo find it by the\n" +
			"file's first line:\n\n  #:schema ./weir.schema.json",
		Example: "  weir config schema > weir.schema.json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := sh.stdout.Write(configs.JSONSchema())
			return err
		},
	}
}
