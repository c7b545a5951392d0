package rollout_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// desk is an Edge whose traffic is as even as can be, with the lock that orders writes.
type desk struct {
	rps, bad float64

	mu      sync.Mutex // the lock that orders writes; guards what follows
	runner  *rollout.Runner
	stored  rollout.State
	stores  int
	broken  error
	weights []uint32

	last   time.Time
	carry  [2]float64
	frozen rollout.Limits
}

func (d *desk) Sample() rollout.Sample {
	d.mu.Lock()
	defer d.mu.Unlock()
	passed := time.Since(d.last).Seconds()
	d.last = time.Now()
	s := rollout.Sample{GreenLive: true, OthersLive: true}
	if d.frozen == (rollout.Limits{}) {
		s.Latencies = make([]uint64, balancer.LatencyBuckets)
		s.Latencies[200] = 5000
	}
	if d.stored.Step == 0 {
		return s
	}
	share := float64(d.stored.Share()) / balancer.WeightSum
	d.carry[0] += passed * d.rps * share
	d.carry[1] += passed * d.rps * (1 - share)
	lot := rollout.Lot{Share: share, Step: d.stored.Step}
	lot.Green.Requests, lot.Others.Requests = uint64(d.carry[0]), uint64(d.carry[1])
	d.carry[0] -= float64(lot.Green.Requests)
	d.carry[1] -= float64(lot.Others.Requests)
	lot.Green.Errors = uint64(float64(lot.Green.Requests) * d.bad)
	lot.Green.Failed = lot.Green.Errors
	s.Lots = []rollout.Lot{lot}
	return s
}

func (d *desk) Freeze(l rollout.Limits) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = l
}

func (d *desk) Settle(decide func() (rollout.State, bool), accept func()) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, ok := decide()
	if !ok {
		return nil
	}
	if d.broken != nil && !s.Phase.Over() {
		return d.broken
	}
	d.put(s)
	accept()
	return d.broken
}

func (d *desk) put(s rollout.State) {
	if d.broken == nil {
		d.stored = s
		d.stores++
	}
	if n := len(d.weights); n == 0 || d.weights[n-1] != s.Share() {
		d.weights = append(d.weights, s.Share())
	}
}

// tell is a command as the admin API gives it.
func (d *desk) tell(c rollout.Command) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.runner.Told(c, "ann")
	if err != nil {
		return err
	}
	d.put(s)
	d.runner.Accept(s.Progress)
	return nil
}

func (d *desk) start(t *testing.T) {
	d.last = time.Now()
	began := time.Now()
	d.mu.Lock()
	d.runner = rollout.Start(begin(t, options()), rollout.RunnerOptions{
		Edge: d, Now: func() int64 { return int64(time.Since(began)) + 1 }, Failed: func(err error) { t.Log(err) },
	})
	d.mu.Unlock()
}

func TestRunnerPromotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{rps: 5000}
		d.start(t)
		time.Sleep(10 * time.Minute) // of the bubble's clock
		v := d.runner.View()
		if v.Phase != rollout.Promoted || v.Ended.IsZero() || d.frozen == (rollout.Limits{}) {
			t.Errorf("%s: %s", v.Phase, v.Reason)
		}
		if len(d.weights) != 5 || d.stored.Phase != rollout.Promoted {
			t.Errorf("weights %v, stored %s", d.weights, d.stored.Phase)
		}
		if d.stores < 10 {
			t.Errorf("stored %d times in ten minutes", d.stores)
		}
		told(t, v, d.stored)
		d.runner.Close()
	})
}

// told holds a promoted rollout's history: a moment for each step, stored as it is shown, and a curve that does not grow with time.
func told(t *testing.T, v rollout.View, stored rollout.State) {
	t.Helper()
	if len(v.Timeline) != 2+len(v.Options.Steps) || len(stored.Timeline) != len(v.Timeline) {
		t.Errorf("%d moments, %d stored, of %d steps", len(v.Timeline), len(stored.Timeline), len(v.Options.Steps))
	}
	for i, m := range v.Timeline {
		switch last := i == len(v.Timeline)-1; {
		case m.Step != min(i, len(v.Options.Steps)) || last != (m.Phase == rollout.Promoted):
			t.Errorf("moment %d: %+v", i, m)
		case i > 0 && (m.At.Before(v.Timeline[i-1].At) || m.Green.Requests < v.Timeline[i-1].Green.Requests):
			t.Errorf("moment %d is earlier than the one before: %+v", i, m)
		}
	}
	if n := len(v.Curve); n < 50 || n > 130 || v.Curve[n-1].At.Sub(v.Curve[0].At) < v.Options.Bake {
		t.Errorf("a curve of %d points", n)
	}
	for i := 1; i < len(v.Curve); i++ {
		if !v.Curve[i].At.After(v.Curve[i-1].At) || v.Curve[i].Green.Requests < v.Curve[i-1].Green.Requests {
			t.Errorf("point %d: %+v after %+v", i, v.Curve[i], v.Curve[i-1])
		}
	}
}

// A disk that is full stops a rollout from going on, and never one from going back.
func TestRunnerWithoutADisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{rps: 5000}
		d.start(t)
		time.Sleep(time.Second)
		d.mu.Lock()
		d.broken = errors.New("no space left on device")
		d.mu.Unlock()
		time.Sleep(time.Hour)
		if v := d.runner.View(); v.Step != 1 || v.Phase.Over() {
			t.Errorf("%s at step %d", v.Phase, v.Step)
		}
		d.mu.Lock()
		d.bad = 1
		d.mu.Unlock()
		time.Sleep(10 * time.Second)
		if v := d.runner.View(); v.Phase != rollout.RolledBack || d.weights[len(d.weights)-1] != 0 {
			t.Errorf("%s, weights %v", v.Phase, d.weights)
		}
		d.runner.Close()
	})
}

func TestRunnerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			command rollout.Command
			phase   rollout.Phase
			share   uint32
		}{{rollout.Promote, rollout.Promoted, 10000}, {rollout.Abort, rollout.Aborted, 0}} {
			d := &desk{rps: 5000}
			d.start(t)
			time.Sleep(time.Second)
			if err := d.tell(rollout.Pause); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if v := d.runner.View(); v.Step != 1 || v.Phase != rollout.Holding || v.Reason != "paused by ann" {
				t.Errorf("paused: %s at step %d: %s", v.Phase, v.Step, v.Reason)
			}
			if err := d.tell(rollout.Resume); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			if v := d.runner.View(); v.Step != 2 {
				t.Errorf("resumed: %s at step %d: %s", v.Phase, v.Step, v.Reason)
			}
			if err := d.tell(c.command); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if v := d.runner.View(); v.Phase != c.phase || v.Share() != c.share || d.weights[len(d.weights)-1] != c.share {
				t.Errorf("%s: %s, weights %v", c.command, v.Phase, d.weights)
			}
			if err := d.tell(rollout.Pause); !errors.Is(err, rollout.ErrOver) {
				t.Errorf("a command to a rollout that is over: %v", err)
			}
			d.runner.Close()
		}
	})
}

func TestRunnerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{rps: 1}
		d.start(t)
		time.Sleep(time.Second)
		d.runner.Close()
		d.runner.Close()
		if v := d.runner.View(); v.Phase.Over() {
			t.Errorf("closing ended the rollout: %s", v.Phase)
		}
		s := d.runner.Dropped("the weights were set by ann")
		if s.Phase != rollout.Aborted || s.Ended.IsZero() {
			t.Errorf("%s", s.Phase)
		}
	})
}
