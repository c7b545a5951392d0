package main

import (
	"context"

	"github.com/valor-ivx/weir/proxy/admin"
)

// The fake's rollout: a file "promoting" or "failing" in dir ends it at the next look.

func (f *fakeControl) Rollout(string) (admin.Rollout, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rollout == nil {
		return admin.Rollout{}, admin.ErrNoRollout
	}
	switch {
	case f.has("promoting"):
		f.rollout.State, f.rollout.Step, f.rollout.Weight = "promoted", 3, 10000
	case f.has("failing"):
		f.rollout.State, f.rollout.Weight, f.rollout.Reason = "rolled_back", 0, "evidence 1234 of 1000"
	}
	return *f.rollout, nil
}

func (f *fakeControl) StartRollout(_ context.Context, _ string, q admin.RolloutRequest, c admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.service()
	if f.rollout != nil && !f.rollout.Over() {
		return before, before, &admin.BusyError{Detail: "a rollout to green is under way"}
	}
	f.rollout = &admin.Rollout{
		To: q.To, State: "holding", Step: 1, Steps: q.Steps, Weight: 500, Evidence: 0.25, Threshold: 1000, MaxHarm: 50, By: "ann",
		Reason: "green has not served enough", Needs: 700, NeedsTime: admin.Duration(90e9), Held: admin.Duration(2e9), Hold: admin.Duration(60e9),
		Green: admin.RolloutCount{Requests: 40, Failed: 1}, Others: admin.RolloutCount{Requests: 760, Failed: 2},
	}
	if q.Pace != nil {
		f.rollout.Pace, f.rollout.Next = *q.Pace, 2000
	}
	if q.Hold != nil {
		f.rollout.Hold = *q.Hold
	}
	return before, f.service(), nil
}

func (f *fakeControl) TellRollout(_ context.Context, _ string, cmd admin.RolloutCommand, _ admin.Change) (before, after admin.Service, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before = f.service()
	if f.rollout == nil {
		return before, before, admin.ErrNoRollout
	}
	f.rollout.State = map[admin.RolloutCommand]string{admin.RolloutPause: "holding", admin.RolloutResume: "running", admin.RolloutPromote: "promoted", admin.RolloutAbort: "aborted"}[cmd]
	return before, f.service(), nil
}

// shown is a copy of the rollout, which goes on while the answer is written.
func (f *fakeControl) shown() *admin.Rollout {
	if f.rollout == nil {
		return nil
	}
	r := *f.rollout
	return &r
}
