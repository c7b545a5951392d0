package waf

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
)

// Options describe a WAF.
type Options struct {
	Name          string
	CoreRules     bool
	Paranoia      int // 1 to 4
	Inbound       int // anomaly score from which a request is blocked
	Outbound      int // likewise an answer
	Exclude       []int
	RulesFile     string        // empty: none
	MaxBody       int           // bytes that are inspected
	MaxArguments  int           // that are inspected
	BlockOversize bool          // what is longer than the two before is blocked; else its beginning is inspected
	Block         bool          // false: decide and tell, refuse nothing
	FailOpen      bool          // what cannot be judged passes
	Timeout       time.Duration // longest wait for a turn

	Turns *Turns
	// Tell hears of findings, for people; it is called by requests and must not wait. nil: nobody.
	Tell func(Finding)
}

// WAF is one set of rules. It is safe for concurrent use; rules that were put in force by Reload hold for requests that begin after it.
type WAF struct {
	Options
	engine atomic.Pointer[engine]
}

// engine is compiled rules. Compiling the core rule set takes about a quarter of a second and its rules 20 MB.
type engine struct {
	waf coraza.WAF
	own []byte // contents of the operator's file
}

// Open compiles the rules.
func Open(o Options) (*WAF, error) {
	w := &WAF{Options: o}
	return w, w.Reload()
}

// Reload reads the operator's file again; on an error the rules stay as they were. It is called by one goroutine at a time.
func (w *WAF) Reload() error {
	var own []byte
	if w.RulesFile != "" {
		var err error
		if own, err = os.ReadFile(w.RulesFile); err != nil {
			return fmt.Errorf("waf %s: read rules: %w", w.Name, err)
		}
	}
	old := w.engine.Load()
	if old != nil && bytes.Equal(old.own, own) {
		return nil
	}
	c, err := coraza.NewWAF(coraza.NewWAFConfig().WithRootFS(coreruleset.FS).WithDirectives(w.directives(string(own))))
	if err != nil {
		where := w.RulesFile
		if where == "" {
			where = "rules"
		}
		return fmt.Errorf("waf %s: %s: %w", w.Name, where, err)
	}
	w.engine.Store(&engine{c, own})
	old.close()
	return nil
}

// Close lets go of what compiled rules share; requests that are being judged are not disturbed.
func (w *WAF) Close() { w.engine.Load().close() }

func (e *engine) close() {
	if e == nil {
		return
	}
	if c, ok := e.waf.(io.Closer); ok {
		_ = c.Close() // of a cache of compiled expressions; it never fails
	}
}

// Turns bound how many requests are judged at once, all WAFs together: it is computing, milliseconds at a time, and others want the processors too.
type Turns struct{ slots chan struct{} }

// NewTurns makes as many as n.
func NewTurns(n int) *Turns { return &Turns{make(chan struct{}, n)} }

// take waits for a turn, at most d.
func (t *Turns) take(d time.Duration) bool {
	select {
	case t.slots <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case t.slots <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (t *Turns) give() { <-t.slots }
