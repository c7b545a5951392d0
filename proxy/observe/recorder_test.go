package observe_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// recorded is a request that ended at a time, with that as its path.
func recorded(end int64) *observe.Recorded {
	r := &observe.Recorded{End: end, Head: 1, Service: "api", Route: "all", Group: "blue", Status: 200}
	r.SetMethodName("GET")
	r.SetTexts([]byte("h"), fmt.Appendf(nil, "/%d", end), []byte("id"))
	return r
}

func TestRecorderKeepsTheLast(t *testing.T) {
	r := observe.NewRecorder(observe.RecorderOptions{Requests: 256, Slow: time.Second})
	var lane uint32
	for end := int64(1); end <= 10_000; end++ {
		lane++
		r.Add(lane, recorded(end))
	}
	list := r.Read(observe.Query{})
	if len(list) < 256 || len(list) > 256+64 {
		t.Fatalf("%d are kept, of 256", len(list))
	}
	for i := range list {
		if want := int64(10_000 - i); list[i].End != want || list[i].Path() != fmt.Sprint("/", want) {
			t.Fatalf("number %d ended at %d: %s", i, list[i].End, list[i].Path())
		}
	}
	if got := r.Read(observe.Query{Limit: 3, Since: 9_999}); len(got) != 2 || got[1].End != 9_999 {
		t.Errorf("%d since 9999", len(got))
	}
	if got := r.Read(observe.Query{Limit: 3}); len(got) != 3 || got[0].End != 10_000 {
		t.Errorf("%d with a limit of 3", len(got))
	}
}

// TestRecorderPinsWhatMatters: slow and failed ones outlive a flood of good ones, each the other's too.
func TestRecorderPinsWhatMatters(t *testing.T) {
	r := observe.NewRecorder(observe.RecorderOptions{Requests: 64, Slow: time.Second})
	slow, failed, both := recorded(1), recorded(2), recorded(3)
	slow.Head = time.Second
	failed.Failed, failed.Group, failed.Dealt, failed.Assigned, failed.FailedIn = true, "blue", "green", "green", "green"
	both.Head, both.Duration, both.Failed, both.Service = 0, time.Minute, true, "other" // no answer came at all
	for _, e := range []*observe.Recorded{slow, failed, both} {
		r.Add(0, e)
	}
	for end := int64(10); end < 1000; end++ {
		r.Add(uint32(end), recorded(end))
	}
	for _, c := range []struct {
		q    observe.Query
		want string
	}{
		{observe.Query{Slow: true}, "3 1"}, {observe.Query{Failed: true}, "3 2"}, {observe.Query{Failed: true, Slow: true}, "3"}, {observe.Query{Failed: true, Service: "api"}, "2"},
		{observe.Query{Failed: true, Group: "green"}, "2"}, {observe.Query{Failed: true, Group: "blue"}, "3 2"}, {observe.Query{Slow: true, Route: "none"}, ""}, {observe.Query{Failed: true, Since: 3}, "3"},
	} {
		var got []string
		for _, e := range r.Read(c.q) {
			got = append(got, fmt.Sprint(e.End))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%+v: %v, want %s", c.q, got, c.want)
		}
	}
}

func TestRecorderCutsTexts(t *testing.T) {
	r := observe.NewRecorder(observe.RecorderOptions{Requests: 1, Slow: time.Second})
	long := []byte(strings.Repeat("x", 1<<16))
	e := &observe.Recorded{}
	e.SetMethod(long)
	e.SetTexts(long, long, long)
	r.Add(0, e)
	e.SetTexts(nil, nil, nil)
	got := r.Read(observe.Query{})
	if len(got) != 1 || len(got[0].Host()) != 48 || len(got[0].Path()) != 112 || len(got[0].RequestID()) != 48 || len(got[0].Method()) != 16 {
		t.Fatalf("%+v", got)
	}
}

func TestRecorderThatIsOff(t *testing.T) {
	if r := observe.NewRecorder(observe.RecorderOptions{}); r != nil || r.Read(observe.Query{}) != nil {
		t.Error("a recorder of no requests is none")
	}
}

// TestRecorderIsReadWhileItIsWritten: a reader sees each request whole, once, in order.
func TestRecorderIsReadWhileItIsWritten(t *testing.T) {
	r := observe.NewRecorder(observe.RecorderOptions{Requests: 128, Slow: time.Second})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			lane := uint32(w * observe.LaneStride)
			for i := range 5000 {
				lane++
				e := recorded(int64(i*4 + w + 1))
				e.Failed = i%10 == 0
				r.Add(lane, e)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		writers.Wait()
		close(done)
	}()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		for _, q := range []observe.Query{{}, {Failed: true}} {
			list := r.Read(q)
			for i := range list {
				if list[i].Path() != fmt.Sprint("/", list[i].End) || i > 0 && list[i].End >= list[i-1].End {
					t.Fatalf("number %d of %+v: %s, ended at %d", i, q, list[i].Path(), list[i].End)
				}
			}
		}
	}
}

func BenchmarkRecorder(b *testing.B) {
	r := observe.NewRecorder(observe.RecorderOptions{Requests: 4096, Slow: time.Second})
	e, lane := recorded(1), uint32(0)
	b.ReportAllocs()
	for b.Loop() {
		lane++
		e.End++
		r.Add(lane, e)
	}
}
