package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/deploy"
	"github.com/valor-ivx/weir/proxy/admin"
)

// weir answers as the admin API of one service does. What a test wants otherwise is in fail.
type weir struct {
	mu      sync.Mutex // guards what follows
	rollout *admin.Rollout
	next    []admin.Rollout // what further reads find
	starts  int
	fail    func(w http.ResponseWriter, r *http.Request) bool // answers itself
}

func (s *weir) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil && s.fail(w, r) {
		return
	}
	switch {
	case r.Method == http.MethodPost:
		s.begin()
		_ = json.NewEncoder(w).Encode(s.rollout)
	case !strings.HasSuffix(r.URL.Path, "/rollout"):
		_ = json.NewEncoder(w).Encode(admin.Service{Name: "api", Groups: []admin.Group{
			{Name: "blue", Weight: 10000, Targets: []admin.Target{{Address: "10.0.0.1:1", State: "healthy"}}},
			{Name: "green", Targets: []admin.Target{{Address: "10.0.0.2:1", State: "healthy"}}},
		}})
	case s.rollout == nil:
		problem(w, r, http.StatusNotFound)
	default:
		_ = json.NewEncoder(w).Encode(s.rollout)
		if len(s.next) > 0 {
			s.rollout, s.next = &s.next[0], s.next[1:]
		}
	}
}

func (s *weir) begin() {
	s.starts++
	s.rollout = &admin.Rollout{To: "green", State: "running", By: "ann", Started: at(0), Threshold: 1000, MaxHarm: 50, Steps: []admin.Weight{500, 10000}}
}

func problem(w http.ResponseWriter, r *http.Request, status int) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(admin.Problem{Title: http.StatusText(status), Status: status, Detail: "so it is", Instance: r.URL.Path})
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// at is a moment of the rollouts here.
func at(seconds float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

// begun is how often a rollout was begun.
func (s *weir) begun() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// options ship green to a service of s.
func options(t *testing.T, s *weir) deploy.Options {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	c, err := client.New(client.Options{Address: l.Addr().String(), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Options{
		Client: c, Service: "api", Request: admin.RolloutRequest{To: "green"}, Wait: true, Healthy: time.Minute, Timeout: time.Minute, Progress: &bytes.Buffer{},
		Command: "weir deploy api --to=green --wait",
	}
}

// ended is a rollout with a history.
func ended(state, cause, reason string, weight admin.Weight) admin.Rollout {
	end := at(61.25)
	return admin.Rollout{
		To: "green", State: state, Cause: cause, Reason: reason, By: "ann_b@host", Started: at(0), Ended: &end, Step: 2, Steps: []admin.Weight{500, 10000}, Weight: weight,
		Evidence: 1234.56789, Threshold: 1000, Harm: 12.5, MaxHarm: 50, SlowP95: admin.Duration(12345 * time.Microsecond), SlowP99: admin.Duration(40 * time.Millisecond),
		Green: admin.RolloutCount{Requests: 200, Errors: 15, Failed: 16, Slow95: 9, Slow99: 2}, Others: admin.RolloutCount{Requests: 2000, Errors: 1, Failed: 1, Slow95: 101, Slow99: 20},
		Timeline: []admin.RolloutMoment{
			{At: at(0), State: "running"},
			{At: at(1), State: "running", Step: 1, Weight: 500},
			{At: at(5), State: "holding", Step: 1, Weight: 500, Reason: "paused by bob", Green: admin.RolloutCount{Requests: 10}, Others: admin.RolloutCount{Requests: 190}},
			{At: at(6), State: "running", Step: 1, Weight: 500, Green: admin.RolloutCount{Requests: 11}, Others: admin.RolloutCount{Requests: 200}},
			{At: at(31.5), State: "running", Step: 2, Weight: 10000, Green: admin.RolloutCount{Requests: 95, Failed: 1, Errors: 1}, Others: admin.RolloutCount{Requests: 1990, Failed: 1, Errors: 1}},
			{At: end, State: state, Step: 2, Weight: weight, Reason: reason, Green: admin.RolloutCount{Requests: 190, Failed: 14}, Others: admin.RolloutCount{Requests: 1999}},
		},
	}
}

var update = flag.Bool("update", false, "rewrite testdata")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is now\n%s\nwant\n%s", name, got, want)
	}
}

// TestVerdicts holds the forms that pipelines read.
func TestVerdicts(t *testing.T) {
	for name, end := range map[string]admin.Rollout{
		"promoted":    ended("promoted", "", "", 10000),
		"rolled_back": ended("rolled_back", "evidence", "evidence 1.23e+03 of 1e+03, by errors: green failed 16 of 200 requests", 0),
	} {
		t.Run(name, func(t *testing.T) {
			s := &weir{}
			o := options(t, s)
			s.fail = func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodPost {
					s.next = []admin.Rollout{end}
				}
				return false
			}
			v, err := deploy.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".json", append(b, '\n'))
			var text bytes.Buffer
			v.Text(&text)
			golden(t, name+".txt", text.Bytes())
			text.Reset()
			v.Markdown(&text)
			golden(t, name+".md", text.Bytes())
			// All of it passed between two looks.
			told := o.Progress.(*bytes.Buffer).String()
			for _, words := range []string{"running, step 1 of 2, weight 5 %\n", "step 1 of 2, weight 5 %: paused by bob", "running, step 2 of 2, weight 100 %\n", end.State + ", step 2 of 2"} {
				if strings.Count(told, words) == 0 {
					t.Errorf("progress without %q:\n%s", words, told)
				}
			}
		})
	}
}

// TestStartWhoseAnswerIsLost: weir died after it had begun. It is not begun twice.
func TestStartWhoseAnswerIsLost(t *testing.T) {
	s := &weir{}
	o := options(t, s)
	s.fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		s.begin()
		s.next = []admin.Rollout{ended("promoted", "", "", 10000)}
		cut(w)
		return true
	}
	v, err := deploy.Run(t.Context(), o)
	if err != nil || v.Word != deploy.Promoted || s.begun() != 1 {
		t.Fatalf("%+v %v after %d starts", v, err, s.begun())
	}
}

// TestStartThatIsLost: weir died before it had begun. It is asked again.
func TestStartThatIsLost(t *testing.T) {
	s, lost := &weir{}, 0
	o := options(t, s)
	s.fail = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || lost > 1 {
			return false
		}
		if lost++; lost == 2 {
			s.next = []admin.Rollout{ended("rolled_back", "harm", "too much", 0)}
			problem(w, r, http.StatusServiceUnavailable)
			return true
		}
		cut(w)
		return true
	}
	v, err := deploy.Run(t.Context(), o)
	if err != nil || v.Word != deploy.RolledBack || v.ExitCode != 4 || s.begun() != 1 {
		t.Fatalf("%+v %v after %d starts", v, err, s.begun())
	}
}

// TestRolloutThatIsReplaced: weights were reset, or another rollout was begun, while nobody could see it end.
func TestRolloutThatIsReplaced(t *testing.T) {
	s := &weir{}
	o := options(t, s)
	s.fail = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			s.next = []admin.Rollout{{To: "green", State: "running", Started: at(100)}}
		}
		return false
	}
	v, err := deploy.Run(t.Context(), o)
	if err != nil || v.Word != deploy.Aborted || v.ExitCode != 4 || !strings.Contains(v.Reason, "another rollout") {
		t.Fatalf("%+v %v", v, err)
	}
}

// TestRefusalsEndIt: what weir says no to is not tried again.
func TestRefusalsEndIt(t *testing.T) {
	for _, refused := range []string{http.MethodPost, http.MethodGet} {
		s, asked := &weir{}, atomic.Int64{}
		o := options(t, s)
		s.fail = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != refused {
				return false
			}
			asked.Add(1)
			problem(w, r, http.StatusUnauthorized)
			return true
		}
		if v, err := deploy.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "so it is") || asked.Load() != 1 {
			t.Errorf("%s: %+v %v after %d calls", refused, v, err, asked.Load())
		}
	}
}
