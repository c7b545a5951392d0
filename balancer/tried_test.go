package balancer_test

import (
	"testing"

	"github.com/valor-ivx/weir/balancer"
)

func TestTriedHoldsItsMembersAndNoMore(t *testing.T) {
	var tried balancer.Tried
	if tried.Has(0) {
		t.Fatal("the zero value holds peer 0")
	}
	for i := range balancer.MaxTried {
		for range 2 {
			if !tried.Add(i * 1000) {
				t.Fatalf("Add(%d) refused", i*1000)
			}
		}
		if !tried.Has(i*1000) || tried.Has(i*1000+1) || tried.Len() != i+1 {
			t.Fatalf("after %d: %+v", i*1000, tried)
		}
	}
	if tried.Add(1) || tried.Has(1) || tried.Len() != balancer.MaxTried {
		t.Fatalf("a full set took another: %+v", tried)
	}
}
