package observe_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/proxy/observe"
)

func TestIDsAreUniqueHexFromEveryGoroutine(t *testing.T) {
	const workers, each = 8, 20000
	lists := [workers][]string{}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				lists[w] = append(lists[w], string(observe.AppendID(nil)))
			}
		})
	}
	wg.Wait()
	shape := regexp.MustCompile(`^[0-9a-f]{32}$`)
	seen := make(map[string]bool, workers*each)
	var ones [observe.IDLength]map[byte]bool
	for _, list := range lists {
		for _, id := range list {
			if !shape.MatchString(id) || !observe.ValidID([]byte(id)) {
				t.Fatalf("id %q", id)
			}
			if seen[id] {
				t.Fatalf("id %s twice", id)
			}
			seen[id] = true
			for i := range id {
				if ones[i] == nil {
					ones[i] = map[byte]bool{}
				}
				ones[i][id[i]] = true
			}
		}
	}
	for i, digits := range ones {
		if len(digits) != 16 {
			t.Errorf("digit %d takes only %d values: part of the id is constant", i, len(digits))
		}
	}
}

func TestAppendIDKeepsWhatStandsBefore(t *testing.T) {
	buf := make([]byte, 0, 64)
	if got := string(observe.AppendID(append(buf, "id="...))); !strings.HasPrefix(got, "id=") || len(got) != 3+observe.IDLength {
		t.Errorf("got %q", got)
	}
	if n := testing.AllocsPerRun(1000, func() { observe.AppendID(buf) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestValidID(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "AZaz09._-": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, "a\n": false, "a\"": false, "é": false, "a/b": false, "a:b": false,
	} {
		if observe.ValidID([]byte(id)) != want {
			t.Errorf("ValidID(%q) = %v", id, !want)
		}
	}
}

func BenchmarkAppendID(b *testing.B) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 0, observe.IDLength)
		for pb.Next() {
			observe.AppendID(buf)
		}
	})
}
