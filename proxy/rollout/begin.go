package rollout

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/balancer"
)

// Begin is the state that a rollout starts with, at weights that sum to the whole. An empty to is the only group without weight.
func Begin(to, by string, weights map[string]uint32, o Options) (State, error) {
	if err := o.Check(); err != nil {
		return State{}, err
	}
	names := slices.Sorted(maps.Keys(weights))
	if to == "" {
		for _, name := range names {
			if weights[name] > 0 {
				continue
			}
			if to != "" {
				return State{}, fmt.Errorf("to is missing: %s and %s have no weight, and either could be meant", to, name)
			}
			to = name
		}
		if to == "" {
			return State{}, errors.New("to is missing: every group has weight already")
		}
	}
	was, known := weights[to]
	switch {
	case !known:
		return State{}, fmt.Errorf("there is no group %q (groups: %s)", to, strings.Join(names, ", "))
	case was == balancer.WeightSum:
		return State{}, fmt.Errorf("group %q has all the traffic already", to)
	}
	// A rollout never takes weight away on its way: steps below what green has are past.
	first, _ := slices.BinarySearch(o.Steps, max(was, 1))
	o.Steps = slices.Clone(o.Steps[first:])
	if o.Pace == PaceEvidence && len(o.Steps) > 2 {
		o.Steps = slices.Delete(o.Steps, 1, len(o.Steps)-1) // what comes in between is found on the way
	}
	s := State{To: to, By: by, Started: time.Now().UTC(), Options: o, Base: maps.Clone(weights), Progress: Progress{Phase: Running}}
	s.Timeline = s.noted(s.Started)
	return s, nil
}
