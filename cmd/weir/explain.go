package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

func (sh *shell) explainVerb() *cobra.Command {
	var q admin.ExplainRequest
	var headers []string
	var id string
	cmd := sh.asking(&cobra.Command{
		Use:   "explain [METHOD] URL",
		Short: "Show every decision the running weir would take for a request, without sending it",
		Long: "Show every decision the running weir would take for a request, without sending it.\n\n" +
			"With --id, what it did with a request that has ended, and why: the id is the X-Request-ID of the answer, and in the access log. The flight recorder keeps the last ones.",
		Example: "  weir explain http://127.0.0.1:8080/api/health\n  weir explain POST https://example.com/api/dcf -H 'Cookie: a=b'\n  weir explain --id 4fa2c7fe12413e08bef56ddaccdb8773",
		Args:    cobra.RangeArgs(0, 2),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		if id != "" && len(args) == 0 {
			return sh.explainPast(cmd.Context(), c, id)
		}
		if id != "" || len(args) == 0 {
			return usageError{errors.New("explain takes either a URL or --id ID")}
		}
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
		e, err := c.Explain(cmd.Context(), q)
		if err != nil {
			return err
		}
		show.Explanation(sh.stdout, e)
		return nil
	})
	cmd.Flags().StringVar(&id, "id", "", "a request that has ended, by its X-Request-`ID`")
	// An array, not a slice: a comma belongs to the value.
	cmd.Flags().StringArrayVarP(&headers, "header", "H", nil, "a header line `NAME: VALUE`, more than once if need be")
	cmd.Flags().StringVar(&q.ClientIP, "client-ip", "", "the address the request comes from (127.0.0.1)")
	return cmd
}

// explainPast tells of the requests with that id that the flight recorder has kept: a client may use one twice.
func (sh *shell) explainPast(ctx context.Context, c *client.Client, id string) error {
	past, err := c.RequestsByID(ctx, id)
	if err != nil {
		return err
	}
	if len(past.Requests) == 0 {
		return fmt.Errorf("the flight recorder has no request %s: it has not ended, or others have taken its place ([recorder] requests)", id)
	}
	for i := range past.Requests {
		show.PastRequest(sh.stdout, &past.Requests[i])
	}
	return nil
}
