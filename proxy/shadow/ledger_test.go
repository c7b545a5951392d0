package shadow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/valor-ivx/weir/proxy/shadow"
)

// verdicts are those of a report, by place.
func verdicts(r shadow.Report) map[string]shadow.Verdict {
	all := map[string]shadow.Verdict{}
	for _, d := range r.Differences {
		all[d.Where] = d.Verdict
	}
	return all
}

// TestNoiseCancels: what differs between blue and blue as it does between blue and green is noise, however often that is; what green alone has is a difference, also where blue is noisy.
func TestNoiseCancels(t *testing.T) {
	draw := rand.New(rand.NewPCG(1, 2))
	book := shadow.NewBook()
	for range 400 {
		var green, blue []string
		put := func(list *[]string, place string, likely bool) {
			if likely {
				*list = append(*list, place)
			}
		}
		put(&green, "$.now", true)
		put(&blue, "$.now", true)
		coin := draw.IntN(2) == 0 // blue's first toss is heads or tails; the others' are their own
		put(&green, "$.coin", coin != (draw.IntN(2) == 0))
		put(&blue, "$.coin", coin != (draw.IntN(2) == 0))
		put(&green, "$.rare", draw.IntN(20) == 0)
		put(&blue, "$.rare", draw.IntN(20) == 0)
		put(&green, "$.price", true)
		put(&green, "$.sometimes", draw.IntN(10) == 0)
		put(&green, "$.both", true)
		put(&blue, "$.both", draw.IntN(2) == 0)
		book.Enter("GET /", green, blue)
	}
	got := verdicts(book.Report())
	for place, want := range map[string]shadow.Verdict{"$.now": shadow.Noise, "$.price": shadow.Differs, "$.sometimes": shadow.Differs, "$.both": shadow.Differs} {
		if got[place] != want {
			t.Errorf("%s: %s, want %s", place, got[place], want)
		}
	}
	for _, place := range []string{"$.coin", "$.rare"} {
		if got[place] == shadow.Differs {
			t.Errorf("%s is taken for a difference", place)
		}
	}
	if d := book.Report().Differences[0]; d.Verdict != shadow.Differs || d.Differing != 400 || d.Noise != 0 || d.Compared != 400 || len(d.Samples) != shadow.MostSamples {
		t.Errorf("first: %+v", d)
	}
}

// TestNoiseIsSeldomTakenForADifference: with green like blue, of 20,000 noisy places, each looked at once after some comparisons, no more than the stated share are said to differ.
func TestNoiseIsSeldomTakenForADifference(t *testing.T) {
	draw := rand.New(rand.NewPCG(3, 4))
	wrong := 0
	const places = 20000
	for i := range places {
		book := shadow.NewBook()
		rate := 1 + i%10
		for range 20 + i%60 {
			var green, blue []string
			if draw.IntN(10) < rate {
				green = []string{"$.x"}
			}
			if draw.IntN(10) < rate {
				blue = []string{"$.x"}
			}
			book.Enter("GET /", green, blue)
		}
		if verdicts(book.Report())["$.x"] == shadow.Differs {
			wrong++
		}
	}
	t.Logf("%d of %d", wrong, places)
	if wrong > places/100 {
		t.Errorf("%d of %d noisy places are said to differ", wrong, places)
	}
}

// TestADifferenceNeedsTen: nine comparisons say nothing for sure, ten do.
func TestADifferenceNeedsTen(t *testing.T) {
	book := shadow.NewBook()
	for i := range 10 {
		book.Enter("GET /", []string{"status"}, nil)
		want := shadow.Unsure
		if i == 9 {
			want = shadow.Differs
		}
		if got := verdicts(book.Report())["status"]; got != want {
			t.Errorf("after %d: %s", i+1, got)
		}
	}
}

// TestWhatIsRememberedIsBounded: places and endpoints that come once make room for each other and leave those alone that come again and again.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	book := shadow.NewBook()
	for range 20 {
		book.Enter("GET /real", []string{"$.price"}, nil)
	}
	for i := range 5000 {
		book.Enter("GET /real", []string{fmt.Sprint("$.junk", i)}, nil)
		book.Enter(fmt.Sprint("GET /junk", i), []string{"$.x"}, nil)
	}
	r := book.Report()
	if len(r.Differences) > shadow.MostEndpoints*shadow.MostPlaces || r.Forgotten < 9000 {
		t.Errorf("%d places, %d forgotten", len(r.Differences), r.Forgotten)
	}
	if d := r.Differences[0]; d.Endpoint != "GET /real" || d.Where != "$.price" || d.Differing != 20 {
		t.Errorf("first: %+v", d)
	}
	if r.Compared != 10020 || r.Differing != 10020 {
		t.Errorf("%d compared, %d differing", r.Compared, r.Differing)
	}
}

func TestAnswersAreCompared(t *testing.T) {
	const kind = "application/json; charset=utf-8"
	rules := shadow.Rules{Headers: []string{"Content-Type", "Location", "Set-Cookie"}}
	good := shadow.Reply{Status: 200, Kind: kind, Headers: []string{kind, "/a", ""}, Body: `{"a":1}`}
	with := func(change func(*shadow.Reply)) shadow.Reply {
		r := good
		r.Headers = slices.Clone(r.Headers)
		change(&r)
		return r
	}
	for _, c := range []struct {
		name string
		to   shadow.Reply
		want []shadow.Finding
	}{
		{"same", good, nil},
		{"same document", with(func(r *shadow.Reply) { r.Body = ` {"a":1.0} ` }), nil},
		{"none", shadow.Reply{Failure: "timeout"}, []shadow.Finding{{"answer", "200", "timeout"}}},
		{"status alone", with(func(r *shadow.Reply) { r.Status, r.Body, r.Headers[0] = 500, "oops", "text/plain" }), []shadow.Finding{{"status", "200", "500"}}},
		{"headers", with(func(r *shadow.Reply) { r.Headers[1], r.Headers[2] = "/abc", "s=1" }), []shadow.Finding{{"header location", "string(2)", "string(4)"}, {"header set-cookie", "absent", "(masked)"}}},
		{"place", with(func(r *shadow.Reply) { r.Body = `{"a":2}` }), []shadow.Finding{{"$.a", "1", "2"}}},
		{"no document", with(func(r *shadow.Reply) { r.Body = `{"a":` }), []shadow.Finding{{"body", "7 bytes, sha256 015abd7f…", "5 bytes, sha256 ffb38b22…"}}},
		{"longer", with(func(r *shadow.Reply) { r.Body, r.Long = `{"a":1}`, true }), []shadow.Finding{{"body", "7 bytes, sha256 015abd7f…", "more than 7 bytes"}}},
	} {
		if got := rules.Diff(good, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q\nwant %q", c.name, got, c.want)
		}
	}
}
