package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
)

func (sh *shell) certsVerb() *cobra.Command {
	cmd := sh.asking(&cobra.Command{
		Use:   "certs",
		Short: "Show the certificates of the running weir, and what keeps it from obtaining those that are missing",
		Args:  noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		list, err := c.Certificates(cmd.Context())
		if err != nil {
			return err
		}
		show.Certificates(sh.stdout, list, time.Now())
		return nil
	})
	cmd.AddCommand(sh.certsECHVerb(), sh.certsLocalVerb())
	return cmd
}

func (sh *shell) certsECHVerb() *cobra.Command {
	cmd := sh.asking(&cobra.Command{
		Use:   "ech",
		Short: "Print the parameter ech of the hosts' HTTPS records (RFC 9460), for Encrypted Client Hello",
		Args:  noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		e, err := c.ECH(cmd.Context())
		if err != nil {
			return err
		}
		if e.ConfigList == "" {
			return errors.New("the running weir has no [tls.ech]")
		}
		_, err = fmt.Fprintln(sh.stdout, e.ConfigList)
		return err
	})
	return cmd
}
