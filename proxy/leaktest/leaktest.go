// Package leaktest holds the tests of a package to leave no goroutine behind. It serves several packages; nothing but tests imports it (layers_test.go holds that).
//
// It refuses to judge by time: what is about to end may take as long as a busy machine needs, and only what never ends is a leak.
package leaktest

import (
	"time"

	"go.uber.org/goleak"
)

// patience bounds the wait for goroutines that never end; goleak's own is half a second.
const patience = time.Minute

// Main is what a TestMain does: it runs the tests, waits for goroutines that are about to end, and fails if some are left that are not known to outlive them.
func Main(m goleak.TestingM, known ...goleak.Option) {
	goleak.VerifyTestMain(patient{m, known}, known...)
}

type patient struct {
	goleak.TestingM
	known []goleak.Option
}

// Run implements goleak.TestingM.
func (p patient) Run() int {
	code := p.TestingM.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find(p.known...) != nil && time.Now().Before(end); {
	}
	return code
}

// Test is what a testing.T and its kin have of use here.
type Test interface {
	Helper()
	Error(args ...any)
}

// None waits until no goroutine runs but those that are known, goleak.IgnoreCurrent of before for one, and fails the test if some never end.
func None(t Test, known ...goleak.Option) {
	t.Helper()
	var left error
	for end := time.Now().Add(patience); ; {
		if left = goleak.Find(known...); left == nil {
			return
		}
		if time.Now().After(end) {
			t.Error(left)
			return
		}
	}
}
