package proxy

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Recent holds addresses of pages that anybody may read, as they were asked for lately, so that a group that starts cold can be asked for them before clients are sent
// to it. It outlives generations.
//
// What is kept was asked for by GET, without a query, by a client that showed no cookie, no credentials and no certificate, on a route that asks nobody who they are, and
// was answered 200: asked again, without any of these either, it gives nobody more than that client got. Of the request only the host and the path are kept.
//
// Its size is fixed. One request in a while writes to it; all others read one word.
type Recent struct {
	every int64        // ns between two that are kept
	due   atomic.Int64 // ns of Options.Now from which on the next one is

	mu     sync.Mutex // guards what follows; requests only try it
	age    uint64     // of the newest
	places [recentPlaces]recentPage
}

// Page is an address in a Recent.
type Page struct {
	Host, Path string
	Secure     bool // the client spoke TLS
}

const (
	recentPlaces = 64

	// recentAlike is how many pages of one template are kept: a thousand articles warm no more than four.
	recentAlike = 4

	longestHost = 128
	longestPath = 256

	// longestWord is the longest part of a path that is taken for a word: what is longer, or has a digit in it, names one of many things.
	longestWord = 24
)

// recentPage is a place: arrays, because requests allocate nothing.
type recentPage struct {
	age              uint64 // 0: nothing is here
	template         uint64
	secure           bool
	hostLen, pathLen int
	host             [longestHost]byte
	path             [longestPath]byte
}

// NewRecent keeps one request in so long.
func NewRecent(every time.Duration) *Recent { return &Recent{every: int64(every)} }

// Pages are what is kept, the newest first.
func (r *Recent) Pages() []Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []Page
	for age := r.age; age > 0 && r.age-age < recentPlaces*recentAlike && len(list) < recentPlaces; age-- {
		for i := range r.places {
			if p := &r.places[i]; p.age == age {
				list = append(list, Page{string(p.host[:p.hostLen]), string(p.path[:p.pathLen]), p.secure})
			}
		}
	}
	return list
}

// remember keeps the exchange's page, if its turn has come and anybody may read it.
func (x *Exchange) remember(now int64) {
	r := x.service.Recent
	if due := r.due.Load(); now < due || !x.public() || !r.due.CompareAndSwap(due, now+r.every) {
		return
	}
	r.add(x.req.Host, x.req.Path, x.who.secure)
}

// public reports a page that anybody may read: see Recent.
func (x *Exchange) public() bool {
	q := &x.req
	switch {
	case q.Method != message.GET || x.status != 200 || x.ours || x.attempts == 0 || x.choice.Forced:
		return false
	case q.Query != nil || q.Nominates || q.Framing != message.None || len(q.Path) == 0 || len(q.Path) > longestPath || len(q.Host) == 0 || len(q.Host) > longestHost:
		return false
	case x.route.Guard != nil || len(x.route.Access) > 0 || x.client.session != nil && x.client.session.Client() != nil:
		return false
	}
	return q.Header.Find(message.Cookie, 0) < 0 && q.Header.Find(message.Authorization, 0) < 0 && q.Header.Find(message.ProxyAuthorization, 0) < 0
}

// add puts a page where it was, or in the place of the oldest: of its template if there are enough of it, else of all.
func (r *Recent) add(host, path []byte, secure bool) {
	if !r.mu.TryLock() {
		return // somebody else's page will do
	}
	defer r.mu.Unlock()
	template := templateOf(host, path)
	oldest, alike, oldestAlike := 0, 0, -1
	for i := range r.places {
		p := &r.places[i]
		if p.age < r.places[oldest].age {
			oldest = i
		}
		if p.age == 0 || p.template != template {
			continue
		}
		if p.secure == secure && bytes.Equal(p.host[:p.hostLen], host) && bytes.Equal(p.path[:p.pathLen], path) {
			oldest, alike = i, 0
			break
		}
		if alike++; oldestAlike < 0 || p.age < r.places[oldestAlike].age {
			oldestAlike = i
		}
	}
	if alike >= recentAlike {
		oldest = oldestAlike
	}
	r.age++
	p := &r.places[oldest]
	p.age, p.template, p.secure = r.age, template, secure
	p.hostLen, p.pathLen = copy(p.host[:], host), copy(p.path[:], path)
}

// templateOf is the same for paths that differ only in what names one of many things (FNV-1a).
func templateOf(host, path []byte) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	mix := func(part []byte) {
		for _, c := range part {
			h = (h ^ uint64(c)) * prime
		}
		h = (h ^ '/') * prime
	}
	mix(host)
	for more := true; more; {
		var part []byte
		part, path, more = bytes.Cut(path, []byte{'/'})
		if len(part) > longestWord || bytes.ContainsAny(part, "0123456789") {
			part = nil
			h ^= '*'
		}
		mix(part)
	}
	return h
}
