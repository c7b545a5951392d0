package option_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/app/engine/dcf"
	"github.com/valor-ivx/weir/app/engine/option"
)

func near(t *testing.T, name string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.9f, want %.9f", name, got, want)
	}
}

func usual(k option.Kind) option.Inputs {
	return option.Inputs{Kind: k, Spot: 100, Strike: 100, Time: 1, Volatility: .2, Rate: .05}
}

func TestGoldens(t *testing.T) {
	call, err := option.Black(usual(option.Call))
	if err != nil {
		t.Fatal(err)
	}
	put, err := option.Black(usual(option.Put))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "call", call.Value, 10.450583572, 1e-9)
	near(t, "put", put.Value, 5.573526022, 1e-9)
	near(t, "delta", call.Greeks.Delta, .636830651, 1e-9)
	near(t, "gamma", call.Greeks.Gamma, .018762017, 1e-9)
	near(t, "theta of the call", call.Greeks.Theta, -.017572678, 1e-9)
	near(t, "theta of the put", put.Greeks.Theta, -.004542138, 1e-9)
	near(t, "vega", call.Greeks.Vega, .375240347, 1e-9)
	near(t, "rho of the call", call.Greeks.Rho, .532324815, 1e-9)
	near(t, "rho of the put", put.Greeks.Rho, -.418904609, 1e-9)
	for _, c := range []struct {
		kind     option.Kind
		american bool
		want     float64
	}{{option.Call, false, 10.430611662}, {option.Put, false, 5.553554112}, {option.Put, true, 6.082354409}} {
		r, err := option.Lattice(usual(c.kind), 100, c.american)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "lattice", r.Value, c.want, 1e-9)
	}
	whole, gained, err := option.Expand(option.Expansion{Value: 1e6, Cost: 5e5, Time: 2, Volatility: .4, Rate: .05, Multiplier: 2.5})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "expansion", whole.Value, 2047786.799, 5e-4)
	if gained.Value < 1.5e6-5e5*math.Exp(-.1) || gained.Value > 1.5e6 {
		t.Errorf("what is gained is worth %v of %v", gained.Value, whole.Value)
	}
}

func draw(t *rapid.T) option.Inputs {
	f := func(name string, low, high float64) float64 { return rapid.Float64Range(low, high).Draw(t, name) }
	return option.Inputs{
		Kind: rapid.SampledFrom([]option.Kind{option.Call, option.Put}).Draw(t, "kind"), Spot: f("spot", 1, 1000), Strike: f("strike", 1, 1000),
		Time: f("time", 0, 10), Volatility: f("volatility", 0, 2), Rate: f("rate", -.1, .3), Yield: f("yield", -.1, .3),
	}
}

// TestParity: call - put = S·e^-qT - K·e^-rT, both within their bounds, for any inputs, no uncertainty and no time among them.
func TestParity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t)
		in.Kind = option.Call
		call, err := option.Black(in)
		if err != nil {
			t.Fatal(err)
		}
		in.Kind = option.Put
		put, err := option.Black(in)
		if err != nil {
			t.Fatal(err)
		}
		s, k := in.Spot*math.Exp(-in.Yield*in.Time), in.Strike*math.Exp(-in.Rate*in.Time)
		if math.Abs(call.Value-put.Value-(s-k)) > 1e-9*(s+k) {
			t.Fatalf("%v: %v - %v is not %v", in, call.Value, put.Value, s-k)
		}
		if call.Value < 0 || call.Value > s*(1+1e-12) || put.Value < 0 || put.Value > k*(1+1e-12) {
			t.Fatalf("%v: call %v of %v, put %v of %v", in, call.Value, s, put.Value, k)
		}
		for _, g := range []option.Greeks{call.Greeks, put.Greeks} {
			for _, v := range []float64{g.Delta, g.Gamma, g.Theta, g.Vega, g.Rho} {
				if math.IsNaN(v) || math.IsInf(v, 0) {
					t.Fatalf("%v: %+v", in, g)
				}
			}
		}
	})
}

// TestGreeksAreSlopes: the closed forms are what small moves of the inputs do to the value.
func TestGreeksAreSlopes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t)
		in.Time, in.Volatility = math.Max(in.Time, .1), math.Max(in.Volatility, .1)
		r, err := option.Black(in)
		if err != nil {
			t.Fatal(err)
		}
		slope := func(h float64, set func(*option.Inputs, float64)) float64 {
			up, down := in, in
			set(&up, h)
			set(&down, -h)
			a, _ := option.Black(up)
			b, _ := option.Black(down)
			return (a.Value - b.Value) / (2 * h)
		}
		for name, c := range map[string][2]float64{
			"delta": {r.Greeks.Delta, slope(in.Spot*1e-5, func(i *option.Inputs, h float64) { i.Spot += h })},
			"vega":  {r.Greeks.Vega * 100, slope(1e-5, func(i *option.Inputs, h float64) { i.Volatility += h })},
			"rho":   {r.Greeks.Rho * 100, slope(1e-5, func(i *option.Inputs, h float64) { i.Rate += h })},
			"theta": {r.Greeks.Theta * 365, -slope(in.Time*1e-5, func(i *option.Inputs, h float64) { i.Time += h })},
		} {
			if math.Abs(c[0]-c[1]) > 1e-4*(in.Spot+in.Strike)*(1+in.Time) {
				t.Fatalf("%v: %s is %v, the slope %v", in, name, c[0], c[1])
			}
		}
	})
}

// TestLattice: it comes to the closed form, an American option is worth no less than a European one and than to exercise it, and a call without a yield is not
// exercised early.
func TestLattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := draw(t)
		in.Volatility, in.Time = math.Max(.1, min(in.Volatility, 1)), min(in.Time, 3)
		european, err := option.Lattice(in, 300, false)
		var bad *dcf.InvalidError
		if errors.As(err, &bad) {
			t.Skip("does not branch")
		}
		american, err := option.Lattice(in, 300, true)
		if err != nil {
			t.Fatal(err)
		}
		closed, _ := option.Black(in)
		if math.Abs(european.Value-closed.Value) > .01*(in.Spot+in.Strike) {
			t.Fatalf("%v: lattice %v, closed form %v", in, european.Value, closed.Value)
		}
		if american.Value < european.Value-1e-9 || american.Value < american.Intrinsic-1e-9 {
			t.Fatalf("%v: American %v, European %v, now %v", in, american.Value, european.Value, american.Intrinsic)
		}
		if in.Kind == option.Call && in.Yield <= 0 && in.Rate >= 0 && american.Value-european.Value > 1e-9*in.Spot {
			t.Fatalf("%v: a call was exercised early", in)
		}
	})
}

// TestDefer: from the threshold on waiting is worth nothing, below it something; a project that pays nothing meanwhile is waited for.
func TestDefer(t *testing.T) {
	d := option.Deferral{Value: 100, Cost: 100, Time: 3, Volatility: .3, Rate: .05, Yield: .08}
	r, threshold, now, err := option.Defer(d)
	if err != nil || now || !threshold.Set || r.Value <= 0 {
		t.Fatalf("%+v %+v %v %v", r, threshold, now, err)
	}
	for factor, want := range map[float64]bool{.98: false, 1.02: true} {
		d.Value = threshold.Value * factor
		if r, _, now, err = option.Defer(d); now != want || err != nil {
			t.Errorf("at %v of the threshold: %v, time value %v, %v", factor, now, r.TimeValue, err)
		}
	}
	d.Value, d.Yield = 1000, 0
	if _, threshold, now, _ := option.Defer(d); now || threshold.Set {
		t.Errorf("without a yield: %v, threshold %+v", now, threshold)
	}
}

func TestRefusals(t *testing.T) {
	for field, edit := range map[string]func(*option.Inputs){
		"kind":       func(in *option.Inputs) { in.Kind = "straddle" },
		"spot":       func(in *option.Inputs) { in.Spot = 0 },
		"strike":     func(in *option.Inputs) { in.Strike = math.NaN() },
		"time":       func(in *option.Inputs) { in.Time = -1 },
		"volatility": func(in *option.Inputs) { in.Volatility = 5.1 },
		"rate":       func(in *option.Inputs) { in.Rate = math.Inf(-1) },
		"yield":      func(in *option.Inputs) { in.Yield = 2 },
		"steps":      func(in *option.Inputs) { in.Volatility, in.Rate = .001, 1 },
	} {
		in := usual(option.Call)
		edit(&in)
		_, err := option.Lattice(in, 10, true)
		var bad *dcf.InvalidError
		if !errors.As(err, &bad) || len(bad.Violations) != 1 || bad.Violations[0].Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := option.Abandon(option.Abandonment{Value: -1, Salvage: 1, Time: 1}); err == nil {
		t.Error("a negative firm was valued")
	}
	if _, _, err := option.Expand(option.Expansion{Value: 1, Cost: 1, Time: 1, Multiplier: 1}); err == nil {
		t.Error("no growth was valued")
	}
}
