package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

func (sh *shell) explainVerb() *cobra.Command {
	var a access
	var q admin.ExplainRequest
	var headers []string
	cmd := &cobra.Command{
		Use:     "explain [METHOD] URL",
		Short:   "Show every decision the running weir would take for a request, without sending it",
		Example: "  weir explain http://127.0.0.1:8080/api/health\n  weir explain POST https://example.com/api/dcf -H 'Cookie: a=b'",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			q.URL = args[len(args)-1]
			if len(args) == 2 {
				q.Method = strings.ToUpper(args[0])
			}
			for _, line := range headers {
				name, value, ok := strings.Cut(line, ":")
				if !ok {
					return usageError{fmt.Errorf("-H %q is not NAME: VALUE", line)}
				}
				q.Headers = append(q.Headers, admin.HeaderField{Name: name, Value: strings.TrimSpace(value)})
			}
			c, err := a.client(sh)
			if err != nil {
				return err
			}
			e, err := c.Explain(cmd.Context(), q)
			if err != nil {
				return err
			}
			show.Explanation(sh.stdout, e)
			return nil
		},
	}
	a.flags(cmd.Flags())
	// An array, not a slice: a comma belongs to the value.
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header line `NAME: VALUE`, more than once if need be")
	cmd.Flags().StringVar(&q.ClientIP, "client-ip", "", "the address the request comes from (127.0.0.1)")
	return cmd
}
