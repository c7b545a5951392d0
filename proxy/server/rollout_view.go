package server

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// describeRollout is a rollout as the admin API shows it.
func describeRollout(v *rollout.View) admin.Rollout {
	t := &v.Tally
	d := admin.Rollout{
		To: v.To, State: string(v.Phase), Step: v.Step, Weight: admin.Weight(v.Share()), Pace: string(cmp.Or(v.Options.Pace, rollout.PaceSteps)), Next: admin.Weight(v.Next), Evidence: v.Evidence, Threshold: v.Threshold, Harm: math.Round(v.Harm*10) / 10,
		MaxHarm: v.Options.MaxHarm, Cause: string(v.Cause), Reason: v.Reason, Needs: int64(v.Needs), Held: admin.Duration(t.Held.Round(time.Millisecond)), Hold: admin.Duration(v.Hold),
		NeedsTime: admin.Duration(v.NeedsTime.Round(time.Second)), Started: v.Started, By: v.By,
		Green: admin.RolloutCount(t.Green), Others: admin.RolloutCount(t.Others),
	}
	for _, s := range v.Options.Steps {
		d.Steps = append(d.Steps, admin.Weight(s))
	}
	if l := t.Limits; l != (rollout.Limits{}) {
		d.SlowP95, d.SlowP99 = admin.Duration(l.P95), admin.Duration(l.P99)
	}
	if w := v.Warmth; w != nil {
		d.Prewarm = &admin.Prewarm{Pages: w.Pages, Requests: w.Requests, Failed: w.Failed, Took: admin.Duration(w.Took)}
	}
	if !v.Ended.IsZero() {
		ended := v.Ended
		d.Ended = &ended
	}
	return d
}

// told is a rollout with how it went.
func told(v *rollout.View) admin.Rollout {
	d := describeRollout(v)
	for _, m := range v.Timeline {
		d.Timeline = append(d.Timeline, admin.RolloutMoment{
			At: m.At, State: string(m.Phase), Step: m.Step, Weight: admin.Weight(m.Weight), Reason: m.Reason, Green: admin.RolloutCount(m.Green), Others: admin.RolloutCount(m.Others),
		})
	}
	for _, p := range v.Curve {
		d.Curve = append(d.Curve, admin.RolloutPoint{
			At: p.At, EvidenceLog: math.Round(p.Log/math.Ln10*1000) / 1000, Weight: admin.Weight(p.Weight), Requests: p.Green.Requests, Failed: p.Green.Failed,
		})
	}
	return d
}

// rolloutStats is what scrapes ask for.
func (s *Server) rolloutStats() (list []observe.RolloutStat) {
	g := s.current.Load()
	if g == nil {
		return nil
	}
	for name := range g.services {
		st := observe.RolloutStat{Service: name}
		if v, ok := s.view(g, name); ok {
			st.Evidence, st.Threshold, st.Harm, st.Needs, st.Step, st.State = v.Evidence, v.Threshold, v.Harm, v.Needs, v.Step, string(v.Phase)
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b observe.RolloutStat) int { return strings.Compare(a.Service, b.Service) })
	return list
}

// rollout tells of a rollout under way, which decides what becomes of a request that the group on trial fails.
func (e *explanation) rollout() {
	s := e.route.Service
	if s.Trial == nil {
		return
	}
	to := s.Groups[s.Trial.Green].Name
	decision, reason := "counted", fmt.Sprintf("a rollout to %s is under way: what the request comes to is evidence", to)
	if leader := e.leader(s.Name); leader != "" {
		reason += " for replica " + leader + ", which decides by what all replicas count"
	}
	switch strings.ToUpper(e.request.Method) {
	case "", "GET", "HEAD", "OPTIONS":
		decision = "asked again if " + to + " fails"
		reason += ", and the other groups are asked once, within the retry budget"
	}
	e.step("forward", decision, "%s", reason)
}
