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

func (sh *shell) weightsVerb() *cobra.Command {
	return sh.asking(&cobra.Command{
		Use:   "weights SERVICE [GROUP=PERCENT … | reset]",
		Short: "Show or set the weights of a service's groups; reset returns to the file's",
		Example: "  weir weights api\n  weir weights api blue=75 green=25\n" +
			"  weir weights api reset",
		Args: cobra.MinimumNArgs(1),
	}, func(cmd *cobra.Command, c *client.Client, args []string) error {
		return sh.weights(cmd.Context(), c, args[0], args[1:])
	})
}

// weights reads the state first, so that the write is refused if somebody else changes it in between.
func (sh *shell) weights(ctx context.Context, c *client.Client, service string, args []string) error {
	change, err := parseChange(args)
	if err != nil {
		return usageError{err}
	}
	before, err := c.Service(ctx, service)
	if err != nil {
		return err
	}
	if change == nil {
		show.Service(sh.stdout, before)
		return nil
	}
	after, err := change(ctx, c, before)
	if err != nil {
		return err
	}
	show.WeightsChange(sh.stdout, before, after)
	return nil
}

// change is a write of weights on the state that was read.
type change func(context.Context, *client.Client, admin.Service) (admin.Service, error)

// parseChange reads what follows the service's name; nothing is a nil change.
func parseChange(args []string) (change, error) {
	if len(args) == 0 {
		return nil, nil
	}
	if args[0] == "reset" {
		if len(args) > 1 {
			return nil, errors.New("reset takes no weights")
		}
		return func(ctx context.Context, c *client.Client, s admin.Service) (admin.Service, error) {
			return c.ResetWeights(ctx, s.Name, s.Version)
		}, nil
	}
	w := admin.Weights{}
	for _, arg := range args {
		group, value, ok := strings.Cut(arg, "=")
		if !ok || group == "" {
			return nil, fmt.Errorf("%q is not GROUP=PERCENT", arg)
		}
		if _, twice := w[group]; twice {
			return nil, fmt.Errorf("group %q is named twice", group)
		}
		n, err := admin.ParseWeight(value)
		if err != nil {
			return nil, fmt.Errorf("weight %q of %q %w", value, group, err)
		}
		w[group] = n
	}
	return func(ctx context.Context, c *client.Client, s admin.Service) (admin.Service, error) {
		return c.SetWeights(ctx, s.Name, s.Version, w)
	}, nil
}
