package rollout_test

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// mill is an Edge that deals one request after the other by a real Split, whose weights the rollout moves; rates of failure and the traffic shift as they do over a day,
// for both groups alike.
type mill struct {
	rng    *rand.Rand
	ratio  float64 // green's rate of failure over the others'
	from   time.Time
	last   time.Time
	due    float64 // requests that came, in part
	ticket uint64

	mu    sync.Mutex // the lock that orders writes; guards what follows
	state rollout.State
	split *balancer.Split
	green int
}

func (m *mill) deal() {
	m.split = balancer.NewSplit([]byte("secret"), 1, []balancer.Share{{Name: "blue", Weight: balancer.WeightSum - m.state.Share()}, {Name: "green", Weight: m.state.Share()}})
}

// Sample lets pass what came since the last look.
func (m *mill) Sample() rollout.Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := time.Since(m.from).Seconds()
	swing := math.Sin(at/40 + m.rng.Float64()/10)
	m.due += time.Since(m.last).Seconds() * 400 * (1 + 0.9*swing)
	m.last = time.Now()
	share := float64(m.state.Share()) / balancer.WeightSum
	lot := rollout.Lot{Share: share, Step: m.state.Step}
	bad := 0.02 * (1 - 0.8*swing) // worst when there is least to do
	for ; m.due >= 1; m.due-- {
		side, rate := &lot.Others, bad
		if m.split.ByTicket(m.ticket) == 1 {
			side, rate = &lot.Green, bad*m.ratio
			m.green++
		}
		m.ticket++
		side.Requests++
		if m.rng.Float64() < rate {
			side.Errors++
			side.Failed++
		}
	}
	return rollout.Sample{Lots: []rollout.Lot{lot}, GreenLive: true, OthersLive: true}
}

func (m *mill) Freeze(rollout.Limits) {}

func (m *mill) Settle(decide func() (rollout.State, bool), accept func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := decide(); ok {
		m.state = s
		m.deal()
		accept()
	}
	return nil
}

// rollOut is one rollout through the Runner, from the start to its end, in time of the bubble's.
func rollOut(t *testing.T, seed uint64, ratio float64, o rollout.Options) (rollout.View, *mill) {
	t.Helper()
	s, err := rollout.Begin("green", "ann", map[string]uint32{"blue": balancer.WeightSum, "green": 0}, o)
	if err != nil {
		t.Fatal(err)
	}
	machine, err := rollout.NewMachine(s)
	if err != nil {
		t.Fatal(err)
	}
	m := &mill{rng: rand.New(rand.NewPCG(seed, 11)), ratio: ratio, from: time.Now(), last: time.Now(), state: s}
	m.deal()
	r := rollout.Start(machine, rollout.RunnerOptions{Edge: m, Now: func() int64 { return int64(time.Since(m.from)) + 1 }, Failed: func(err error) { t.Error(err) }})
	for range 1000 {
		time.Sleep(time.Second) // of the bubble's clock
		if r.View().Phase.Over() {
			break
		}
	}
	r.Close()
	return r.View(), m
}

func nulls() rollout.Options {
	return rollout.Options{Steps: []uint32{500, 2500, 10000}, Hold: 5 * time.Second, Bake: 5 * time.Second, Tolerance: 1.5, Alpha: 0.001, MaxHarm: 50, MinEffect: 0.1}
}

// 200 rollouts of a green that is as good as blue, request by request through Split, Runner and Machine, while traffic and errors swing: all promoted. At alpha = 0.001 one
// rollback in five such tests would be allowed; the seeds are fixed, so what holds once holds.
func TestRolloutsOfAHealthyGreen(t *testing.T) {
	runs := uint64(200)
	if testing.Short() {
		runs = 20
	}
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			if v, m := rollOut(t, seed, 1, nulls()); v.Phase != rollout.Promoted || m.green == 0 {
				t.Errorf("run %d: %s at step %d, %s: %s", seed, v.Phase, v.Step, v.Cause, v.Reason)
			}
		})
	}
}

// A green that fails exactly as often as is just tolerated is the hardest null: of 200 rollouts evidence at alpha = 0.05 takes back 10 in the mean at most, and 3
// standard deviations more are 19. Were the tolerance not in the test, nearly all would go.
func TestRolloutsAtTheTolerance(t *testing.T) {
	runs, most := uint64(200), 19
	if testing.Short() {
		runs, most = 20, 4
	}
	o := nulls()
	o.Alpha, o.MaxHarm = 0.05, 1_000_000
	back := 0
	for seed := range runs {
		synctest.Test(t, func(t *testing.T) {
			switch v, _ := rollOut(t, 1000+seed, o.Tolerance, o); v.Phase {
			case rollout.RolledBack:
				if back++; v.Cause != rollout.CauseEvidence {
					t.Errorf("run %d: by %s: %s", seed, v.Cause, v.Reason)
				}
			case rollout.Promoted:
			default:
				t.Errorf("run %d: %s at step %d: %s", seed, v.Phase, v.Step, v.Reason)
			}
		})
	}
	t.Logf("%d of %d", back, runs)
	if back > most {
		t.Errorf("%d of %d rolled back, more than %d", back, runs, most)
	}
}

// The same world takes a green that fails five times as often back, every time.
func TestRolloutsOfABadGreen(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			if v, m := rollOut(t, 5000+seed, 5, nulls()); v.Phase != rollout.RolledBack || m.split.ByTicket(m.ticket) != 0 {
				t.Errorf("run %d: %s at step %d: %s", seed, v.Phase, v.Step, v.Reason)
			}
		})
	}
}
