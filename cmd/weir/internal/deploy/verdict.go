package deploy

import (
	"errors"
	"fmt"
	"io"
	"math"
	"syscall"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

// Schema names the form of a verdict's JSON. Fields are added without another name; whatever else changes has one.
const Schema = "weir.deploy/1"

// The verdicts.
const (
	Promoted    = "promoted"
	RolledBack  = "rolled_back"
	Aborted     = "aborted"     // by an operator, or by a change of the configuration
	TimedOut    = "timed_out"   // it goes on
	Unhealthy   = "unhealthy"   // no weight has moved
	Interrupted = "interrupted" // it goes on, if anything was begun
	Started     = "started"     // not waited for
)

// Exit codes that are not those of every verb. Who leaves by a signal gets 128 and its number, as shells have it.
const (
	exitRolledBack = 4
	exitTimedOut   = 5
	exitSignal     = 128
)

// Verdict is what came of a deploy: --json.
type Verdict struct {
	Schema  string `json:"schema"`
	Service string `json:"service"`
	To      string `json:"to"`
	// Targets are those of the group when it was shipped.
	Targets []string `json:"targets"`
	// Word is one of the verdicts, ExitCode what the command ends with, Reason why in a sentence.
	Word     string `json:"verdict"`
	ExitCode int    `json:"exit_code"`
	Cause    string `json:"cause,omitempty"` // of a rollback: evidence, harm, errors or unhealthy
	Reason   string `json:"reason,omitempty"`
	By       string `json:"by,omitempty"`
	// Started and Ended are the rollout's, absent where there was none or it goes on.
	Started *time.Time `json:"started,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	Seconds float64    `json:"seconds"`
	// Weights are those in force afterwards; absent if the server could not be asked.
	Weights admin.Weights `json:"weights,omitempty"`
	Steps   []Step        `json:"steps"`
	// Evidence is the likelihood ratio against the group, which Threshold rolls back.
	Evidence  float64 `json:"evidence"`
	Threshold float64 `json:"threshold"`
	// Harm is how many requests it failed beyond the tolerated ones, MaxHarm how many are too many.
	Harm    float64 `json:"harm"`
	MaxHarm int     `json:"max_harm"`
	// Group and Others are what became of all requests that were assigned to the group, and to the others.
	Group  admin.RolloutCount `json:"group"`
	Others admin.RolloutCount `json:"others"`
	// SlowP95MS and SlowP99MS are the others' percentiles from which an answer counts as slow; 0: not known, or of no interest.
	SlowP95MS float64 `json:"slow_p95_ms"`
	SlowP99MS float64 `json:"slow_p99_ms"`
	Command   string  `json:"command"`
}

// Step is one weight of the group and what came of it.
type Step struct {
	Weight  admin.Weight       `json:"weight"`
	Started time.Time          `json:"started"`
	Seconds float64            `json:"seconds"`
	Group   admin.RolloutCount `json:"group"`
	Others  admin.RolloutCount `json:"others"`
}

// end fills in how it ended: by what is known of the rollout (nil: none was begun), and the error that ended the waiting.
func (v *Verdict) end(d *deployment, r *admin.Rollout, err error) {
	var left *leftError
	var unhealthy *unhealthyError
	switch {
	case errors.As(err, &unhealthy):
		v.Word, v.ExitCode, v.Reason = Unhealthy, exitTimedOut, fmt.Sprintf("%s was not healthy within %s, and %s: %s", v.To, d.Healthy, unbegun(r), unhealthy.missing)
	case errors.As(err, &left):
		v.Word, v.ExitCode, v.Reason = Interrupted, exitSignal, left.Error()+", and nothing was begun"
		if s, ok := left.signal.(syscall.Signal); ok {
			v.ExitCode += int(s)
		}
		if d.begun.Load() {
			v.Reason = left.Error() + ": the rollout goes on"
		}
	case errors.Is(err, errTimedOut):
		v.Word, v.ExitCode, v.Reason = TimedOut, exitTimedOut, fmt.Sprintf("not over within %s: it goes on", d.Timeout)
	case errors.Is(err, errReplaced):
		v.Word, v.ExitCode, v.Reason = Aborted, exitRolledBack, err.Error()
	case err != nil || r == nil:
		return
	case !r.Over():
		v.Word = Started
	default:
		v.Word, v.Reason, v.Cause = r.State, r.Reason, r.Cause
		if r.State != Promoted {
			v.ExitCode = exitRolledBack
		}
	}
	if r != nil {
		v.fill(r)
	}
	if v.Word == TimedOut && r != nil && r.Reason != "" {
		v.Reason += "; " + r.Reason
	}
}

// unbegun is what has become of a rollout to a group that never was healthy.
func unbegun(r *admin.Rollout) string {
	if r == nil {
		return "nothing was begun"
	}
	return "the rollout was aborted before its first step"
}

func (v *Verdict) fill(r *admin.Rollout) {
	v.By, v.Started, v.Ended = r.By, &r.Started, r.Ended
	end := time.Now()
	if r.Ended != nil {
		end = *r.Ended
	}
	v.Seconds = seconds(end.Sub(r.Started))
	v.Evidence, v.Threshold, v.Harm, v.MaxHarm, v.Group, v.Others = round(r.Evidence, 4), round(r.Threshold, 4), r.Harm, r.MaxHarm, r.Green, r.Others
	v.SlowP95MS, v.SlowP99MS = milliseconds(r.SlowP95), milliseconds(r.SlowP99)
	v.Steps = append(v.Steps, stepsOf(r, end)...)
}

// stepsOf reads the steps off a timeline: each goes from the first moment at its number to the first at another, or to the end.
func stepsOf(r *admin.Rollout, end time.Time) (list []Step) {
	for i := 0; i < len(r.Timeline); i++ {
		from := r.Timeline[i]
		if from.Step == 0 || from.State != "running" && from.State != "holding" {
			continue
		}
		to := admin.RolloutMoment{At: end, Green: r.Green, Others: r.Others}
		j := i + 1
		for ; j < len(r.Timeline); j++ {
			if m := r.Timeline[j]; m.Step != from.Step || m.State != "running" && m.State != "holding" {
				to.At = m.At
				if m.State == "running" || m.State == "holding" {
					to = m
				}
				break
			}
		}
		list = append(list, Step{
			Weight: from.Weight, Started: from.At, Seconds: seconds(to.At.Sub(from.At)), Group: less(to.Green, from.Green), Others: less(to.Others, from.Others),
		})
		i = j - 1
	}
	return list
}

// less is what was counted between two moments.
func less(to, from admin.RolloutCount) admin.RolloutCount {
	return admin.RolloutCount{
		Requests: to.Requests - from.Requests, Errors: to.Errors - from.Errors, Slow95: to.Slow95 - from.Slow95, Slow99: to.Slow99 - from.Slow99, Failed: to.Failed - from.Failed,
	}
}

func seconds(d time.Duration) float64 { return math.Round(max(0, d.Seconds())*100) / 100 }

func milliseconds(d admin.Duration) float64 {
	return math.Round(float64(d)/float64(time.Millisecond)*100) / 100
}

// round keeps so many significant digits, so that what is the same reads the same.
func round(x float64, digits int) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	scale := math.Pow(10, float64(digits)-math.Ceil(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// Text prints the verdict for people.
func (v *Verdict) Text(w io.Writer) {
	fmt.Fprintf(w, "service %s: deploy of %s %s", show.Clean(v.Service), show.Clean(v.To), v.Word)
	if v.Started != nil && v.Word != Started {
		fmt.Fprintf(w, " after %s", duration(v.Seconds))
	}
	fmt.Fprintln(w)
	if v.Reason != "" {
		fmt.Fprintf(w, "  %s\n", show.Clean(v.Reason))
	}
	if v.Started == nil {
		return
	}
	fmt.Fprintf(w, "  %s failed %d of %d requests, the other groups %d of %d\n", show.Clean(v.To), v.Group.Failed, v.Group.Requests, v.Others.Failed, v.Others.Requests)
	fmt.Fprintf(w, "  evidence %.3g, rolled back at %.0f; %.1f failed requests beyond the tolerated ones, rolled back beyond %d\n", v.Evidence, v.Threshold, v.Harm, v.MaxHarm)
	if v.Word == Started || v.Word == TimedOut || v.Word == Interrupted {
		fmt.Fprintf(w, "  follow it: weir rollout %[1]s status --wait; take the traffic back: weir rollout %[1]s abort\n", show.Clean(v.Service))
	}
}

func duration(s float64) string {
	return (time.Duration(s*1000) * time.Millisecond).Round(100 * time.Millisecond).String()
}
