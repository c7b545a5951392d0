package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	edgetls "github.com/valor-ivx/weir/tls"
)

func (sh *shell) certsLocalVerb() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "local --out FOLDER HOST...",
		Short: "Make a certificate for HOSTs by a certificate authority of this machine's own, to try TLS without a public name",
		Long: "Make a certificate for HOSTs by a certificate authority of this machine's own, to try TLS without a public name.\n\n" +
			"FOLDER gets local.pem (chain and key) for [[tls.certificate]] and root.pem for browsers and curl --cacert. The certificate is good for 90 days; " +
			"calling it again\nrenews one that has used up two thirds of them, and a running weir takes the new one by itself. The public has [tls.acme].",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, hosts []string) error { return sh.certsLocal(dir, hosts) },
	}
	cmd.Flags().StringVar(&dir, "out", "", "the `FOLDER`, which is made where there is none")
	return cmd
}

func (sh *shell) certsLocal(dir string, hosts []string) error {
	if dir == "" {
		return usageError{errors.New("--out FOLDER is required")}
	}
	now := time.Now()
	ca, err := edgetls.OpenLocalCA(dir, now)
	if err != nil {
		return err
	}
	pair, err := ca.Export(hosts, now)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sh.stdout, "%s for %v\ntrusted by whoever trusts %s\n", pair.Cert, hosts, ca.RootFile())
	return err
}
