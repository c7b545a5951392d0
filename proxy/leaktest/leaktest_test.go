package leaktest_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/proxy/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// TestNoneIsPatient: a goroutine that ends later than goleak waits by itself is no leak.
func TestNoneIsPatient(t *testing.T) {
	known := goleak.IgnoreCurrent()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-time.After(time.Second)
	}()
	if err := goleak.Find(known); err == nil || !strings.Contains(err.Error(), "TestNoneIsPatient") {
		t.Fatalf("goleak sees %v", err)
	}
	leaktest.None(t, known)
	select {
	case <-ended:
	default:
		t.Error("it was not waited for")
	}
}
