package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/auth"
	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/market"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

var update = flag.Bool("update", false, "rewrite golden files")

// server is the real handler on a real listener over a real database.
type server struct {
	*httptest.Server
	t     testing.TB
	store *store.Store
	logs  *observer.ObservedLogs

	// mu guards clock, which the handler reads from its goroutines.
	mu    sync.Mutex
	clock time.Time
}

func start(t testing.TB, edit func(*api.Options)) *server {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	s := &server{t: t, store: db, logs: logs, clock: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	tokens, err := auth.NewTokens("0123456789abcdef0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	o := api.Options{Tokens: tokens, Build: "v1.2.3", Color: "blue", Demo: true, Store: db, Log: zap.New(core), Now: s.now,
		Metrics: metrics.New(metrics.Options{Version: "v1.2.3", Color: "blue", Pools: func() []metrics.Pool {
			return []metrics.Pool{metrics.Pool(db.Pools()[0])}
		}})}
	o.Collab = collab.New(collab.Options{Store: db.Documents(), Metrics: o.Metrics.Sockets, Log: o.Log, Now: o.Now, Limits: collab.Defaults()})
	fixtures, err := market.NewFixtures()
	if err != nil {
		t.Fatal(err)
	}
	if o.Market, err = market.New(market.Options{Provider: fixtures, Metrics: o.Metrics.Market, Log: o.Log, Now: o.Now}); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(&o)
	}
	s.Server = httptest.NewServer(api.New(o))
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		o.Collab.Close(ended)
		o.Market.Close()
		s.Server.Close()
		db.Close()
	})
	return s
}

// now moves on by a millisecond a call, so that every run has its own time.
func (s *server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(time.Millisecond)
	return s.clock
}

type reply struct {
	code   int
	header http.Header
	body   []byte
}

// send makes one request. headers are pairs.
func (s *server) send(method, path, body string, headers ...string) reply {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, b}
}

// into decodes an answer that must have this status and be JSON of its kind.
func (r reply) into(t testing.TB, code int, v any) {
	t.Helper()
	want := "application/json"
	if code >= 400 {
		want = "application/problem+json"
	}
	if r.code != code || r.header.Get("Content-Type") != want {
		t.Fatalf("%d %s, want %d %s: %s", r.code, r.header.Get("Content-Type"), code, want, r.body)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
}

type problemBody struct {
	Title, Detail string
	Status        int
	Errors        []struct{ Message, Location string }
}

// refused checks for a problem+json that names this location, "" for none.
func (r reply) refused(t testing.TB, code int, location string) problemBody {
	t.Helper()
	var p problemBody
	r.into(t, code, &p)
	if p.Status != code || p.Title != http.StatusText(code) {
		t.Errorf("problem %+v, want status %d", p, code)
	}
	found := location == ""
	for _, e := range p.Errors {
		found = found || e.Location == location
	}
	if !found {
		t.Errorf("problem does not name %s: %s", location, r.body)
	}
	return p
}

func TestHealth(t *testing.T) {
	s := start(t, nil)
	r := s.send("GET", "/api/health", "")
	var got struct{ Status, Timestamp, Version, Color string }
	r.into(t, 200, &got)
	if got.Status != "healthy" || got.Version != "v1.2.3" || got.Color != "blue" ||
		!strings.HasPrefix(got.Timestamp, "2026-05-04T03:02:01") {
		t.Errorf("health %+v", got)
	}
	s.store.Close()
	if r := s.send("GET", "/api/health", ""); r.code != 200 {
		t.Errorf("without a database: %d, want 200: health asks nobody", r.code)
	}
}

func TestReadinessFollowsTheDatabase(t *testing.T) {
	s := start(t, nil)
	type body struct {
		Status string
		Checks struct {
			DB struct {
				OK     bool
				Detail string
			}
		}
	}
	var got body
	s.send("GET", "/api/readiness", "").into(t, 200, &got)
	if got.Status != "ready" || !got.Checks.DB.OK {
		t.Errorf("readiness %+v", got)
	}
	s.store.Close()
	r := s.send("GET", "/api/readiness", "")
	got = body{}
	if err := json.Unmarshal(r.body, &got); err != nil || r.code != 503 || got.Status != "degraded" || got.Checks.DB.OK {
		t.Errorf("readiness %d %s, %v", r.code, r.body, err)
	}
	if strings.Contains(string(r.body), "sql") {
		t.Errorf("the internal error leaks: %s", r.body)
	}
}

func TestEveryAnswerCarriesColorAndRequestID(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/api/health", "/metrics", "/openapi.json", "/api/runs/last", "/nope", "/api/dcf"} {
		r := s.send("GET", path, "", "X-Request-ID", "abc.DEF_1-2")
		if r.header.Get("X-Valor-Color") != "blue" || r.header.Get("X-Request-ID") != "abc.DEF_1-2" {
			t.Errorf("%s: %d %v", path, r.code, r.header)
		}
	}
	plain := start(t, func(o *api.Options) { o.Color = "" })
	if r := plain.send("GET", "/api/health", ""); r.header["X-Valor-Color"] != nil {
		t.Errorf("a colour without a colour: %v", r.header)
	}
}

func TestUnsafeRequestIDsAreReplaced(t *testing.T) {
	s := start(t, nil)
	seen := map[string]bool{}
	for _, id := range []string{"", "a b", "a;b", `a"b`, "é", strings.Repeat("x", 129), "{}"} {
		got := s.send("GET", "/api/health", "", "X-Request-ID", id).header.Get("X-Request-ID")
		if got == id || len(got) != 36 || seen[got] {
			t.Errorf("%q → %q", id, got)
		}
		seen[got] = true
	}
	if long := strings.Repeat("x", 128); s.send("GET", "/api/health", "", "X-Request-ID", long).header.Get("X-Request-ID") != long {
		t.Error("128 characters were replaced")
	}
}

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	s := start(t, nil)
	s.send("GET", "/", "").refused(t, 404, "")
	s.send("GET", "/api/healthXYZ", "").refused(t, 404, "")
	s.send("GET", "/api/runs/last/x", "").refused(t, 404, "")
	r := s.send("DELETE", "/api/runs", "")
	r.refused(t, 405, "")
	if r.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow %q", r.header.Get("Allow"))
	}
	if r := s.send("HEAD", "/api/health", ""); r.code != 200 || len(r.body) != 0 {
		t.Errorf("HEAD: %d %q", r.code, r.body)
	}
}

func TestUnknownQueryParameters(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/api/health?t=1", "/api/readiness?t=1", "/metrics?t=1"} {
		if r := s.send("GET", path, ""); r.code != 200 {
			t.Errorf("%s: %d", path, r.code)
		}
	}
	s.send("POST", "/api/dcf?compat=false", "{}").refused(t, 422, "query.compat")
	s.send("GET", "/api/runs/last?ticker=A", "").refused(t, 422, "query.ticker")
}

func TestProductionKnowsNoDemoUser(t *testing.T) {
	s := start(t, func(o *api.Options) { o.Demo = false })
	for _, c := range [][3]string{{"GET", "/api/runs", ""}, {"GET", "/api/runs/last", ""},
		{"GET", "/api/runs/01900000-0000-7000-8000-000000000000", ""},
		{"POST", "/api/runs", `{"inputs":{"ticker":"A"}}`}, {"POST", "/api/runs", `nonsense`}} {
		s.send(c[0], c[1], c[2]).refused(t, 401, "")
	}
	if page, err := s.store.Runs(t.Context(), store.Owner{Tenant: "demo", User: "demo"}, store.RunQuery{Limit: 1}); err != nil || page.Total != 0 {
		t.Errorf("a refused run was stored: %v, %v", page, err)
	}
	if r := s.send("POST", "/api/dcf", "{}"); r.code != 200 {
		t.Errorf("dcf needs no user, and answers %d", r.code)
	}
}

func TestFaultsSpareHealth(t *testing.T) {
	draws := []float64{.049, .05, .9, 0}
	var mu sync.Mutex
	s := start(t, func(o *api.Options) {
		o.Fault = api.Fault{Errors: .05, Random: func() float64 {
			mu.Lock()
			defer mu.Unlock()
			v := draws[0]
			draws = draws[1:]
			return v
		}}
	})
	for i, want := range []int{500, 200, 200, 500} {
		for _, spared := range []string{"/api/health", "/api/readiness", "/metrics"} {
			if r := s.send("GET", spared, ""); r.code != 200 {
				t.Errorf("%s: %d", spared, r.code)
			}
		}
		if r := s.send("POST", "/api/dcf", "{}"); r.code != want {
			t.Errorf("request %d: %d, want %d", i, r.code, want)
		}
	}
}

func TestFaultLatency(t *testing.T) {
	s := start(t, func(o *api.Options) { o.Fault = api.Fault{Latency: 30 * time.Millisecond} })
	began := time.Now()
	if r := s.send("POST", "/api/dcf", "{}"); r.code != 200 || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%d after %v", r.code, time.Since(began))
	}
}

func TestInternalErrorsAreLoggedAndNotTold(t *testing.T) {
	s := start(t, nil)
	s.store.Close()
	r := s.send("GET", "/api/runs", "", "X-Request-ID", "find-me")
	p := r.refused(t, 500, "")
	if !strings.Contains(p.Detail, "find-me") || strings.Contains(string(r.body), "sql") {
		t.Errorf("answer %s", r.body)
	}
	if s.logs.FilterMessage("request failed").FilterField(zap.String("request_id", "find-me")).Len() != 1 {
		t.Errorf("log %v", s.logs.All())
	}
}

func TestClientThatLeftIsNoFailure(t *testing.T) {
	s := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/runs", nil))
	if w.Code != 499 || s.logs.FilterLevelExact(zapcore.ErrorLevel).Len() != 0 {
		t.Errorf("status %d, log %v", w.Code, s.logs.All())
	}
}

func TestPanicIsA500(t *testing.T) {
	s := start(t, func(o *api.Options) {
		o.Fault = api.Fault{Errors: 1, Random: func() float64 { panic("out of luck") }}
	})
	r := s.send("POST", "/api/dcf", "{}")
	r.refused(t, 500, "")
	if strings.Contains(string(r.body), "luck") || s.logs.FilterMessage("handler panicked").Len() != 1 {
		t.Errorf("answer %s", r.body)
	}
}

// TestOpenAPIDocument holds the interface: a change of it has to be seen in review.
func TestOpenAPIDocument(t *testing.T) {
	var got bytes.Buffer
	if err := json.Indent(&got, start(t, nil).send("GET", "/openapi.json", "").body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the document differs from %s; run with -update and review the change", golden)
	}
}

func near(t *testing.T, name string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-9) {
		t.Errorf("%s = %.12f, want %.9f", name, got, want)
	}
}
