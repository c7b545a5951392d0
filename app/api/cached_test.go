package api_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/cache"
)

func memory() *cache.Memory {
	return cache.NewMemory(cache.MemoryOptions{Bytes: 1 << 20, TTL: time.Hour, Now: time.Now})
}

// The second answer to a question is the first one, byte for byte; another question, what is refused and what is drawn anew are not kept.
func TestAnswersComeFromTheCache(t *testing.T) {
	m := memory()
	s, plain := start(t, func(o *api.Options) { o.Cache = m }), start(t, nil)
	for _, c := range []struct{ path, body string }{
		{"/api/dcf", `{}`}, {"/api/dcf", `{"s1Growth": 0.1}`}, {"/api/dcf/sensitivity", `{}`}, {"/api/dcf/solve", `{"target": 12}`}, {"/api/montecarlo", `{"seed": "abc"}`},
		{"/api/lbo", `{}`}, {"/api/ma", `{}`}, {"/api/options/binomial", `{}`}, {"/api/risk/var", `{"returns": [-0.05, 0.01, 0.02, -0.02, 0.03], "confidence": 0.9}`},
	} {
		want := plain.send("POST", c.path, c.body)
		for _, from := range []string{"miss", "hit", "hit"} {
			got := s.send("POST", c.path, c.body)
			if got.code != 200 || got.header.Get("X-Valor-Cache") != from || got.header.Get("Content-Type") != "application/json" || !bytes.Equal(got.body, want.body) {
				t.Errorf("%s %s: %d, %s, want a %s: %s", c.path, c.body, got.code, got.header.Get("X-Valor-Cache"), from, got.body)
			}
		}
		if want.header["X-Valor-Cache"] != nil {
			t.Errorf("%s: without a cache it says %v", c.path, want.header["X-Valor-Cache"])
		}
	}
	if st := m.Stats(t.Context()); st.Hits != 18 || st.Misses != 9 {
		t.Errorf("%+v", st)
	}
	for range 2 {
		if r := s.send("POST", "/api/montecarlo", `{}`); r.code != 200 || r.header.Get("X-Valor-Cache") != "" {
			t.Errorf("a run without a seed: %d, %s", r.code, r.header.Get("X-Valor-Cache"))
		}
		if r := s.send("POST", "/api/montecarlo", `{"seed": "abc"}`, "Accept", "text/event-stream"); r.code != 200 || r.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("a stream: %d %v", r.code, r.header)
		}
		s.send("POST", "/api/dcf", `{"wacc": 0}`).refused(t, 422, "body.wacc")
		s.send("POST", "/api/dcf", `{"waccc": 1}`).refused(t, 422, "body.waccc")
	}
	if st := m.Stats(t.Context()); st.Hits != 18 || st.Misses != 13 {
		t.Errorf("a refusal came from the cache: %+v", st)
	}
}

// Another build asks for itself: what an old one has wrong does not outlive it.
func TestBuildsShareNoAnswers(t *testing.T) {
	m := memory()
	for i, build := range []string{"v1", "v2", "v1"} {
		s := start(t, func(o *api.Options) { o.Cache, o.Build = m, build })
		want := []string{"miss", "miss", "hit"}[i]
		if r := s.send("POST", "/api/dcf", "{}"); r.header.Get("X-Valor-Cache") != want {
			t.Errorf("%s: %s, want %s", build, r.header.Get("X-Valor-Cache"), want)
		}
	}
}

// distant is a memory that says it is a network away.
type distant struct{ *cache.Memory }

func (distant) Remote() bool { return true }

func TestWhatIsQuickIsNotAskedForFarAway(t *testing.T) {
	s := start(t, func(o *api.Options) { o.Cache = distant{memory()} })
	for path, want := range map[string]string{"/api/dcf": "", "/api/lbo": "", "/api/options/black-scholes": "", "/api/dcf/sensitivity": "miss hit", "/api/options/binomial": "miss hit"} {
		got := ""
		for range 2 {
			if from := s.send("POST", path, "{}").header.Get("X-Valor-Cache"); from != "" {
				got += " " + from
			}
		}
		if want != "" {
			want = " " + want
		}
		if got != want {
			t.Errorf("%s:%s, want%s", path, got, want)
		}
	}
}

func BenchmarkAnswers(b *testing.B) {
	for _, path := range []string{"/api/dcf", "/api/lbo", "/api/ma", "/api/options/black-scholes", "/api/options/binomial", "/api/dcf/solve", "/api/dcf/sensitivity", "/api/montecarlo"} {
		body := "{}"
		if path == "/api/montecarlo" {
			body = `{"seed": "abc"}`
		}
		for name, c := range map[string]api.Cache{"computed": nil, "kept": memory()} {
			b.Run(fmt.Sprintf("%s/%s", path, name), func(b *testing.B) {
				s := start(b, func(o *api.Options) { o.Cache = c })
				for b.Loop() {
					if r := s.send("POST", path, body); r.code != 200 {
						b.Fatal(r.code)
					}
				}
			})
		}
	}
}
