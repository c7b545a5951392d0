package observe

import (
	"strconv"
	"sync/atomic"

	"github.com/valor-ivx/weir/proxy/observe/series"
)

// Status codes are three digits, 100 to 599 (RFC 9110 §15); whatever lies outside shares one counter with the label oddCode, so that an upstream
// cannot make labels at will.
const (
	firstCode = 100
	lastCode  = 599
	oddCode   = "000"
)

// codeCounters finds the counter of a status code by two loads. A class (2xx, 4xx) takes its 800 bytes only when its first code is seen: one flat
// array per method and protocol would be 4 KiB each, and 10,000 routes are to stay affordable.
//
// Readers need no lock. Entries are written once each, under Metrics.mu.
type codeCounters struct {
	classes [5]atomic.Pointer[codeClass]
	odd     atomic.Pointer[series.Counter]
}

type codeClass [100]atomic.Pointer[series.Counter]

// find returns the counter of code, nil when it has none yet.
func (s *codeCounters) find(code int) *series.Counter {
	if code < firstCode || code > lastCode {
		return s.odd.Load()
	}
	class := s.classes[code/100-1].Load()
	if class == nil {
		return nil
	}
	return class[code%100].Load()
}

// put stores the counter of code. Caller holds Metrics.mu.
func (s *codeCounters) put(code int, c *series.Counter) {
	if code < firstCode || code > lastCode {
		s.odd.Store(c)
		return
	}
	class := s.classes[code/100-1].Load()
	if class == nil {
		class = new(codeClass)
		s.classes[code/100-1].Store(class)
	}
	class[code%100].Store(c)
}

// each calls f with the label of every code that has a counter. Caller holds Metrics.mu.
func (s *codeCounters) each(f func(label string)) {
	if s.odd.Load() != nil {
		f(oddCode)
	}
	for i := range s.classes {
		class := s.classes[i].Load()
		if class == nil {
			continue
		}
		for j := range class {
			if class[j].Load() != nil {
				f(codeLabel((i+1)*100 + j))
			}
		}
	}
}

func codeLabel(code int) string {
	if code < firstCode || code > lastCode {
		return oddCode
	}
	return strconv.Itoa(code)
}
