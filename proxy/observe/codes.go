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

// codeCounters finds the counter of a status code by three loads. A class (2xx, 4xx) and ten codes of it take their 80 bytes each when the first of their codes is seen: one flat
// array per method and protocol would be 4 KiB, and 10,000 routes are to stay affordable, also when somebody tries out what there is.
//
// Readers need no lock. Entries are written once each, under Metrics.mu.
type codeCounters struct {
	classes [5]atomic.Pointer[codeClass]
	odd     atomic.Pointer[series.Counter]
}

type (
	codeClass [10]atomic.Pointer[codeTen]
	codeTen   [10]atomic.Pointer[series.Counter]
)

// find returns the counter of code, nil when it has none yet.
func (s *codeCounters) find(code int) *series.Counter {
	if code < firstCode || code > lastCode {
		return s.odd.Load()
	}
	class := s.classes[code/100-1].Load()
	if class == nil {
		return nil
	}
	ten := class[code/10%10].Load()
	if ten == nil {
		return nil
	}
	return ten[code%10].Load()
}

// put stores the counter of code. Caller holds Metrics.mu.
func (s *codeCounters) put(code int, c *series.Counter) {
	if code < firstCode || code > lastCode {
		s.odd.Store(c)
		return
	}
	class := made(&s.classes[code/100-1])
	ten := made(&class[code/10%10])
	ten[code%10].Store(c)
}

// made is what p points to, made where there is nothing yet. Caller holds Metrics.mu.
func made[T any](p *atomic.Pointer[T]) *T {
	if p.Load() == nil {
		p.Store(new(T))
	}
	return p.Load()
}

// read calls f with every counter that there is; code is 0 for the odd ones.
func (s *codeCounters) read(f func(code int, c *series.Counter)) {
	if c := s.odd.Load(); c != nil {
		f(0, c)
	}
	for i := range s.classes {
		class := s.classes[i].Load()
		if class == nil {
			continue
		}
		for j := range class {
			ten := class[j].Load()
			if ten == nil {
				continue
			}
			for k := range ten {
				if c := ten[k].Load(); c != nil {
					f((i+1)*100+j*10+k, c)
				}
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
