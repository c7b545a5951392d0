package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrNoShadow is returned by a Control for a service without a shadow: 404.
var ErrNoShadow = errors.New("the service has no shadow")

// Shadow is where the answers of a group that is tried differ from those of the one that answers: GET /v1/services/{s}/shadow.
type Shadow struct {
	// Version is the entity tag, without quotes: it changes with a reset, not with what is counted.
	Version string `json:"version"`
	From    string `json:"from"`
	To      string `json:"to"`
	Share   Weight `json:"share"`
	Rate    string `json:"rate"`
	// State is "asking", or "waiting" while Reason stands against it.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Since when what follows was counted: the start, or the last reset.
	Since     time.Time `json:"since"`
	Compared  uint64    `json:"compared"`
	Differing uint64    `json:"differing"`
	// Places is how many of Differences have the verdict "differs".
	Places int `json:"places"`
	// Results counts the requests that were due: "same", "differs", "failed", "large", "private", "limited", "dropped", "busy" and "unhealthy".
	Results map[string]uint64 `json:"results"`
	// Differences begin with what differs most.
	Differences []ShadowDifference `json:"differences"`
	// Forgotten counts places that made room for others.
	Forgotten uint64 `json:"forgotten"`
}

// ShadowDifference is one place in the answers to one kind of request.
type ShadowDifference struct {
	// Endpoint is a method and a path, with stars for what varies.
	Endpoint string `json:"endpoint"`
	// Where is "status", "answer" (none came), "header NAME", "body", or a path in a JSON body, as "$.items[].price".
	Where string `json:"where"`
	// Compared is how many answers of the endpoint were compared. In Differing of them To differed from From and From not from itself; in Noise of them it did.
	Compared  uint64 `json:"compared"`
	Differing uint64 `json:"differing"`
	Noise     uint64 `json:"noise"`
	// Verdict is "differs", "unsure" (too few to tell) or "noise".
	Verdict string         `json:"verdict"`
	Samples []ShadowSample `json:"samples"`
}

// ShadowSample is one difference, redacted.
type ShadowSample struct {
	At        time.Time `json:"at"`
	RequestID string    `json:"request_id"`
	From      string    `json:"from"`
	To        string    `json:"to"`
}

// ShadowBrief is a shadow in a service's state.
type ShadowBrief struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Share     Weight `json:"share"`
	State     string `json:"state"`
	Reason    string `json:"reason,omitempty"`
	Compared  uint64 `json:"compared"`
	Differing uint64 `json:"differing"`
	Places    int    `json:"places"`
	// First are the first of its differences that are not noise.
	First []ShadowDifference `json:"first,omitempty"`
}

// ShadowBriefPlaces is the length of First at most.
const ShadowBriefPlaces = 5

func (a *api) shadow(r *http.Request) (answer, error) {
	s, err := a.control.Shadow(r.PathValue("s"))
	return answer{body: s, tag: s.Version}, err
}

// resetShadow forgets what was counted.
func (a *api) resetShadow(ctx context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	before, after, err := a.control.ResetShadow(ctx, c.request.PathValue("s"), c.Change)
	if err != nil {
		return answer{}, err
	}
	c.record.before, c.record.after = shadowLine(&before), shadowLine(&after)
	return answer{body: after, tag: after.Version}, nil
}

func shadowLine(s *Shadow) string {
	return fmt.Sprintf("%d compared, %d differing, since %s", s.Compared, s.Differing, s.Since.UTC().Format(time.RFC3339))
}
