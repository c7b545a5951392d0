package observe

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Sampling says which exchanges an access log writes lines of.
type Sampling struct {
	Rate      float64       // share of the ordinary ones, chosen by chance; 1: all of them
	Slow      time.Duration // who takes this long or longer is no ordinary one
	OnLeftOut func()        // told of each that is not written; may be nil; called from the goroutines that log
}

// Sampled is a log over the same sink that leaves ordinary exchanges out. What somebody will look for is always written: see keeps. JSON lines that chance has let through have the rate under
// KeySampleRate, so that counts can be divided by it; lines without it stand for themselves. The combined format has no place for it.
func (l *AccessLog) Sampled(s Sampling) *AccessLog {
	if l == nil || s.Rate >= 1 {
		return l
	}
	chosen := *l
	chosen.sample = &sampler{Sampling: s, below: uint64(s.Rate * (1 << 64))}
	if !l.combined {
		chosen.sample.mark = `,"` + KeySampleRate + `":` + strconv.FormatFloat(s.Rate, 'g', -1, 64) + "}\n"
	}
	return &chosen
}

// sampler never changes after construction.
type sampler struct {
	Sampling
	below uint64 // of 2⁶⁴ draws these are written
	mark  string // what ends a line that was drawn; "": nothing tells it
}

// keeps reports whether e is written whatever chance says: it was refused or failed, was slow, was tried again, or a rule of a firewall matched.
func (s *sampler) keeps(e *Entry) bool {
	return e.Status >= http.StatusBadRequest || e.Status == 0 || e.Reason != "" || e.Duration >= s.Slow || e.Attempts > 1 || e.WAFRules != "" ||
		e.Error != "" || e.GRPCStatus != "" && e.GRPCStatus != "OK"
}

// draws takes a chance of its own for each exchange and not a hash of its request id: that is the client's word where the client is a trusted proxy, and who chooses ids would choose what is written. The
// generator is that of AppendID: no lock, nothing shared.
func (s *sampler) draws() bool {
	if rand.Uint64() < s.below {
		return true
	}
	if s.OnLeftOut != nil {
		s.OnLeftOut()
	}
	return false
}
