package edgetls_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// asker is an operator's endpoint that knows its customers' names.
type asker struct {
	url   string
	asked sync.Map // name → *atomic.Int64

	mu     sync.Mutex
	status map[string]int
	hangs  chan struct{} // closed: answer
}

func newAsker(t *testing.T, names ...string) *asker {
	t.Helper()
	a := &asker{status: map[string]int{}}
	for _, n := range names {
		a.status[n] = http.StatusOK
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("domain")
		n, _ := a.asked.LoadOrStore(name, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		a.mu.Lock()
		status, hangs := a.status[name], a.hangs
		a.mu.Unlock()
		if hangs != nil {
			<-hangs
		}
		if r.URL.Query().Get("key") != "k" || status == 0 {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL + "/allowed?key=k"
	return a
}

func (a *asker) set(name string, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status[name] = status
}

func (a *asker) count(name string) int64 {
	n, ok := a.asked.Load(name)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// TestOnDemand: the first handshake for a name that the endpoint allows waits for its certificate, those at the same time with it, later ones do not; the next
// process has it without asking; names that are refused end with unrecognized_name and are not asked about again; the budget holds over a restart.
func TestOnDemand(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ask := newAsker(t, "one.customer.test", "two.customer.test", "three.customer.test", "elsewhere.customer.test")
	var results [6]atomic.Int64
	options := func() edgetls.ACMEOptions {
		o := s.options(ca)
		o.OnDemand = &edgetls.OnDemandOptions{
			Ask: ask.url, Limit: edgetls.Rate{Count: 2, Per: time.Hour}, Serves: func(h string) bool { return !strings.HasPrefix(h, "unserved.") },
			Counted: func(r edgetls.OnDemandResult) { results[r].Add(1) },
		}
		return o
	}
	s.start(options(), "route.example.test")
	s.await("the route's certificate", s.isValid("route.example.test"))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := s.served("One.Customer.Test", ca.Issued); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first := s.mustServe("one.customer.test", ca.Issued)
	if n := ask.count("one.customer.test"); n != 1 || ca.Orders.Load() != 2 {
		t.Errorf("asked %d times, %d orders", n, ca.Orders.Load())
	}
	for range 3 {
		if _, err := s.served("nobody.customer.test", nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("a name that is refused: %v", err)
		}
	}
	for _, name := range []string{"unserved.customer.test", "localhost", "192.0.2.1.", "a_b.customer.test"} {
		if _, err := s.served(name, nil); err == nil {
			t.Errorf("%s is served", name)
		}
		if ask.count(name) != 0 {
			t.Errorf("%s was asked about", name)
		}
	}
	if n := ask.count("nobody.customer.test"); n != 1 {
		t.Errorf("a refused name was asked about %d times", n)
	}
	s.mustServe("", nil) // who names no host gets the first one's
	s.mustServe("two.customer.test", ca.Issued)
	if _, err := s.served("three.customer.test", nil); err == nil || results[edgetls.OnDemandLimited].Load() != 1 {
		t.Errorf("a third name in an hour: %v", err)
	}
	s.stop()

	orders := ca.Orders.Load()
	next := newSiteOf(t, s)
	next.start(options(), "route.example.test")
	if !next.mustServe("one.customer.test", ca.Issued).Equal(first) || ask.count("one.customer.test") != 1 || ca.Orders.Load() != orders {
		t.Error("the next process does not have it at once")
	}
	if _, err := next.served("three.customer.test", nil); err == nil {
		t.Error("a restart refilled the budget")
	}
	if got := []int64{results[0].Load(), results[1].Load(), results[3].Load()}; got[0] != 2 || got[1] < 1 || got[2] != 2 {
		t.Errorf("results %v", got)
	}
}

// newSiteOf is another edge with the folder of s, on listeners of its own.
func newSiteOf(t *testing.T, s *site) *site {
	t.Helper()
	other := newSite(t)
	other.folder = s.folder
	return other
}

// TestOnDemandNeverBlocks: while the endpoint hangs and names are being asked about, handshakes for others go on, and more new names than are allowed at once
// are turned away.
func TestOnDemandNeverBlocks(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ask := newAsker(t)
	ask.hangs = make(chan struct{})
	var busy atomic.Int64
	o := s.options(ca)
	o.OnDemand = &edgetls.OnDemandOptions{Ask: ask.url, Timeout: 30 * time.Second, Counted: func(r edgetls.OnDemandResult) {
		if r == edgetls.OnDemandBusy {
			busy.Add(1)
		}
	}}
	a := s.start(o, "route.example.test")
	s.await("the route's certificate", s.isValid("route.example.test"))
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			if _, err := s.served(string(rune('a'+i))+".customer.test", nil); err == nil {
				t.Error("served without an answer")
			}
		})
	}
	eventually(t, "names are turned away", func() bool { return busy.Load() == 6 })
	s.mustServe("route.example.test", ca.Issued)
	close(ask.hangs)
	all.Wait()
	a.Close()
	if _, err := s.served("late.customer.test", nil); err == nil {
		t.Error("a source that has ended obtains")
	}
}

// TestOnDemandFails: a name whose order fails, or that nobody answers for, is not managed.
func TestOnDemandFails(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ca.DNS.AddDNSARecord("elsewhere.customer.test.", []string{"127.0.0.2"})
	ask := newAsker(t, "elsewhere.customer.test", "down.customer.test")
	ask.set("down.customer.test", http.StatusBadGateway)
	o := s.options(ca)
	o.OnDemand = &edgetls.OnDemandOptions{Ask: ask.url, Names: 1}
	a := s.start(o, "route.example.test")
	s.await("the route's certificate", s.isValid("route.example.test"))
	for _, name := range []string{"elsewhere.customer.test", "down.customer.test"} {
		if _, err := s.served(name, nil); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := a.List(); len(list) != 1 {
		t.Errorf("managed: %+v", list)
	}
}

// TestOnDemandRenewal: a name is asked about again before it is renewed, and dropped when it is refused by then.
func TestOnDemandRenewal(t *testing.T) {
	s := newSite(t)
	ca := s.pebble()
	ask := newAsker(t, "stays.customer.test", "leaves.customer.test")
	o := s.options(ca)
	o.CAs[0].Profile = "brief"
	ca.Hurry()
	o.OnDemand = &edgetls.OnDemandOptions{Ask: ask.url}
	a := s.start(o)
	first := s.mustServe("stays.customer.test", ca.Issued)
	s.mustServe("leaves.customer.test", ca.Issued)
	ask.set("leaves.customer.test", http.StatusForbidden)
	s.await("renewal of the one", func() bool { return !s.mustServe("stays.customer.test", ca.Issued).Equal(first) })
	eventually(t, "end of the other", func() bool { return len(a.List()) == 1 })
	if _, err := s.served("leaves.customer.test", nil); err == nil {
		t.Error("still served")
	}
	if _, err := s.served("stays.customer.test", nil); err != nil {
		t.Error(err)
	}
}
