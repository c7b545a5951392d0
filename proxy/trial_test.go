package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/upstream"
)

const (
	notOK   = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno"
	unknown = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
)

// onTrial has 99 of 100 requests start at green, which is on trial, and the others at blue.
func onTrial(blue, green string) edgeOptions {
	o := twoGroups(blue, green)
	o.weights = []uint32{100, 9900}
	o.trial = &proxy.Trial{Green: 1, Watch: new(proxy.Watch)}
	return o
}

// askGreen says a request until one was assigned to green, and returns what came of that: an access log line is written after the trial's books are closed.
func (e *edge) askGreen(raw string) (status string, line entry) {
	e.t.Helper()
	for range 3 { // of three in a row at most one goes to blue
		before, _ := e.service.Trial.Counts()
		c := e.say(raw)
		status, _, _ = strings.Cut(c.head(), "\r\n")
		line = e.line()
		if after, _ := e.service.Trial.Counts(); after.Requests > before.Requests {
			return status, line
		}
	}
	e.t.Fatal("green was never asked")
	return "", entry{}
}

func probe() *upstream.HealthOptions {
	return &upstream.HealthOptions{Path: "/probe", Interval: time.Hour, Timeout: patienceOfTests, Rise: 1, Fall: 1}
}

// probed is a peer that is healthy whatever it answers to others.
func probed(t testing.TB, response string) *peer {
	return newPeer(t, func(w *wire) {
		for {
			switch h := w.head(); {
			case h == "":
				return
			case strings.HasPrefix(h, "GET /probe "):
				w.send(ok)
			default:
				if strings.Contains(h, "Content-Length: 5") {
					w.take(5)
				}
				w.send(response)
			}
		}
	})
}

// A request that green fails is blue's to answer, once, where nothing can come of saying it twice; green has failed it all the same.
func TestTrialRescuesWhatGreenFails(t *testing.T) {
	good := answering(t, ok)
	for name, green := range map[string]func() string{
		"500": func() string { return answering(t, notOK).address },
		"503 chunked": func() string {
			return answering(t, "HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n").address
		},
		"breaks":       func() string { return breaking(t, 0).address },
		"not HTTP":     func() string { return answering(t, "SSH-2.0-OpenSSH_9.2\r\n\r\n").address },
		"dead":         func() string { return deadAddress(t) },
		"half an head": func() string { return answering(t, "HTTP/1.1 200 OK\r\nX").address },
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			t.Run(name+" "+method, func(t *testing.T) {
				o := onTrial(good.address, green())
				if name == "half an head" {
					o.response = 100 * time.Millisecond
				}
				e := newEdge(t, o)
				status, line := e.askGreen(method + " / HTTP/1.1\r\nHost: a\r\n\r\n")
				if status != "HTTP/1.1 200 OK" || line.Group != "blue" || line.Attempts != 2 || line.Reason != "" {
					t.Errorf("%s, logged %+v", status, line)
				}
				green, others := e.service.Trial.Counts()
				if green.Requests != 1 || green.Failed != 1 || green.Errors != 1 || others.Failed != 0 {
					t.Errorf("green %+v, others %+v", green, others)
				}
				if n := e.counter("weir_upstream_retries_total"); n != 1 {
					t.Errorf("%v retries counted", n)
				}
			})
		}
	}
}

func TestTrialRescuesNothingElse(t *testing.T) {
	for _, c := range []struct {
		name, request string
		change        func(*edgeOptions)
		status        string
	}{
		{"POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", nil, "500"},
		{"PUT", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", nil, "500"},
		{"DELETE", "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", nil, "500"},
		{"budget", get, func(o *edgeOptions) { o.budget = upstream.NewRetryBudget(0, 0) }, "500"},
		{"tries", get, func(o *edgeOptions) { o.tries = 1 }, "500"},
		{"the others have no weight", get, func(o *edgeOptions) { o.weights = []uint32{0, 10000} }, "500"},
		{"nobody lives there", get, func(o *edgeOptions) { o.groups["blue"], o.health = []string{deadAddress(t)}, probe() }, "500"},
		{"no trial of that group", get, func(o *edgeOptions) { o.trial.Green = 7 }, "500"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := probed(t, notOK)
			o := onTrial(answering(t, ok).address, bad.address)
			if c.change != nil {
				c.change(&o)
			}
			e := newEdge(t, o)
			for range 3 {
				w := e.say(c.request)
				status, _, _ := strings.Cut(w.head(), "\r\n")
				line := e.line()
				if line.Group == "blue" && line.Attempts == 1 {
					continue // assigned there
				}
				if !strings.HasPrefix(status, "HTTP/1.1 "+c.status) || line.Attempts != 1 || line.Group != "green" {
					t.Errorf("%s, logged %+v", status, line)
				}
			}
		})
	}
}

// Blue that fails too is the end: a request is given away once.
func TestTrialRescuesOnce(t *testing.T) {
	e := newEdge(t, onTrial(answering(t, notOK).address, answering(t, notOK).address))
	e.service.Tries = 2
	if status, line := e.askGreen(get); !strings.HasPrefix(status, "HTTP/1.1 500") || line.Attempts != 2 || line.Group != "blue" {
		t.Errorf("%s, logged %+v", status, line)
	}
	if green, others := e.service.Trial.Counts(); green.Failed != 1 || others.Requests != 0 {
		t.Errorf("green %+v, others %+v", green, others)
	}
}

func TestTrialCounts(t *testing.T) {
	post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
	for _, c := range []struct {
		name, answer string
		failed       uint64
	}{{"200", ok, 0}, {"404", unknown, 0}, {"500", notOK, 1}, {"truncated", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno", 1}} {
		t.Run(c.name, func(t *testing.T) {
			up := newPeer(t, func(w *wire) {
				if w.head() != "" {
					w.send(c.answer)
				}
			})
			e := newEdge(t, onTrial(answering(t, ok).address, up.address))
			e.askGreen(post)
			if green, _ := e.service.Trial.Counts(); green.Requests != 1 || green.Failed != c.failed || green.Errors != c.failed {
				t.Errorf("%+v", green)
			}
		})
	}
	t.Run("a client that leaves", func(t *testing.T) {
		asked := make(chan bool, 4)
		up := newPeer(t, func(w *wire) {
			if w.head() != "" {
				asked <- true
				_, _ = w.rest() // until the edge gives up
			}
		})
		e := newEdge(t, onTrial(up.address, up.address))
		w := e.say(get)
		expect(t, "request at the peer", asked)
		w.reset()
		if l := e.line(); l.Status != 499 {
			t.Fatalf("logged %+v", l)
		}
		if green, others := e.service.Trial.Counts(); green.Requests+others.Requests != 0 {
			t.Errorf("green %+v, others %+v", green, others)
		}
	})
	t.Run("a group that nobody lives in", func(t *testing.T) {
		o := onTrial(probed(t, ok).address, deadAddress(t))
		o.health = probe()
		e := newEdge(t, o)
		for range 3 {
			e.say(get).head()
			if l := e.line(); l.Status != 200 || l.Group != "blue" {
				t.Errorf("logged %+v", l)
			}
		}
		if green, others := e.service.Trial.Counts(); green.Requests != 0 || others.Requests > 1 {
			t.Errorf("green %+v, others %+v", green, others)
		}
	})
}

// However fast one client fails, in a second it is one event; the harm it meets is counted whole.
func TestTrialBoundsAClient(t *testing.T) {
	o := onTrial(answering(t, notOK).address, answering(t, notOK).address)
	e := newEdge(t, o)
	began := time.Now()
	c := e.dial()
	const n = 50
	for range n {
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		c.head()
		c.take(2)
		e.line()
	}
	seconds := uint64(time.Since(began)/time.Second) + 2 // that it can have touched
	green, others := e.service.Trial.Counts()
	if green.Failed+others.Failed != n {
		t.Errorf("green %+v, others %+v: not %d failed", green, others, n)
	}
	if events := green.Errors + others.Errors; events < 1 || events > seconds {
		t.Errorf("%d events of one client in at most %d seconds", events, seconds)
	}
}

func TestTrialTellsSlowAnswers(t *testing.T) {
	o := onTrial(answering(t, ok).address, answering(t, ok).address)
	e := newEdge(t, o)
	e.askGreen(get)
	if green, _ := e.service.Trial.Counts(); green.Slow95 != 0 {
		t.Errorf("slow before the limits are known: %+v", green)
	}
	o.trial.Watch.Freeze(1, time.Hour)
	e.askGreen(get)
	if green, _ := e.service.Trial.Counts(); green.Slow95 != 1 || green.Slow99 != 0 || green.Failed != 0 {
		t.Errorf("beyond the lower limit: %+v", green)
	}
	o = onTrial(answering(t, ok).address, answering(t, ok).address)
	e = newEdge(t, o)
	o.trial.Watch.Freeze(1, 2)
	e.askGreen(get)
	if green, _ := e.service.Trial.Counts(); green.Slow95 != 1 || green.Slow99 != 1 {
		t.Errorf("beyond both: %+v", green)
	}
}

// The others' latencies are learnt until the limits are frozen, and green's never.
func TestTrialLearnsTheOthersLatencies(t *testing.T) {
	o := onTrial(answering(t, ok).address, answering(t, ok).address)
	o.weights = []uint32{5000, 5000}
	e := newEdge(t, o)
	learnt := func() (n uint64) {
		counts := o.trial.Watch.Latencies()
		if len(counts) != balancer.LatencyBuckets {
			t.Fatalf("%d buckets", len(counts))
		}
		for _, c := range counts {
			n += c
		}
		return n
	}
	ask := func() {
		c := e.dial()
		for range 100 {
			c.send(get)
			c.head()
			c.take(2)
			e.line()
		}
	}
	ask()
	if n := learnt(); n != 50 {
		t.Errorf("%d latencies of 50 requests", n)
	}
	o.trial.Watch.Freeze(time.Hour, time.Hour)
	ask()
	if n := learnt(); n != 50 {
		t.Errorf("%d latencies after the freeze", n)
	}
	if green, others := o.trial.Counts(); green.Requests != 100 || others.Requests != 100 {
		t.Errorf("green %+v, others %+v", green, others)
	}
}

// gRPC says in a status of its own what elsewhere is a 5xx.
func TestTrialHearsGRPC(t *testing.T) {
	for status, failed := range map[string]uint64{"0": 0, "5": 0, "13": 1, "14": 1} {
		t.Run(status, func(t *testing.T) {
			up := answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nGrpc-Status: %s\r\nContent-Length: 0\r\n\r\n", status))
			e := newEdge(t, onTrial(up.address, up.address))
			e.askGreen("POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
			if green, _ := e.service.Trial.Counts(); green.Failed != failed {
				t.Errorf("%+v", green)
			}
		})
	}
}
