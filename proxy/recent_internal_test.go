package proxy

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// However many pages there are: as many are kept as there are places, four of a template, the newest first, each once.
func TestRecentIsBounded(t *testing.T) {
	r := NewRecent(time.Second)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		path := fmt.Sprintf("/%c/%d", 'a'+rng.IntN(26), i)
		switch i % 3 {
		case 1:
			path = fmt.Sprintf("/about/%c%c", 'a'+rng.IntN(26), 'a'+rng.IntN(26))
		case 2:
			path = "/news/" + strings.Repeat("x", 1+rng.IntN(60))
		}
		r.add([]byte("a"), []byte(path), false)
		if i%97 > 0 {
			continue
		}
		pages, seen, templates := r.Pages(), map[Page]bool{}, map[uint64]int{}
		if len(pages) == 0 || len(pages) > recentPlaces || pages[0].Path != path {
			t.Fatalf("%d: %d pages, the newest %v, not %s", i, len(pages), pages[0], path)
		}
		for _, p := range pages {
			if seen[p] {
				t.Fatalf("%v twice", p)
			}
			seen[p] = true
			if templates[templateOf([]byte(p.Host), []byte(p.Path))]++; templates[templateOf([]byte(p.Host), []byte(p.Path))] > recentAlike {
				t.Fatalf("%v: more than %d of its template", p, recentAlike)
			}
		}
	}
	first := r.Pages()
	last := first[len(first)-1]
	r.add([]byte(last.Host), []byte(last.Path), last.Secure)
	if now := r.Pages(); now[0] != last || len(now) != len(first) {
		t.Errorf("asked for again: %v first of %d, before %v last of %d", now[0], len(now), last, len(first))
	}
}

func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"/users/1", "/users/22", true}, {"/users/1/posts", "/users/2/posts", true}, {"/users/1/posts", "/users/1/likes", false}, {"/a/b", "/ab", false}, {"/a", "/a/", false},
		{"/" + strings.Repeat("x", 25), "/" + strings.Repeat("y", 31), true}, {"/about", "/terms", false}, {"/a/1", "/a/*", false},
	} {
		if same := templateOf([]byte("h"), []byte(c.a)) == templateOf([]byte("h"), []byte(c.b)); same != c.same {
			t.Errorf("%s and %s alike: %v", c.a, c.b, same)
		}
	}
	if templateOf([]byte("a"), []byte("/")) == templateOf([]byte("b"), []byte("/")) {
		t.Error("two hosts are alike")
	}
}

// Writers and readers at once; one that finds the lock taken leaves its page out.
func TestRecentAtOnce(t *testing.T) {
	r := NewRecent(0)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 2000 {
				r.add([]byte("a"), fmt.Appendf(nil, "/%c/%d", 'a'+i, n), i%2 == 0)
			}
		})
	}
	for range 200 {
		if n := len(r.Pages()); n > recentPlaces {
			t.Errorf("%d pages", n)
		}
	}
	all.Wait()
}
