package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/redistest"
)

// write is a change of the document that c carries out at once.
func write(t *testing.T, c *cluster.Client, from cluster.Revision, text string, stake *cluster.Stake) (cluster.Revision, bool) {
	t.Helper()
	to := cluster.Revision{Line: "line", Number: from.Number + 1, Mark: c.Replica() + text}
	ok, err := c.Replace(cluster.Write{From: from, To: to, Document: []byte(text), Trial: stake})
	if err != nil {
		t.Fatal(err)
	}
	return to, ok
}

func called(name string) func(*cluster.Options) {
	return func(o *cluster.Options) { o.Replica = name }
}

// TestDocument: the first write makes it, every other one must know the one before, and who knows it is not sent it again.
func TestDocument(t *testing.T) {
	r := redistest.New(t)
	a, b := join(t, r.URL(), called("a")), join(t, r.URL(), called("b"))
	if text, at, err := a.Document(cluster.Revision{}); text != nil || at != (cluster.Revision{}) || err != nil {
		t.Fatalf("%s %+v %v", text, at, err)
	}
	first, ok := write(t, a, cluster.Revision{}, "one", nil)
	if !ok {
		t.Fatal("refused")
	}
	if _, ok := write(t, b, cluster.Revision{}, "mine", nil); ok {
		t.Error("a first one beside the first one")
	}
	if text, at, err := b.Document(cluster.Revision{}); string(text) != "one" || at != first || err != nil {
		t.Fatalf("%s %+v %v", text, at, err)
	}
	if text, at, err := b.Document(first); text != nil || at != first || err != nil {
		t.Fatalf("%s %+v %v", text, at, err)
	}
	other := first
	other.Mark = "of a write that was lost"
	if _, ok := write(t, b, other, "two", nil); ok {
		t.Error("written over what it did not know")
	}
	second, ok := write(t, b, first, "two", nil)
	if text, at, err := a.Document(first); !ok || string(text) != "two" || at != second || err != nil {
		t.Errorf("%v %s %+v %v", ok, text, at, err)
	}
	r.Kill()
	if _, _, err := a.Document(second); err == nil {
		t.Error("read without Redis")
	}
	if _, err := a.Replace(cluster.Write{From: second}); !errors.Is(err, cluster.ErrAway) {
		t.Errorf("%v, want to be told at once", err)
	}
}

// TestDocumentIsWrittenByOneAtATime: of many who change what they have read nobody's change is lost.
func TestDocumentIsWrittenByOneAtATime(t *testing.T) {
	r := redistest.New(t)
	var writers sync.WaitGroup
	const each = 20
	for i := range 4 {
		c := join(t, r.URL(), called(fmt.Sprint(i)))
		writers.Go(func() {
			for done := 0; done < each; {
				text, at, err := c.Document(cluster.Revision{})
				if err != nil {
					t.Error(err)
					return
				}
				to := cluster.Revision{Line: "line", Number: at.Number + 1, Mark: fmt.Sprint(i, done)}
				ok, err := c.Replace(cluster.Write{From: at, To: to, Document: append(text, 'x')})
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					done++
				}
			}
		})
	}
	writers.Wait()
	text, at, err := join(t, r.URL()).Document(cluster.Revision{})
	if err != nil || string(text) != strings.Repeat("x", 4*each) || at.Number != 4*each {
		t.Errorf("%d letters, revision %d, %v", len(text), at.Number, err)
	}
}

// TestLeaseAndReports: one replica has the lease and hears what the others report, each report once, also when it is handed in twice or another one takes the lease over.
func TestLeaseAndReports(t *testing.T) {
	r := redistest.New(t)
	a, b, c := join(t, r.URL(), called("a")), join(t, r.URL(), called("b")), join(t, r.URL(), called("c"))
	report := func(from *cluster.Client, batch uint64, text, holder string, taken bool) {
		t.Helper()
		if by, arrived, err := from.Report("t", batch, text); by != holder || arrived != taken || err != nil {
			t.Errorf("report %d: held by %q, %v, %v", batch, by, arrived, err)
		}
	}
	hears := func(by *cluster.Client, heard uint64, want ...string) {
		t.Helper()
		holder, list, err := by.Hold("t", heard)
		if err != nil || holder != by.Replica() || strings.Join(list, " ") != strings.Join(want, " ") {
			t.Errorf("%s hears %q after %d, holder %q, %v; want %q", by.Replica(), list, heard, holder, err, want)
		}
	}
	at, ok := write(t, a, cluster.Revision{}, "led by a", &cluster.Stake{Trial: "t"})
	if !ok {
		t.Fatal("refused")
	}
	if _, ok := write(t, b, at, "led by b", &cluster.Stake{Trial: "t"}); ok {
		t.Error("two hold the lease")
	}
	report(b, 1, "b1", "a", true)
	report(b, 1, "b1", "a", true) // its answer was lost: it is handed in again
	report(b, 2, "b2", "a", true)
	report(c, 1, "c1", "a", true)
	hears(a, 0, "b1", "b2", "c1")
	hears(a, 2, "c1")
	if holder, list, err := b.Hold("t", 0); holder != "a" || len(list) != 0 || err != nil {
		t.Errorf("not the holder: %q, %q, %v", holder, list, err)
	}
	if at, ok = write(t, a, at, "two are in", &cluster.Stake{Trial: "t", Heard: 2}); !ok {
		t.Fatal("refused")
	}
	report(c, 2, "c2", "a", true)
	hears(a, 3, "c2")
	if at, ok = write(t, a, at, "left by a", &cluster.Stake{Trial: "t", Heard: 2, Leave: true}); !ok {
		t.Fatal("refused")
	}
	report(c, 2, "", "", true)
	if _, ok = write(t, b, at, "led by b", &cluster.Stake{Trial: "t", Heard: 2}); !ok {
		t.Fatal("refused")
	}
	hears(b, 2, "c1", "c2") // what a had heard and not written
	if _, ok := write(t, a, at, "led by a", &cluster.Stake{Trial: "t", Heard: 3}); ok {
		t.Error("who led before writes on")
	}
	keys := connect(r)
	defer func() { _ = keys.Close() }()
	if err := keys.Del(t.Context(), "weir:rollout:t:gone").Err(); err != nil {
		t.Fatal(err)
	}
	hears(b, 4) // what nobody can tell from what was heard before is not heard again
	report(c, 3, "c3", "b", true)
	hears(b, 4, "c3")
}

// TestReportsAreBounded: what nobody takes does not fill Redis, and is not lost for who keeps it.
func TestReportsAreBounded(t *testing.T) {
	r := redistest.New(t)
	a := join(t, r.URL(), called("a"))
	const bound = 4096
	at, _ := write(t, a, cluster.Revision{}, "led", &cluster.Stake{Trial: "t"})
	others := make([]any, bound-1) // of replicas that have left
	for i := range others {
		others[i] = "[]"
	}
	c := connect(r)
	defer func() { _ = c.Close() }()
	if err := c.RPush(t.Context(), "weir:rollout:t:reports", others...).Err(); err != nil {
		t.Fatal(err)
	}
	for i, room := range []bool{true, false} {
		if _, taken, err := a.Report("t", uint64(i+1), "x"); taken != room || err != nil {
			t.Errorf("report %d: %v, %v", i+1, taken, err)
		}
	}
	write(t, a, at, "heard", &cluster.Stake{Trial: "t", Heard: bound})
	if _, taken, err := a.Report("t", 2, "y"); !taken || err != nil {
		t.Errorf("%v %v, with room again", taken, err)
	}
	if _, list, err := a.Hold("t", bound); len(list) != 1 || list[0] != "y" || err != nil {
		t.Errorf("%q %v", list, err)
	}
}
