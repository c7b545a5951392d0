package waf

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/corazawaf/coraza/v3/types"

	"github.com/valor-ivx/weir/proxy/message"
)

// TestPanicIsAVerdict: a bug in the engine costs one request its judgement, as on_error says, and gives its turn back.
func TestPanicIsAVerdict(t *testing.T) {
	for _, open := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "own.conf")
		if err := os.WriteFile(file, []byte("SecAction \"id:1,phase:1,pass\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := Open(Options{Name: "it", RulesFile: file, MaxBody: 64, MaxArguments: 5, Block: true, FailOpen: open, Timeout: time.Minute, Turns: NewTurns(1)})
		if err != nil {
			t.Fatal(err)
		}
		i := w.Begin(Request{Request: &message.Request{}})
		if pass := i.phase(func() (*types.Interruption, error) { panic("bug") }); pass != open || !errors.Is(i.Failed(), errPanic) {
			t.Errorf("open %t: passes %t, %v", open, pass, i.Failed())
		}
		if i.Body([]byte("x")) != open {
			t.Error("judged again after a panic")
		}
		i.End()
		if next := w.Begin(Request{Request: &message.Request{}}); !next.Head(false) {
			t.Errorf("the turn was not given back: %v", next.Failed())
		}
		w.Close()
	}
}
