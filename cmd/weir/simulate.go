package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/server"
)

func (sh *shell) limitsVerb() *cobra.Command {
	return sh.family("limits", "Try limits on the requests of an access log", sh.simulateVerb())
}

// simulateOptions are what limits simulate can be told.
type simulateOptions struct {
	config, log, host, limit string
	asJSON, each             bool
}

func (sh *shell) simulateVerb() *cobra.Command {
	var o simulateOptions
	cmd := &cobra.Command{
		Use:   "simulate --log FILE -c FILE",
		Short: "Tell whom the limits of a configuration would have refused, from an access log; nothing is sent or changed",
		Long: "Tell whom the limits of a configuration would have refused, from an access log; nothing is sent or changed.\n\n" +
			"The limits are the configuration's, decided by the code that decides for live requests, at the times of the log. Both log formats are read;\n" +
			"JSON tells more. A limit that counts by a header or a cookie cannot be told: no access log holds them.",
		Example: "  weir limits simulate --log /var/log/weir.log -c new.toml\n  zcat weir.log.*.gz | weir limits simulate --log - -c new.toml --limit login --json",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return sh.simulate(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.log, "log", "", "access log `FILE`, - for standard input")
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration `FILE` with the limits")
	f.StringVar(&o.limit, "limit", "", "tell of the limit `NAME` alone; the others still decide")
	f.StringVar(&o.host, "host", "", "`NAME` that the requests of a combined log were for, which does not say it")
	f.BoolVar(&o.each, "each", false, "print every request that would have been refused, as one JSON object a line, before the summary")
	f.BoolVar(&o.asJSON, "json", false, "print the summary as JSON")
	return cmd
}

func (sh *shell) simulate(o simulateOptions) error {
	if o.log == "" {
		return usageError{fmt.Errorf("--log FILE is missing: the access log to try the limits on")}
	}
	var log io.Reader = os.Stdin
	if o.log != "-" {
		file, err := os.Open(o.log)
		if err != nil {
			return fmt.Errorf("open log: %w", err)
		}
		defer func() { _ = file.Close() }() // only read
		log = file
	}
	lines := json.NewEncoder(sh.stdout)
	options := server.SimulateOptions{ConfigPath: o.config, Log: log, Host: o.host, Limit: o.limit}
	if o.each {
		options.Each = func(l server.Limited) { _ = lines.Encode(l) } // a closed pipe shows below
	}
	s, err := server.Simulate(options)
	if err != nil {
		return err
	}
	if o.asJSON {
		lines.SetIndent("", "  ")
		return lines.Encode(s)
	}
	show.Simulation(sh.stdout, s)
	return nil
}
