package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

func (sh *shell) drainVerb() *cobra.Command {
	return sh.steerVerb(admin.Drain, &cobra.Command{
		Use:     "drain SERVICE GROUP|TARGET",
		Short:   "Give a group or a target no new clients; those that it has stay",
		Example: "  weir drain api blue\n  weir drain api 10.0.0.1:5002",
		Args:    cobra.ExactArgs(2),
	})
}

func (sh *shell) evictVerb() *cobra.Command {
	return sh.steerVerb(admin.Evict, &cobra.Command{
		Use:     "evict SERVICE GROUP|TARGET",
		Short:   "Take all clients away from a group or a target; requests and streams under way end by themselves",
		Example: "  weir evict api green",
		Args:    cobra.ExactArgs(2),
	})
}

func (sh *shell) resumeVerb() *cobra.Command {
	return sh.steerVerb(admin.Resume, &cobra.Command{
		Use:     "resume SERVICE [GROUP|TARGET]",
		Short:   "Undo a drain or an evict; without a name, end the pause",
		Example: "  weir resume api\n  weir resume api blue",
		Args:    cobra.RangeArgs(1, 2),
	})
}

func (sh *shell) pauseVerb() *cobra.Command {
	cmd := sh.steerVerb(admin.Pause, &cobra.Command{
		Use:     "pause SERVICE",
		Short:   "Let a service's requests wait until resume, bounded in number and time",
		Example: "  weir pause api --max-wait 1m",
		Args:    cobra.ExactArgs(1),
	})
	cmd.Flags().Int("max-waiting", admin.PauseMaxWaiting, "how many requests may wait; one more is answered 503")
	cmd.Flags().Duration("max-wait", admin.PauseTimeout, "how long one may wait before it is answered 503")
	return cmd
}

// orderBody is what the API takes.
type orderBody struct {
	Group      string `json:"group,omitempty"`
	Target     string `json:"target,omitempty"`
	MaxWaiting *int   `json:"max_waiting,omitempty"`
	Timeout    string `json:"timeout,omitempty"`
}

func (sh *shell) steerVerb(verb admin.Verb, cmd *cobra.Command) *cobra.Command {
	return sh.asking(cmd, func(cmd *cobra.Command, c *client.Client, args []string) error {
		var body orderBody
		switch {
		case len(args) < 2:
		case strings.Contains(args[1], ":"): // which no group's name has
			body.Target = args[1]
		default:
			body.Group = args[1]
		}
		if verb == admin.Pause {
			most, err := cmd.Flags().GetInt("max-waiting")
			if err != nil {
				return err
			}
			timeout, err := cmd.Flags().GetDuration("max-wait")
			if err != nil {
				return err
			}
			body.MaxWaiting, body.Timeout = &most, timeout.String()
		}
		return sh.steer(cmd.Context(), c, args[0], verb, body)
	})
}

// steer reads the state first, as weights does, so that the write is refused if somebody else changes it in between.
func (sh *shell) steer(ctx context.Context, c *client.Client, service string, verb admin.Verb, body orderBody) error {
	before, err := c.Service(ctx, service)
	if err != nil {
		return err
	}
	after, err := c.Steer(ctx, service, before.Version, verb, body)
	if err != nil {
		return err
	}
	show.Steered(sh.stdout, before, after)
	return nil
}
