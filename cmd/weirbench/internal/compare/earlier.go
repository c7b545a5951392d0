package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// Earlier is a run of which scenarios are still in the report that later runs, which measured others, have renewed in part.
type Earlier struct {
	Date      time.Time `json:"date"`
	Command   string    `json:"command"`
	Weir      string    `json:"weir"`
	LoadStart string    `json:"loadavg_start"`
	LoadEnd   string    `json:"loadavg_end"`
	Rounds    int       `json:"rounds"`
	Scenarios []string  `json:"scenarios"`
}

// readResult is what an earlier run left at path, nil if there was none.
func readResult(path string) (*Result, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read figures: %w", err)
	}
	r := new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read figures of %s: %w", path, err)
	}
	return r, nil
}

// keep takes over what old has of scenarios that r did not measure, so that a run of a few scenarios renews their rows and no others.
func (r *Result) keep(old *Result) error {
	mine := r.scenarios()
	left := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(mine, n) })
	}
	kept := left(old.scenarios())
	if len(kept) == 0 {
		return nil
	}
	if r.Quick != old.Quick {
		return fmt.Errorf("keep the rows of %s: quick and full runs do not go into one table", strings.Join(kept, ", "))
	}
	for _, w := range old.Rows {
		if slices.Contains(kept, w.Scenario) {
			r.Rows = append(r.Rows, w)
		}
	}
	order := Names()
	slices.SortStableFunc(r.Rows, func(a, b *Row) int { return slices.Index(order, a.Scenario) - slices.Index(order, b.Scenario) })
	own := Earlier{
		Date: old.Date, Command: old.Command, Weir: old.Versions["weir"], LoadStart: old.LoadStart, LoadEnd: old.LoadEnd, Rounds: old.Rounds, Scenarios: slices.Clone(kept),
	}
	for _, e := range old.Earlier {
		own.Scenarios = slices.DeleteFunc(own.Scenarios, func(n string) bool { return slices.Contains(e.Scenarios, n) })
		if e.Scenarios = left(e.Scenarios); len(e.Scenarios) > 0 {
			r.Earlier = append(r.Earlier, e)
		}
	}
	if len(own.Scenarios) > 0 {
		r.Earlier = append(r.Earlier, own)
	}
	for _, n := range old.Notes { // a note on a trial begins with its scenario
		about := strings.TrimPrefix(n, "failed: ")
		if slices.ContainsFunc(kept, func(s string) bool { return strings.HasPrefix(about, s+", round") }) {
			r.Notes = append(r.Notes, n)
		}
	}
	r.Proxies = slices.DeleteFunc([]peer.Name{peer.Nginx, peer.HAProxy, peer.GoStd, peer.Weir}, func(n peer.Name) bool {
		return !slices.ContainsFunc(r.Rows, func(w *Row) bool { return w.Values[n] != nil })
	})
	return nil
}

// scenarios are those with rows, in their order.
func (r *Result) scenarios() (names []string) {
	for _, w := range r.Rows {
		if !slices.Contains(names, w.Scenario) {
			names = append(names, w.Scenario)
		}
	}
	return names
}

// earlier says which rows are not of this run.
func (r *Result) earlier(b *strings.Builder) {
	for _, e := range r.Earlier {
		fmt.Fprintf(b, "Not of this run: `%s`, measured %s with `%s` on %s, %d rounds, load average %s to %s.\n\n", strings.Join(e.Scenarios, "`, `"),
			e.Date.Format("2006-01-02 15:04 UTC"), e.Command, e.Weir, e.Rounds, e.LoadStart, e.LoadEnd)
	}
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Value) UnmarshalJSON(data []byte) error {
	f := math.NaN()
	if err := json.Unmarshal(data, &f); err != nil { // null leaves it as it is
		return err
	}
	*v = Value(f)
	return nil
}
