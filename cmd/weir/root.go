package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// defaultConfig is where a package installs the configuration.
const defaultConfig = "/etc/weir/weir.toml"

// root is the whole command line. Besides its verbs it takes nginx's flags, so that fingers and scripts that
// know them are not surprised: weir -t -c FILE, weir -s reload, weir -c FILE.
func (sh *shell) root() *cobra.Command {
	shim := &nginxShim{}
	cmd := &cobra.Command{
		Use:           "weir",
		Short:         "The edge: TLS, protection, balancing and blue/green in one binary",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return shim.run(cmd, sh) },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			shim.typedConfig = cmd.Flags().Changed("config")
			err := sh.fromEnvironment(cmd)
			sh.understood = err == nil
			return err
		},
	}
	cmd.Long = cmd.Short + ".\n\nEvery flag has an environment variable, WEIR_ and its name: --admin is WEIR_ADMIN. " +
		"A flag wins over its variable.\nnginx's -t, -c FILE, -s reload|quit|stop|reopen, -v and -V work too."
	cmd.AddCommand(sh.hashPasswordVerb(), sh.upgradeVerb())
	shim.flags(cmd.Flags())
	cmd.AddCommand(sh.limitsVerb(), sh.auditVerb(), sh.configVerb(), sh.planVerb(), sh.importVerb()) // what is looked at before it is in force
	cmd.AddCommand(sh.incidentsVerb(), sh.deployVerb(), sh.manVerb(), sh.drainVerb(), sh.evictVerb(), sh.pauseVerb(), sh.resumeVerb())
	cmd.AddCommand(
		sh.runVerb(), sh.checkVerb(), sh.reloadVerb(), sh.stopVerb(), sh.logsVerb(), sh.statusVerb(), sh.topVerb(), sh.tapVerb(), sh.certsVerb(),
		sh.weightsVerb(), sh.rolloutVerb(), sh.shadowVerb(), sh.explainVerb(), sh.demoVerb(), sh.versionVerb(), sh.healthcheckVerb(),
	)
	return cmd
}

// family is a verb that only leads to others.
func (sh *shell) family(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs, // a word here is a verb that there is not
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprint(sh.stderr, cmd.UsageString())
			return exitError(exitUsage)
		},
	}
	cmd.AddCommand(verbs...)
	return cmd
}

// noArgs refuses words behind a verb that takes none. The commonest is a configuration without its -c.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.Flags().Lookup("config") != nil:
		return fmt.Errorf("%q is not expected: a configuration is named by -c FILE", args[0])
	default:
		return fmt.Errorf("%q is not expected", args[0])
	}
}

// nginxShim holds nginx's flags.
type nginxShim struct {
	access  access
	config  string
	signal  string
	test    bool
	version bool
	verbose bool
	plain   bool
	// typedConfig says that -c was on the command line and not in the environment.
	typedConfig bool
}

func (n *nginxShim) flags(f *pflag.FlagSet) {
	f.StringVarP(&n.config, "config", "c", "", "run this configuration, as weir run -c")
	f.StringVarP(&n.signal, "signal", "s", "", "reload, quit, stop or reopen, as nginx")
	f.BoolVarP(&n.test, "test", "t", false, "check the configuration, as weir check")
	f.BoolVarP(&n.version, "nginx-version", "v", false, "print the version, as nginx")
	f.BoolVarP(&n.verbose, "nginx-build", "V", false, "print the version and the build, as nginx")
	f.BoolVar(&n.plain, "version", false, "print the version, as weir version")
	n.access.flags(f)
	for _, name := range []string{"signal", "test", "nginx-version", "nginx-build", "version"} {
		// The flag exists: it is one of those above.
		_ = f.SetAnnotation(name, noEnv, []string{""})
	}
}

// run does what the nginx flags say. WEIR_CONFIG alone starts nothing: a bare `weir` in a shell where it is
// exported must not become a second edge.
func (n *nginxShim) run(cmd *cobra.Command, sh *shell) error {
	config := n.config
	if config == "" {
		config = defaultConfig
	}
	switch {
	case n.plain:
		return sh.version()
	case n.version || n.verbose:
		return sh.nginxVersion(n.verbose)
	case n.test:
		return sh.check(config)
	case n.signal != "":
		return n.send(cmd, sh)
	case n.typedConfig:
		return sh.run(cmd.Context(), runOptions{config: config, drain: defaultDrain, upgrade: defaultUpgrade})
	default:
		fmt.Fprint(sh.stderr, cmd.UsageString())
		return exitError(exitUsage)
	}
}

func (n *nginxShim) send(cmd *cobra.Command, sh *shell) error {
	c, err := n.access.client(sh)
	if err != nil {
		return err
	}
	switch n.signal {
	case "reload":
		return sh.reload(cmd.Context(), c, 0)
	case "quit":
		return sh.stop(cmd.Context(), c, stopOptions{wait: defaultWait})
	case "stop":
		return sh.stop(cmd.Context(), c, stopOptions{wait: defaultWait, now: true})
	case "reopen":
		return sh.reopenLogs(cmd.Context(), c)
	default:
		return usageError{fmt.Errorf("-s %q: it is reload, quit, stop or reopen", n.signal)}
	}
}
