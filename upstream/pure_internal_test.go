package upstream

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func TestHysteresisDecidesAtOnceThenNeedsRiseAndFall(t *testing.T) {
	for _, c := range []struct{ name, results, states string }{
		{"first pass decides", "p", "H"},
		{"first failure decides", "f", "U"},
		{"two failures are not three", "pffpff", "HHHHHH"},
		{"three in a row fall", "pfff", "HHHU"},
		{"rise takes two in a row", "fpfpp", "UUUUH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := hysteresis{rise: 2, fall: 3}
			for i, r := range c.results {
				before := h.state
				changed := h.observe(r == 'p')
				if changed != (h.state != before) {
					t.Errorf("result %d: changed = %v, state %v to %v", i, changed, before, h.state)
				}
				if want := map[byte]State{'H': Healthy, 'U': Unhealthy}[c.states[i]]; h.state != want {
					t.Errorf("after result %d: %v, want %v", i, h.state, want)
				}
			}
		})
	}
}

// The state changes exactly when the last need results agree against it: a model that keeps all results.
func TestHysteresisAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := hysteresis{rise: rapid.IntRange(1, 4).Draw(t, "rise"), fall: rapid.IntRange(1, 4).Draw(t, "fall")}
		state, run, last := Unknown, 0, false
		for i, pass := range rapid.SliceOfN(rapid.Bool(), 1, 60).Draw(t, "results") {
			if i == 0 || pass != last {
				run = 0
			}
			run, last = run+1, pass
			need, next := h.fall, Unhealthy
			if pass {
				need, next = h.rise, Healthy
			}
			if i == 0 || run >= need {
				state = next
			}
			h.observe(pass)
			if h.state != state {
				t.Fatalf("after result %d: %v, want %v", i, h.state, state)
			}
			if h.settled() != (state == Healthy && pass) {
				t.Fatalf("after result %d: settled = %v", i, h.settled())
			}
		}
	})
}

func testRule() *EjectionOptions {
	return &EjectionOptions{Consecutive: 5, ErrorRatio: 0.5, Window: 10 * time.Second, MinRequests: 20, Base: 5 * time.Second, MaxEjected: 0.5}
}

func TestDetectorVerdicts(t *testing.T) {
	silent, answered := Broken, ServerError
	for _, c := range []struct {
		name   string
		feed   []Outcome
		step   time.Duration // between outcomes
		reason string        // of the last outcome; all before must be ""
	}{
		{"four silent failures", slices.Repeat([]Outcome{silent}, 4), 0, ""},
		{"five silent failures", slices.Repeat([]Outcome{silent}, 5), 0, reasonConsecutive},
		{"kinds of silence add up", []Outcome{ConnectFailed, TimedOut, Broken, ConnectFailed, TimedOut}, 0, reasonConsecutive},
		{"a 5xx is an answer", []Outcome{silent, silent, silent, silent, answered, silent}, 0, ""},
		{"5xx alone never count as consecutive", slices.Repeat([]Outcome{answered}, 19), 0, ""},
		{"half of twenty fail", append(slices.Repeat([]Outcome{Success}, 10), slices.Repeat([]Outcome{answered}, 10)...), 0, reasonErrorRatio},
		{"less than half of twenty fail", append(slices.Repeat([]Outcome{Success}, 11), slices.Repeat([]Outcome{answered}, 9)...), 0, ""},
		{"what left the window is forgotten", slices.Repeat([]Outcome{answered}, 60), time.Second, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d detector
			for i, o := range c.feed {
				got := d.observe(testRule(), second+int64(i)*int64(c.step), o)
				want := ""
				if i == len(c.feed)-1 {
					want = c.reason
				}
				if got != want {
					t.Fatalf("outcome %d: %q, want %q", i, got, want)
				}
			}
		})
	}
}

// The ring of seconds counts what a list of all outcomes counts.
func TestDetectorWindowAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.IntRange(1, 60).Draw(t, "window")) * time.Second
		rule := &EjectionOptions{Window: window}
		type event struct {
			second int64
			failed bool
		}
		var d detector
		var all []event
		now := second
		for range rapid.IntRange(1, 80).Draw(t, "n") {
			now += rapid.Int64Range(0, 3*second).Draw(t, "step")
			if rapid.IntRange(0, 20).Draw(t, "pause") == 0 {
				now += rapid.Int64Range(0, 200*second).Draw(t, "long")
			}
			o := Outcome(rapid.IntRange(int(Success), int(Broken)).Draw(t, "outcome"))
			d.observe(rule, now, o)
			all = append(all, event{now / second, o != Success})
			wantTotal, wantFailed := 0, 0
			for _, e := range all {
				if e.second > now/second-int64(window/time.Second) {
					wantTotal++
					if e.failed {
						wantFailed++
					}
				}
			}
			if total, failed := d.within(window, now); total != wantTotal || failed != wantFailed {
				t.Fatalf("within %v: %d of %d failed, want %d of %d", window, failed, total, wantFailed, wantTotal)
			}
		}
	})
}

func TestEjectionGrowsAndIsForgiven(t *testing.T) {
	var e ejection
	now := second
	for i, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		e.begin(now, testRule())
		if got := time.Duration(e.until - now); got != want*time.Second {
			t.Fatalf("ejection %d lasts %v, want %v", i, got, want*time.Second)
		}
		if !e.active(e.until-1) || e.active(e.until) {
			t.Fatalf("ejection %d does not end at its time", i)
		}
		now = e.until
	}
	now += 6 * int64(testRule().Window) // six of eight levels
	e.begin(now, testRule())
	if got := time.Duration(e.until - now); got != 20*time.Second {
		t.Errorf("after six quiet windows it lasts %v, want 20s", got)
	}
}

func TestProbesEndEjections(t *testing.T) {
	var e ejection
	e.begin(10*second, testRule())
	if e.probed(true, 9*second, 11*second) {
		t.Error("a probe that began before the ejection ended it")
	}
	if !e.probed(true, 10*second, 11*second) || e.active(11*second) || e.ending(11*second) != "probe" {
		t.Error("a first ejection does not end with a passing probe")
	}
	e.begin(12*second, testRule())
	if e.probed(true, 13*second, 14*second) {
		t.Error("a probe that has shown to be blind ended the second ejection")
	}
	e.probed(false, 15*second, 15*second)
	if !e.probed(true, 16*second, 16*second) {
		t.Error("a probe that saw the failure does not end the second ejection")
	}
	e.begin(17*second, testRule())
	if got := time.Duration(e.until - 17*second); got != 5*time.Second {
		t.Errorf("after a confirmed recovery the next ejection lasts %v, want 5s", got)
	}
}

func drawStandings(t *rapid.T, now int64) []standing {
	var peers []standing
	for range rapid.IntRange(0, 9).Draw(t, "n") {
		s := standing{state: State(rapid.IntRange(0, 2).Draw(t, "state")), weight: float64(rapid.IntRange(0, 2).Draw(t, "weight"))}
		if rapid.Bool().Draw(t, "ejected") {
			s.ejection = ejection{at: now - rapid.Int64Range(1, 100).Draw(t, "at"), until: now + 1}
		}
		peers = append(peers, s)
	}
	return peers
}

// Whatever the standings: the rules of eligible's doc comment, each checked on its own.
func TestEligibleProperties(t *testing.T) {
	const now = 1000 * second
	rapid.Check(t, func(t *rapid.T) {
		peers := drawStandings(t, now)
		share := rapid.Float64Range(0, 1).Draw(t, "maxEjected")
		none := WhenNoneHealthy(rapid.IntRange(0, 1).Draw(t, "none"))
		live, out, fallback := eligible(peers, share, none, now)

		positive, healthy, free := 0, 0, 0
		for i, p := range peers {
			in := slices.Contains(live, i)
			if p.weight <= 0 {
				if in || out[i] {
					t.Fatalf("peer %d without weight takes part", i)
				}
				continue
			}
			positive++
			if p.state != Healthy {
				if in != (fallback && none == Any) {
					t.Fatalf("peer %d is %v and in = %v", i, p.state, in)
				}
				continue
			}
			healthy++
			if !p.ejection.active(now) {
				free++
				if !in {
					t.Fatalf("healthy peer %d, not ejected, is not live", i)
				}
			}
			if in == out[i] {
				t.Fatalf("healthy peer %d: in = %v, left out = %v", i, in, out[i])
			}
		}
		if fallback != (healthy == 0) {
			t.Fatalf("fallback = %v with %d healthy", fallback, healthy)
		}
		if healthy > 0 && len(live) == 0 {
			t.Fatal("the last healthy peer was left out")
		}
		if float64(len(out)) > share*float64(positive)+1e-6 {
			t.Fatalf("%d of %d left out, the limit is %v", len(out), positive, share)
		}
		if healthy > 0 && len(out) < min(healthy-free, int(share*float64(positive)), healthy-1) {
			t.Fatalf("only %d left out of %d ejected, %d healthy, %d with weight", len(out), healthy-free, healthy, positive)
		}
		for i := range out {
			for j, p := range peers {
				if p.weight > 0 && p.state == Healthy && p.ejection.active(now) && !out[j] && p.ejection.at < peers[i].ejection.at {
					t.Fatalf("peer %d is left out, peer %d was ejected before it and is not", i, j)
				}
			}
		}
	})
}

func TestFamiliesKeepWhatFailed(t *testing.T) {
	a, b, c := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1")
	four := func(x ...netip.Addr) familyAnswer { return familyAnswer{addrs: x, ttl: 30 * time.Second} }
	broken := familyAnswer{err: errors.New("SERVFAIL")}
	last := families{v4: []netip.Addr{a}, v6: []netip.Addr{c}}
	for _, test := range []struct {
		name   string
		v4, v6 familyAnswer
		want   families
		fails  bool
	}{
		{"both answer", four(b), four(c), families{v4: []netip.Addr{b}, v6: []netip.Addr{c}}, false},
		{"six has none", four(b), four(), families{v4: []netip.Addr{b}}, false},
		{"six fails", four(b), broken, families{v4: []netip.Addr{b}, v6: []netip.Addr{c}}, true},
		{"both fail", broken, broken, last, true},
		{"neither has any", four(), four(), last, true},
		{"four has none, six fails", four(), broken, families{v6: []netip.Addr{c}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := last.merge(test.v4, test.v6)
			if !slices.Equal(got.v4, test.want.v4) || !slices.Equal(got.v6, test.want.v6) || (err != nil) != test.fails {
				t.Errorf("got %v, %v; want %v, failing %v", got, err, test.want, test.fails)
			}
		})
	}
}

func TestServiceRecords(t *testing.T) {
	records := preferred([]SRV{
		{"b.", 80, 10, 30}, {"backup.", 80, 20, 100}, {"a.", 80, 10, 10}, {".", 80, 0, 1}, {"c.", 80, 10, 0}, {"d.", 0, 1, 1},
	})
	var hosts []string
	for _, r := range records {
		hosts = append(hosts, r.Host)
	}
	if got := strings.Join(hosts, " "); got != "a. b. c." {
		t.Errorf("preferred = %q, want those of the lowest usable priority by name", got)
	}
	if got, want := srvShares(records), []float64{0.75, 2.25, 0.01}; !slices.Equal(got, want) {
		t.Errorf("shares = %v, want %v", got, want)
	}
	if got := srvShares([]SRV{{Weight: 0}, {Weight: 0}}); !slices.Equal(got, []float64{1, 1}) {
		t.Errorf("shares without weights = %v, want equal ones", got)
	}
}

func TestHostsFile(t *testing.T) {
	table := parseHostsFrom(strings.NewReader("# all\n127.0.0.1 localhost Local.\n::1\tlocalhost # six\nnonsense here\n10.0.0.1\n::ffff:10.0.0.2 mapped\n"))
	for name, want := range map[string]string{"localhost": "[127.0.0.1 ::1]", "local": "[127.0.0.1]", "mapped": "[10.0.0.2]"} {
		var got []string
		for _, a := range table[name] {
			got = append(got, a.String())
		}
		if s := "[" + strings.Join(got, " ") + "]"; s != want {
			t.Errorf("%s = %s, want %s", name, s, want)
		}
	}
	if len(table) != 3 {
		t.Errorf("the table has %d names, want 3: %v", len(table), table)
	}
}

func FuzzHostsFile(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 localhost # x\n")
	f.Add("10.0.0.1\ta b c\n#\n\n")
	f.Add("fe80::1%eth0 scoped\x00name")
	f.Fuzz(func(t *testing.T, text string) {
		for name, addrs := range parseHostsFrom(strings.NewReader(text)) {
			if len(addrs) == 0 || strings.ContainsAny(name, " \t\n#") {
				t.Errorf("name %q has addresses %v", name, addrs)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	f.Add("127.0.0.1:80")
	f.Add("[::1]:080")
	f.Add("[::ffff:10.0.0.1]:80")
	f.Add("API.example:5002")
	f.Fuzz(func(t *testing.T, address string) {
		if (Target{Address: address, Weight: 1}).check() != nil {
			return
		}
		once := canonical(address)
		if err := (Target{Address: once, Weight: 1}).check(); err != nil {
			t.Errorf("canonical(%q) = %q is no target: %v", address, once, err)
		}
		if twice := canonical(once); twice != once {
			t.Errorf("canonical(%q) = %q, and of that %q", address, once, twice)
		}
	})
}
