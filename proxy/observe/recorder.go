package observe

import (
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// Recorded is one finished request as the flight recorder keeps it: of a fixed size, with nothing in it that a client could have sent as a secret beside its path. Texts of
// clients are cut to a length.
type Recorded struct {
	End      int64         // ns of the proxy's clock
	Duration time.Duration // from the first byte of the request to the end of the response
	Head     time.Duration // to the head of the upstream's answer; 0: there was none
	Client   netip.Addr
	Proto    message.Proto
	Status   int    // sent, or 499
	Reason   string // from the closed set of package proxy

	// Group answered, or was asked last. Assigned is where the request was dealt to while a group is on trial, FailedIn the same if that group failed it, whoever answered then.
	Listener, Route, Service, Group, Peer string
	Assigned, FailedIn                    string

	// Dealt is the group that the request was dealt to, or asked for, and Placed how; Weight is that group's then, in hundredths of a percent. "" and Nowhere: it came to none.
	Dealt      string
	Placed     Placed
	Weight     uint32
	Generation uint64 // of the configuration that decided all this

	BytesIn, BytesOut int64
	Attempts          int
	Trace             [16]byte // zero: tracing is off
	Sampled           bool     // and the trace has its spans
	Failed, Slow      bool     // Slow is the Recorder's word

	method         [16]byte
	host           [48]byte
	path           [LongestPath]byte
	id             [longestID]byte
	methodN, hostN uint8
	pathN, idN     uint8
}

// SetMethod keeps a method's token.
func (r *Recorded) SetMethod(token []byte) { r.methodN = uint8(copy(r.method[:], token)) }

// SetMethodName keeps the name of a method that has one.
func (r *Recorded) SetMethodName(name string) { r.methodN = uint8(copy(r.method[:], name)) }

// SetTexts keeps the authority, the path without query and parameters, and the request id.
func (r *Recorded) SetTexts(host, path, id []byte) {
	r.hostN, r.pathN, r.idN = uint8(copy(r.host[:], host)), uint8(copy(r.path[:], path)), uint8(copy(r.id[:], id))
}

// Method is the token.
func (r *Recorded) Method() string { return string(r.method[:r.methodN]) }

// Host is the authority as received.
func (r *Recorded) Host() string { return string(r.host[:r.hostN]) }

// Path is without query and parameters.
func (r *Recorded) Path() string { return string(r.path[:r.pathN]) }

// RequestID is that of the access log.
func (r *Recorded) RequestID() string { return string(r.id[:r.idN]) }

// RecorderOptions bound a Recorder.
type RecorderOptions struct {
	Requests int           // how many are kept; of slow and of failed ones an eighth as many, each
	Slow     time.Duration // from which time to the head on a request is slow
}

// Recorder remembers the last requests, and apart from them the last slow and the last failed ones, which a flood of others does not push out. Its memory is allocated at once
// and never grows. It is safe for concurrent use.
type Recorder struct {
	options RecorderOptions
	// lanes are rings that the requests are spread over, so that processors do not wait for each other. A power of two.
	lanes        []ring
	slow, failed ring
}

// LaneStride is how far apart those who record begin. Each counts up by one for a request and changes its lane only now and then: the ring that it wrote last is in its
// processor's cache, and yet one connection alone fills them all.
const LaneStride = 16

// ring is a number of requests, the oldest of which makes room for the next.
type ring struct {
	mu    sync.Mutex // guards what follows; held for a copy of one request, or of some
	slots []Recorded
	next  uint64
	_     [64]byte // two rings share no cache line
}

// NewRecorder is an empty one; nil, which records nothing, for no requests.
func NewRecorder(o RecorderOptions) *Recorder {
	if o.Requests <= 0 {
		return nil
	}
	lanes := 1
	for lanes < runtime.GOMAXPROCS(0) && lanes < 64 && lanes*64 < o.Requests {
		lanes *= 2
	}
	r := &Recorder{options: o, lanes: make([]ring, lanes)}
	for i := range r.lanes {
		r.lanes[i].slots = make([]Recorded, (o.Requests+lanes-1)/lanes)
	}
	pinned := max(1, (o.Requests+7)/8)
	r.slow.slots, r.failed.slots = make([]Recorded, pinned), make([]Recorded, pinned)
	return r
}

// Options are what it was made with.
func (r *Recorder) Options() RecorderOptions { return r.options }

// Add keeps a copy of e, whose Slow it sets. lane is the caller's counter.
func (r *Recorder) Add(lane uint32, e *Recorded) {
	took := e.Head
	if took == 0 {
		took = e.Duration
	}
	e.Slow = took >= r.options.Slow
	r.lanes[lane/LaneStride&uint32(len(r.lanes)-1)].add(e)
	if e.Slow {
		r.slow.add(e)
	}
	if e.Failed {
		r.failed.add(e)
	}
}

func (g *ring) add(e *Recorded) {
	g.mu.Lock()
	g.slots[g.next%uint64(len(g.slots))] = *e
	g.next++
	g.mu.Unlock()
}

// Read copies what q chooses, the last one first. Slow and failed ones are read from where they are pinned. A nil Recorder has none.
func (r *Recorder) Read(q Query) (list []Recorded) {
	switch {
	case r == nil:
		return nil
	case q.Failed:
		list = r.failed.read(list, &q)
	case q.Slow:
		list = r.slow.read(list, &q)
	default:
		for i := range r.lanes {
			list = r.lanes[i].read(list, &q)
		}
	}
	slices.SortStableFunc(list, func(a, b Recorded) int {
		switch {
		case a.End > b.End:
			return -1
		case a.End < b.End:
			return 1
		}
		return 0
	})
	if q.Limit > 0 && len(list) > q.Limit {
		list = list[:q.Limit]
	}
	return list
}

// batch is how many slots are looked at under the lock at once: some microseconds, which is what a request may have to wait for a reader.
const batch = 32

// read appends what q chooses, the last one first.
func (g *ring) read(list []Recorded, q *Query) []Recorded {
	g.mu.Lock()
	next := g.next
	g.mu.Unlock()
	size := uint64(len(g.slots))
	oldest := next - min(next, size)
	for next > oldest {
		g.mu.Lock()
		if g.next > size { // what was overwritten meanwhile is newer than what was asked for
			oldest = max(oldest, g.next-size)
		}
		for range batch {
			if next <= oldest {
				break
			}
			next--
			if e := &g.slots[next%size]; q.wants(e) {
				list = append(list, *e)
			}
		}
		g.mu.Unlock()
	}
	return list
}
