package upstream_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/proxy/leaktest"
	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/upstream"
)

// limit is how long a test waits for what must happen; it is only reached by failures.
const limit = 60 * time.Second

// record keeps the events of a registry as lines.
type record struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // of capacity 1: there is a new line
}

func newRecord() *record { return &record{more: make(chan struct{}, 1)} }

func (r *record) add(format string, args ...any) {
	r.mu.Lock()
	r.lines = append(r.lines, fmt.Sprintf(format, args...))
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *record) events() upstream.Events {
	return upstream.Events{
		Up:       func(s, g, target string, up bool) { r.add("up %s/%s %s %v", s, g, target, up) },
		Gone:     func(s, g, target string) { r.add("gone %s/%s %s", s, g, target) },
		Ejected:  func(s, g, target, reason string) { r.add("ejected %s/%s %s %s", s, g, target, reason) },
		Returned: func(s, g, target, how string) { r.add("returned %s/%s %s %s", s, g, target, how) },
		EjectionSkipped: func(s, g, target, reason, why string) {
			r.add("skipped %s/%s %s %s %s", s, g, target, reason, why)
		},
		Resolved: func(source string, err error) { r.add("resolved %s %v", source, err == nil) },
	}
}

func (r *record) count(line string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, l := range r.lines {
		if l == line {
			n++
		}
	}
	return n
}

func (r *record) all() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// await waits until line was recorded n times.
func (r *record) await(t *testing.T, line string, n int) {
	t.Helper()
	late := time.After(limit)
	for r.count(line) < n {
		select {
		case <-r.more:
		case <-late:
			t.Fatalf("no %q (%d times) in:\n%s", line, n, r.all())
		}
	}
}

// newRegistry is closed, and looked through for goroutines that stayed, at the end of the test.
func newRegistry(t testing.TB, o upstream.Options) *upstream.Registry {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	r := upstream.NewRegistry(o)
	t.Cleanup(func() {
		r.Close()
		leaktest.None(t, ignore)
	})
	return r
}

func acquire(t testing.TB, r *upstream.Registry, o upstream.PoolOptions) *upstream.Pool {
	t.Helper()
	if o.Service == "" {
		o.Service, o.Group = "api", "blue"
	}
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = limit // a machine that stands still for some seconds is no target that cannot be reached
	}
	p, err := r.Acquire(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func targets(addresses ...string) []upstream.Target {
	var list []upstream.Target
	for _, a := range addresses {
		list = append(list, upstream.Target{Address: a, Weight: 1})
	}
	return list
}

// liveAddresses lists the live set by address.
func liveAddresses(p *upstream.Pool) []string {
	var list []string
	live := p.Live()
	for i := range live.Len() {
		list = append(list, live.At(i).Address())
	}
	slices.Sort(list)
	return list
}

// backend is an HTTP server that can be told to be unready and counts what it was asked.
type backend struct {
	*httptest.Server
	address string
	unready atomic.Bool
	probes  atomic.Int64
}

func newBackend(t testing.TB) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.probes.Add(1)
		if b.unready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	b.address = b.Listener.Addr().String()
	t.Cleanup(b.Close)
	return b
}

// silentServer accepts connections and hands them to the test.
func silentServer(t testing.TB) (address string, accepted <-chan net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		close(conns)
		for c := range conns {
			_ = c.Close()
		}
	})
	return l.Addr().String(), conns
}

// refused is an address where nobody listens as long as the test lasts.
func refused(t testing.TB) string { return porttest.Reserve(t) }
