package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// rolloutTrial gives the CPU per request of a service of two groups at 95 and 5 and of one at the same weights where a rollout is under way, and what that adds.
func rolloutTrial(ctx context.Context, t *trial) ([]float64, error) {
	const at = "/v1/services/trial/rollout"
	if _, err := t.rollout(ctx, http.MethodPost, at, `{"to":"green","steps":[5,100],"hold":"24h"}`); err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := t.rollout(ctx, http.MethodGet, at, "")
		if err != nil {
			return nil, err
		}
		if r.Step == 1 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
	values, err := t.besides(ctx, peer.RolloutHost)
	if err != nil {
		return nil, err
	}
	if r, err := t.rollout(ctx, http.MethodGet, at, ""); err != nil || r.Step != 1 || r.State != "running" || r.Green.Requests == 0 {
		return nil, fmt.Errorf("the rollout was not under way all the time: %+v, %w", r, err)
	}
	return values, nil
}

// rolled is what of a rollout is looked at.
type rolled struct {
	State string
	Step  int
	Green struct{ Requests int }
}

// rollout is one call of weir's admin API.
func (t *trial) rollout(ctx context.Context, method, path, body string) (r rolled, err error) {
	q, err := http.NewRequestWithContext(ctx, method, "http://"+t.job.Admin.String()+path, strings.NewReader(body))
	if err != nil {
		return r, fmt.Errorf("make request: %w", err)
	}
	q.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return r, fmt.Errorf("ask weir: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return r, fmt.Errorf("ask weir: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return r, fmt.Errorf("ask weir: %s: %.200s", res.Status, b)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("ask weir: %w", err)
	}
	return r, nil
}
