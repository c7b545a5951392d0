package main

import (
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
)

// defaultAdmin is where a configuration without [admin] puts the admin API.
const defaultAdmin = "127.0.0.1:9180"

// access is how a verb reaches a running weir.
type access struct {
	admin     string
	tokenFile string
	timeout   time.Duration
}

func (a *access) flags(f *pflag.FlagSet) {
	// A reload waits for probes of new targets; the server gives up after a minute.
	a.flagsWithin(f, 75*time.Second)
}

// asking makes cmd a verb that asks the running weir, where its flags say.
func (sh *shell) asking(cmd *cobra.Command, do func(cmd *cobra.Command, c *client.Client, args []string) error) *cobra.Command {
	var a access
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := a.client(sh)
		if err != nil {
			return err
		}
		return do(cmd, c, args)
	}
	a.flags(cmd.Flags())
	return cmd
}

// flagsWithin are flags with a time to wait that is the verb's own.
func (a *access) flagsWithin(f *pflag.FlagSet, timeout time.Duration) {
	f.StringVar(&a.admin, "admin", defaultAdmin, "the running weir's admin `ADDRESS`: host:port or unix:///path")
	f.StringVar(&a.tokenFile, "token-file", "", "`FILE` with the admin token (or the token itself in WEIR_ADMIN_TOKEN)")
	f.DurationVar(&a.timeout, "timeout", timeout, "how long to wait for an answer")
}

// client is the API at that address, in the name of whoever typed the verb.
func (a *access) client(sh *shell) (*client.Client, error) {
	token, err := a.token(sh)
	if err != nil {
		return nil, err
	}
	if a.timeout <= 0 {
		return nil, usageError{fmt.Errorf("--timeout %s: it must be more than 0", a.timeout)}
	}
	c, err := client.New(client.Options{Address: a.admin, Token: token, Operator: operator(sh), Timeout: a.timeout})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// token prefers the file: it is a flag, and flags win over the environment.
func (a *access) token(sh *shell) (string, error) {
	if a.tokenFile == "" {
		token, _ := sh.env("WEIR_ADMIN_TOKEN")
		return strings.TrimSpace(token), nil
	}
	b, err := os.ReadFile(a.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	if token := strings.TrimSpace(string(b)); token != "" {
		return token, nil
	}
	return "", fmt.Errorf("read token: %s is empty", a.tokenFile)
}

// operator is "user@host" for the audit log: under sudo, who asked for it.
func operator(sh *shell) string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	// A service's environment often has none of the variables below.
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	for _, variable := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v, _ := sh.env(variable); v != "" {
			name = v
			break
		}
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}
