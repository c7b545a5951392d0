package admin

import (
	"context"
	"fmt"
)

// UpgradeResult answers POST /v1/upgrade: another process serves now, and this one, which wrote the answer, ends when what it has begun is over.
type UpgradeResult struct {
	Before int `json:"before"` // process id of this one
	PID    int `json:"pid"`
	// Version is the new process's.
	Version string `json:"version"`
}

func (a *api) upgrade(ctx context.Context, c command) (answer, error) {
	if err := c.noBody(); err != nil {
		return answer{}, err
	}
	if !c.Match.HoldsForAction() {
		return answer{}, ErrConflict
	}
	now := a.control.Status()
	c.record.before = fmt.Sprintf("%s, pid %d", now.Version, now.PID)
	res, err := a.control.Upgrade(ctx, c.Change)
	if err != nil {
		return answer{}, err
	}
	c.record.after = fmt.Sprintf("%s, pid %d", res.Version, res.PID)
	return answer{body: res}, nil
}
