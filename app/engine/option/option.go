// Package option values options: European ones in closed form with their sensitivities, American ones on a lattice, and the choices of a firm (to expand, to
// abandon, to wait) as such options.
//
// It is pure. Rates are continuous and decimal, times in years, volatility a year's standard deviation as a decimal.
package option

import (
	"fmt"
	"math"

	"github.com/valor-ivx/weir/app/engine/dcf"
)

// Kind is the right that an option gives.
type Kind string

// The kinds.
const (
	Call Kind = "call"
	Put  Kind = "put"
)

// Inputs is one option on something that pays Yield continuously.
type Inputs struct {
	Kind       Kind
	Spot       float64
	Strike     float64
	Time       float64
	Volatility float64
	Rate       float64
	Yield      float64
}

// Greeks are how the value moves: Theta a day, Vega and Rho for one percentage point.
type Greeks struct {
	Delta, Gamma, Theta, Vega, Rho float64
}

// Result is an option's worth.
type Result struct {
	Value     float64
	Greeks    Greeks
	Intrinsic float64 // if it ended now
	TimeValue float64
}

// sign is 1 for a call and -1 for a put, which makes one formula of the two.
func (k Kind) sign() float64 {
	if k == Put {
		return -1
	}
	return 1
}

func (in *Inputs) intrinsic() float64 {
	return math.Max(0, in.Kind.sign()*(in.Spot-in.Strike))
}

func cumulative(x float64) float64 { return .5 * math.Erfc(-x/math.Sqrt2) }

func density(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }

// Black values a European option (Black and Scholes 1973, with Merton's yield). The error is an *dcf.InvalidError.
func Black(in Inputs) (Result, error) {
	if v := validate(&in, "spot", "strike"); len(v) > 0 {
		return Result{}, &dcf.InvalidError{Violations: v}
	}
	return black(&in), nil
}

func black(in *Inputs) Result {
	r := Result{Intrinsic: in.intrinsic()}
	w := in.Kind.sign()
	later, paid := math.Exp(-in.Rate*in.Time), math.Exp(-in.Yield*in.Time)
	spread := in.Volatility * math.Sqrt(in.Time)
	if spread == 0 { // nothing is uncertain: it is exercised at the end if that pays
		r.Value = math.Max(0, w*(in.Spot*paid-in.Strike*later))
		if r.Value > 0 {
			r.Greeks.Delta = w * paid
			r.Greeks.Rho = w * in.Strike * in.Time * later / 100
			r.Greeks.Theta = w * (in.Yield*in.Spot*paid - in.Rate*in.Strike*later) / 365
		}
		r.TimeValue = r.Value - r.Intrinsic
		return r
	}
	d1 := (math.Log(in.Spot/in.Strike) + (in.Rate-in.Yield+in.Volatility*in.Volatility/2)*in.Time) / spread
	d2 := d1 - spread
	n1, n2 := cumulative(w*d1), cumulative(w*d2)
	r.Value = math.Max(0, w*(in.Spot*paid*n1-in.Strike*later*n2))
	r.Greeks = Greeks{
		Delta: w * paid * n1,
		Gamma: paid * density(d1) / (in.Spot * spread),
		Theta: (-in.Spot*paid*density(d1)*in.Volatility/(2*math.Sqrt(in.Time)) + w*(in.Yield*in.Spot*paid*n1-in.Rate*in.Strike*later*n2)) / 365,
		Vega:  in.Spot * paid * density(d1) * math.Sqrt(in.Time) / 100,
		Rho:   w * in.Strike * in.Time * later * n2 / 100,
	}
	r.TimeValue = r.Value - r.Intrinsic
	return r
}

// The range of a lattice's steps. Work and memory grow with its square and itself.
const (
	MinSteps = 1
	MaxSteps = 5000
)

// Lattice values an option on a binomial tree (Cox, Ross and Rubinstein 1979); american may be exercised at every step. Delta, gamma and theta are read off the tree's first
// steps, vega and rho are differences of two more trees. The error is an *dcf.InvalidError.
func Lattice(in Inputs, steps int, american bool) (Result, error) {
	v := validate(&in, "spot", "strike")
	if steps < MinSteps || steps > MaxSteps {
		v = append(v, dcf.Violation{Field: "steps", Message: fmt.Sprintf("must be from %d to %d", MinSteps, MaxSteps)})
	}
	if len(v) == 0 && !branches(&in, steps) {
		v = append(v, dcf.Violation{Field: "steps", Message: "are too few for this rate and volatility: the chance of a rise would not lie between 0 and 1"})
	}
	if len(v) > 0 {
		return Result{}, &dcf.InvalidError{Violations: v}
	}
	r := Result{Intrinsic: in.intrinsic()}
	if in.Time == 0 {
		r.Value = r.Intrinsic
		return r, nil
	}
	t := newTree(steps)
	r.Value = t.value(&in, american)
	r.Greeks = t.greeks(&in)
	moved := func(set func(*Inputs, float64)) float64 {
		const by = 1e-4
		up, down := in, in
		set(&up, by)
		set(&down, -by)
		if !branches(&up, steps) || !branches(&down, steps) {
			return 0
		}
		return (t.value(&up, american) - t.value(&down, american)) / (2 * by) / 100
	}
	r.Greeks.Vega = moved(func(i *Inputs, by float64) { i.Volatility += by })
	r.Greeks.Rho = moved(func(i *Inputs, by float64) { i.Rate += by })
	r.TimeValue = r.Value - r.Intrinsic
	return r, nil
}

// branches reports whether the tree's chance of a rise is one.
func branches(in *Inputs, steps int) bool {
	if in.Time == 0 {
		return true
	}
	dt := in.Time / float64(steps)
	u := math.Exp(in.Volatility * math.Sqrt(dt))
	p := (math.Exp((in.Rate-in.Yield)*dt) - 1/u) / (u - 1/u)
	return p >= 0 && p <= 1
}

// tree is the scratch of one lattice: the values of a level, and what is left of the first three.
type tree struct {
	level []float64
	first [3][3]float64 // level, rises
}

func newTree(steps int) *tree { return &tree{level: make([]float64, steps+1)} }

func (t *tree) value(in *Inputs, american bool) float64 {
	steps := len(t.level) - 1
	dt := in.Time / float64(steps)
	u := math.Exp(in.Volatility * math.Sqrt(dt))
	p := (math.Exp((in.Rate-in.Yield)*dt) - 1/u) / (u - 1/u)
	later, w := math.Exp(-in.Rate*dt), in.Kind.sign()
	price := in.Spot * math.Pow(u, -float64(steps))
	for i := range t.level {
		t.level[i] = math.Max(0, w*(price-in.Strike))
		price *= u * u
	}
	for n := steps - 1; n >= 0; n-- {
		price := in.Spot * math.Pow(u, -float64(n))
		for i := range n + 1 {
			v := later * (p*t.level[i+1] + (1-p)*t.level[i])
			if american {
				v = math.Max(v, w*(price-in.Strike))
				price *= u * u
			}
			t.level[i] = v
		}
		if n < len(t.first) {
			copy(t.first[n][:], t.level[:n+1])
		}
	}
	return t.level[0]
}

// greeks are the tree's own (Hull, Options, §21): with fewer than two steps there are none.
func (t *tree) greeks(in *Inputs) Greeks {
	steps := len(t.level) - 1
	if steps < 3 {
		return Greeks{}
	}
	dt := in.Time / float64(steps)
	u := math.Exp(in.Volatility * math.Sqrt(dt))
	s := in.Spot
	high, low := s*u*u, s/(u*u)
	up := (t.first[2][2] - t.first[2][1]) / (high - s)
	down := (t.first[2][1] - t.first[2][0]) / (s - low)
	return Greeks{
		Delta: (t.first[1][1] - t.first[1][0]) / (s*u - s/u),
		Gamma: (up - down) / ((high - low) / 2),
		Theta: (t.first[2][1] - t.first[0][0]) / (2 * dt) / 365,
	}
}

// validate holds the inputs to their ranges; spot and strike are what a caller's fields are called.
func validate(in *Inputs, spot, strike string) (out []dcf.Violation) {
	between := func(field string, v, low, high float64) {
		if !(v >= low && v <= high) {
			out = append(out, dcf.Violation{Field: field, Message: fmt.Sprintf("must be from %v to %v", low, high)})
		}
	}
	if in.Kind != Call && in.Kind != Put {
		out = append(out, dcf.Violation{Field: "kind", Message: "must be call or put"})
	}
	const tiny, money = 1e-6, 1e12
	between(spot, in.Spot, tiny, money)
	between(strike, in.Strike, tiny, money)
	between("time", in.Time, 0, 100)
	between("volatility", in.Volatility, 0, 5)
	between("rate", in.Rate, -.5, 1)
	between("yield", in.Yield, -.5, 1)
	return out
}
