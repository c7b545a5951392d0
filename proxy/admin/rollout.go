package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrNoRollout is returned by a Control for a service that has had no rollout: 404.
var ErrNoRollout = errors.New("the service has had no rollout")

// ErrNoIncident is returned by a Control that has none of that name: 404.
var ErrNoIncident = errors.New("no such incident")

// BusyError is a write that what is under way does not allow: 409.
type BusyError struct{ Detail string }

// Error says what is under way.
func (e *BusyError) Error() string { return e.Detail }

// Duration is a time.Duration that JSON writes as "1m30s".
type Duration time.Duration

// MarshalJSON writes Go's notation.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads Go's notation.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf("%s is not a duration in quotes, as \"60s\"", b)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a duration, as \"60s\"", text)
	}
	*d = Duration(parsed)
	return nil
}

// Rollout is a service's last rollout: GET /v1/services/{s}/rollout.
type Rollout struct {
	To string `json:"to"`
	// State is "running", "holding", "promoted", "rolled_back" or "aborted".
	State string `json:"state"`
	// Step is the number of the step in force, from 1; 0 while the group is waited for to be live.
	Step   int      `json:"step"`
	Steps  []Weight `json:"steps"`
	Weight Weight   `json:"weight"`
	// Pace is "steps", or "evidence" where Steps are those gone so far and the whole. Next is the weight that would come next as things stand, 0 for none.
	Pace string `json:"pace"`
	Next Weight `json:"next"`
	// Evidence is the likelihood ratio against the group, at Threshold it is rolled back.
	Evidence  float64 `json:"evidence"`
	Threshold float64 `json:"threshold"`
	// Harm is how many requests it has failed beyond the tolerated ones, at more than MaxHarm it is rolled back.
	Harm    float64 `json:"harm"`
	MaxHarm int     `json:"max_harm"`
	// Cause is "evidence", "harm", "errors" or "unhealthy" after a rollback; Reason says why it ended or is holding.
	Cause  string `json:"cause,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Needs is how many requests the group has yet to serve at this step, -1 if no number will do; NeedsTime how long that takes at the rate of this step, "0s" while
	// that is not known.
	Needs     int64    `json:"needs"`
	NeedsTime Duration `json:"needs_time"`
	// Held is the time in this step, of which Hold must pass.
	Held Duration `json:"held"`
	Hold Duration `json:"hold"`
	// SlowP95 and SlowP99 are from when on an answer is slow; "0s" until the other groups have answered often enough to tell.
	SlowP95 Duration     `json:"slow_p95"`
	SlowP99 Duration     `json:"slow_p99"`
	Green   RolloutCount `json:"green"`
	Others  RolloutCount `json:"others"`
	// Prewarm is how the group was warmed before the first step; absent where it was not, or not yet.
	Prewarm *Prewarm  `json:"prewarm,omitempty"`
	Started time.Time `json:"started"`
	By      string    `json:"by"`
	// Leader is the replica that decides, by what all have counted; absent without [cluster], after the end, and while none does.
	Leader string     `json:"leader,omitempty"`
	Ended  *time.Time `json:"ended,omitempty"`
	// Timeline are its changes and Curve its evidence over time, at most some 100 points: in answers about the rollout alone, not where it is shown with its service.
	Timeline []RolloutMoment `json:"timeline,omitempty"`
	Curve    []RolloutPoint  `json:"curve,omitempty"`
}

// RolloutMoment is a change of a rollout: its start, a step, a pause, its end. The counts are all until then.
type RolloutMoment struct {
	At     time.Time    `json:"at"`
	State  string       `json:"state"`
	Step   int          `json:"step"`
	Weight Weight       `json:"weight"`
	Reason string       `json:"reason,omitempty"`
	Green  RolloutCount `json:"green"`
	Others RolloutCount `json:"others"`
}

// RolloutPoint is the evidence at a moment. EvidenceLog is its decimal logarithm: 0 says nothing, the threshold's rolls back.
type RolloutPoint struct {
	At          time.Time `json:"at"`
	EvidenceLog float64   `json:"evidence_log10"`
	Weight      Weight    `json:"weight"`
	Requests    uint64    `json:"requests"` // of the group
	Failed      uint64    `json:"failed"`
}

// Over reports a state that nothing follows.
func (r *Rollout) Over() bool { return r.State != "running" && r.State != "holding" }

// Prewarm is what asking the group for pages that the others were asked for lately came to: how many pages, and answers and errors of all its targets. It is no evidence.
type Prewarm struct {
	Pages    int      `json:"pages"`
	Requests int      `json:"requests"`
	Failed   int      `json:"failed"`
	Took     Duration `json:"took"`
}

// RolloutCount is what became of the requests that were assigned to one side. Errors and the slow ones are at most one per client and second, Failed is all that failed.
type RolloutCount struct {
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
	Slow95   uint64 `json:"slow_p95"`
	Slow99   uint64 `json:"slow_p99"`
	Failed   uint64 `json:"failed"`
}

// RolloutRequest starts a rollout: POST /v1/services/{s}/rollout. What is absent is the service's own.
type RolloutRequest struct {
	// To is the only group without weight when empty.
	To        string    `json:"to,omitempty"`
	Steps     []Weight  `json:"steps,omitempty"`
	Pace      *string   `json:"pace,omitempty"`
	Hold      *Duration `json:"hold,omitempty"`
	Bake      *Duration `json:"bake,omitempty"`
	Prewarm   *Duration `json:"prewarm,omitempty"`
	WarmUp    *Duration `json:"warm_up,omitempty"`
	Tolerance *float64  `json:"tolerance,omitempty"`
	Alpha     *float64  `json:"alpha,omitempty"`
	MaxHarm   *int      `json:"max_harm,omitempty"`
	MinEffect *float64  `json:"min_effect,omitempty"`
	Latency   *bool     `json:"latency,omitempty"`
}

// RolloutCommand is what can be told to a rollout under way.
type RolloutCommand string

// The commands.
const (
	RolloutPause   RolloutCommand = "pause"
	RolloutResume  RolloutCommand = "resume"
	RolloutPromote RolloutCommand = "promote"
	RolloutAbort   RolloutCommand = "abort"
)

func (a *api) rollout(r *http.Request) (answer, error) {
	v, err := a.control.Rollout(r.PathValue("s"))
	return answer{body: v}, err
}

func (a *api) startRollout(ctx context.Context, c command) (answer, error) {
	q, err := parseRollout(c.body)
	if err != nil {
		return answer{}, err
	}
	before, after, err := a.control.StartRollout(ctx, c.request.PathValue("s"), q, c.Change)
	return c.rolled(before, after, err)
}

// parseRollout reads the body of a start; none is a start by the service's own settings.
func parseRollout(body []byte) (q RolloutRequest, err error) {
	return q, objectOrNone(body, "read rollout", &q)
}

// tellRollout is the endpoint of a command.
func (a *api) tellRollout(cmd RolloutCommand) write {
	return func(ctx context.Context, c command) (answer, error) {
		if err := c.noBody(); err != nil {
			return answer{}, err
		}
		before, after, err := a.control.TellRollout(ctx, c.request.PathValue("s"), cmd, c.Change)
		return c.rolled(before, after, err)
	}
}

// rolled notes what a write did to a rollout, and answers with the rollout.
func (c command) rolled(before, after Service, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	c.record.before, c.record.after = rolloutLine(before), rolloutLine(after)
	return answer{body: after.Rollout}, nil
}

func rolloutLine(s Service) string {
	if s.Rollout == nil {
		return s.Weights().String()
	}
	return fmt.Sprintf("%s, rollout to %s %s at step %d", s.Weights(), s.Rollout.To, s.Rollout.State, s.Rollout.Step)
}
