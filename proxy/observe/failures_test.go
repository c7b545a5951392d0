package observe_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// The last failures are kept, and a flood of them costs a count each.
func TestFailuresAreBounded(t *testing.T) {
	var f observe.Failures
	taken := 0
	for i := range 1000 {
		if f.Wanted(int64(time.Hour)) {
			f.Add(observe.Failure{Path: fmt.Sprint("/", i)})
			taken++
		}
	}
	list, passed := f.Since(0)
	if taken == 0 || taken > 50 || len(list) != taken || int(passed) != 1000-taken {
		t.Fatalf("of 1000 in a second %d were taken, %d are kept, %d were passed over", taken, len(list), passed)
	}
	for s := range 100 {
		now := int64(time.Hour) + int64(s+1)*int64(time.Second)
		for range 5 {
			if !f.Wanted(now) {
				t.Fatalf("second %d: a failure is not wanted", s)
			}
			f.Add(observe.Failure{Path: fmt.Sprint("/later/", s)})
		}
	}
	list, _ = f.Since(0)
	if len(list) != 200 || list[0].Number != uint64(taken)+300+1 || list[199].Path != "/later/99" || list[0].Path != "/later/60" {
		t.Fatalf("%d kept, from %+v", len(list), list[0])
	}
	for i := range list[1:] {
		if list[i+1].Number != list[i].Number+1 {
			t.Fatal("numbers with gaps")
		}
	}
	if rest, _ := f.Since(list[197].Number); len(rest) != 2 || rest[0].Number != list[198].Number {
		t.Fatalf("%+v", rest)
	}
	if rest, _ := f.Since(list[199].Number); rest != nil {
		t.Fatalf("%+v", rest)
	}
}
