package kubernetes_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/valor-ivx/weir/upstream/kubernetes"
	"github.com/valor-ivx/weir/upstream/kubetest"
)

// limit is how long a test waits for what must happen; it is only reached by failures.
const limit = 60 * time.Second

// follower is one watch, with everything that it is told.
type follower struct {
	t    *testing.T
	told chan string
}

func access(a *kubetest.API) kubernetes.API {
	return kubernetes.API{Server: a.URL, CA: a.CA, Token: a.Token, Namespace: a.Namespace}
}

// follow watches until the test ends, which looks for what is left of it.
func follow(t *testing.T, s kubernetes.Service) *follower {
	t.Helper()
	f := &follower{t: t, told: make(chan string, 1<<14)}
	c := kubernetes.New(s.API)
	c.Hasten(time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Watch(ctx, s, func(list []kubernetes.Endpoint, err error) {
			text := words(list)
			if err != nil {
				text = err.Error()
			}
			f.told <- text
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		c.Close()
	})
	return f
}

// words are endpoints as "ADDRESS" and "ADDRESS-" for those that drain.
func words(list []kubernetes.Endpoint) string {
	parts := make([]string, len(list))
	for i, e := range list {
		if parts[i] = e.Address.String(); e.Draining {
			parts[i] += "-"
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// await waits until the watch tells something that holds want.
func (f *follower) await(want string) {
	f.t.Helper()
	var last []string
	for late := time.After(limit); ; {
		select {
		case text := <-f.told:
			if strings.Contains(text, want) {
				return
			}
			if len(last) < 20 {
				last = append(last, text)
			}
		case <-late:
			f.t.Fatalf("not told %q, but:\n%s", want, strings.Join(last, "\n"))
		}
	}
}

// until waits for what no message tells.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

var web = []kubetest.Port{{Name: "metrics", Number: 9100}, {Name: "http", Number: 8080}}

// slice is one of Service api whose pods are ready at the given addresses.
func slice(name string, addresses ...string) kubetest.Slice {
	s := kubetest.Slice{Name: name, Service: "api", Ports: web}
	for _, a := range addresses {
		s.Pods = append(s.Pods, kubetest.Pod{Address: a, UID: "uid-" + a})
	}
	return s
}

func start(t *testing.T) *kubetest.API {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		for end := time.Now().Add(limit); goleak.Find(ignore) != nil && time.Now().Before(end); <-time.After(time.Millisecond) {
		}
		goleak.VerifyNone(t, ignore)
	})
	return kubetest.Start(t, t.TempDir())
}

// TestPodsComeAndGo: one list, then a watch that tells of every change of every slice of the Service, and of no other's.
func TestPodsComeAndGo(t *testing.T) {
	a := start(t)
	a.Apply(slice("api-1", "10.0.0.1", "10.0.0.2"))
	a.Apply(kubetest.Slice{Name: "other-1", Service: "other", Ports: web, Pods: []kubetest.Pod{{Address: "10.9.9.9"}}})
	a.Apply(kubetest.Slice{Namespace: "elsewhere", Name: "api-1", Service: "api", Ports: web, Pods: []kubetest.Pod{{Address: "10.9.9.8"}}})
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await("[10.0.0.1:8080 10.0.0.2:8080]")
	a.Apply(slice("api-2", "10.0.0.3"))
	f.await("[10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080]")
	s := slice("api-1", "10.0.0.1", "10.0.0.2")
	s.Pods[0].Conditions = kubetest.Ending()
	a.Apply(s)
	f.await("[10.0.0.1:8080- 10.0.0.2:8080 10.0.0.3:8080]")
	a.Apply(kubetest.Slice{Name: "other-1", Service: "other", Ports: web})
	a.Delete("default", "api-1")
	f.await("[10.0.0.3:8080]")
	a.Delete("default", "api-2")
	f.await("[]") // a watch that works is believed, whatever it says
	a.Apply(slice("api-3", "10.0.0.4"))
	f.await("[10.0.0.4:8080]")
	if lists, watches, _ := a.Count(); lists != 1 || watches != 1 {
		t.Errorf("%d lists and %d watches", lists, watches)
	}
	follow(t, kubernetes.Service{API: access(a), Namespace: "elsewhere", Name: "api", Port: "8080"}).await("[10.9.9.8:8080]")
}

// TestWatchesEnd: a watch that ends, breaks or has expired is taken up again, and what happened meanwhile is heard.
func TestWatchesEnd(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(*kubetest.API)
		lists int
	}{
		"by its time":        {(*kubetest.API).End, 1},
		"broken":             {(*kubetest.API).Cut, 1},
		"expired, by event":  {func(a *kubetest.API) { a.Compact(true) }, 2},
		"expired, by status": {func(a *kubetest.API) { a.Compact(false) }, 2},
		"server away":        {func(a *kubetest.API) { a.Down(); a.Apply(slice("api-2", "10.0.0.2")); a.Up(t) }, 1},
		"broken server": {func(a *kubetest.API) {
			a.Refuse(http.StatusInternalServerError)
			a.End()
			a.Apply(slice("api-2", "10.0.0.2"))
			a.Refuse(0)
		}, -1},
		"after an old change": {func(a *kubetest.API) { a.Bookmark(); a.Apply(slice("api-9")); a.End() }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			a.Apply(slice("api-1", "10.0.0.1"))
			f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
			f.await("[10.0.0.1:8080]")
			until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
			c.end(a)
			until(t, "another list", func() bool { lists, _, _ := a.Count(); return lists >= c.lists })
			a.Apply(slice("api-2", "10.0.0.2"))
			f.await("[10.0.0.1:8080 10.0.0.2:8080]")
			if lists, _, _ := a.Count(); c.lists > 0 && lists != c.lists {
				t.Errorf("%d lists, want %d", lists, c.lists)
			}
		})
	}
}

// TestBookmarks: a watch goes on from the last version that it was told of, though nothing of its own has changed since long ago.
func TestBookmarks(t *testing.T) {
	a := start(t)
	a.Apply(slice("api-1", "10.0.0.1"))
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await("[10.0.0.1:8080]")
	until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
	a.Bookmark()
	f.await("[10.0.0.1:8080]")
	a.Forget() // all but the bookmark's version
	until(t, "another watch", func() bool { _, watches, _ := a.Count(); return watches == 2 })
	a.Apply(slice("api-1", "10.0.0.2"))
	f.await("[10.0.0.2:8080]")
	if lists, watches, _ := a.Count(); lists != 1 || watches != 2 {
		t.Errorf("%d lists and %d watches", lists, watches)
	}
}

// TestServerAway: each failed attempt is told, and that it is back too, though nothing has changed.
func TestServerAway(t *testing.T) {
	a := start(t)
	a.Down()
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await("follow endpoints of api:http: ask " + a.URL + "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices: dial tcp")
	a.Apply(slice("api-1", "10.0.0.1"))
	a.Up(t)
	f.await("[10.0.0.1:8080]")
	a.Down()
	f.await("connection refused")
	a.Up(t)
	f.await("[10.0.0.1:8080]")
}

// TestTokenRotates: the file is read for each request, and one that is not valid any more is told by its name.
func TestTokenRotates(t *testing.T) {
	a := start(t)
	a.Apply(slice("api-1", "10.0.0.1"))
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await("[10.0.0.1:8080]")
	until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
	a.Rotate("second")
	a.End()
	f.await("401 Unauthorized: Unauthorized (the token of " + a.Token + " is not valid; the file is read again for each attempt)")
	replace(t, a.Token, "second\n")
	a.Apply(slice("api-1", "10.0.0.2"))
	f.await("[10.0.0.2:8080]")
	until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
	replace(t, a.Token, " \n")
	a.End()
	f.await("read token: " + a.Token + " holds none")
	if err := os.Remove(a.Token); err != nil {
		t.Fatal(err)
	}
	f.await("read token: open " + a.Token + ": no such file")
}

func replace(t *testing.T, file, text string) {
	t.Helper()
	err := os.WriteFile(file+".new", []byte(text), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestRootsAreReadAnew: a server is trusted as the file says now.
func TestRootsAreReadAnew(t *testing.T) {
	a := start(t)
	good, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, a.CA, "none\n")
	a.Apply(slice("api-1", "10.0.0.1"))
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await("read roots: " + a.CA + " holds no certificate")
	replace(t, a.CA, stranger(t))
	f.await("certificate signed by unknown authority")
	replace(t, a.CA, string(good))
	f.await("[10.0.0.1:8080]")
}

// TestRefusals: what the server has against it is told, with what to do about it, and is over when it is.
func TestRefusals(t *testing.T) {
	a := start(t)
	a.Apply(slice("api-1", "10.0.0.1"))
	a.Forbid(true)
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
	f.await(`403 Forbidden: endpointslices.discovery.k8s.io is forbidden: User "system:serviceaccount:default:weir" cannot list resource "endpointslices" in API group "discovery.k8s.io" in the namespace "default" (the service account needs a Role`)
	a.Forbid(false)
	f.await("[10.0.0.1:8080]")
	for _, code := range []int{http.StatusInternalServerError, http.StatusTooManyRequests, http.StatusFound} {
		until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
		a.Refuse(code)
		a.End()
		f.await(fmt.Sprintf("%d %s", code, http.StatusText(code)))
		a.Refuse(0)
		f.await("[10.0.0.1:8080]")
	}
	if err := os.Remove(a.Namespace); err != nil {
		t.Fatal(err)
	}
	until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
	a.End()
	f.await("read namespace: open " + a.Namespace)
	follow(t, kubernetes.Service{Name: "api", Namespace: "x", Port: "http"}).await("no API server is known")
}

// TestNonsense: what cannot be understood is told, nothing of it is believed, and everything is asked for anew.
func TestNonsense(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":        {"<html>\n", "invalid character"},
		"another type":   {`{"type":"EXPLODED","object":{}}` + "\n", `type "EXPLODED"`},
		"another kind":   {`{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"x","resourceVersion":"7"}}}` + "\n", `kind "Pod"`},
		"no version":     {`{"type":"ADDED","object":{"kind":"EndpointSlice","metadata":{"name":"x"}}}` + "\n", "without resourceVersion"},
		"no name":        {`{"type":"ADDED","object":{"kind":"EndpointSlice","metadata":{"resourceVersion":"7"}}}` + "\n", "without a name"},
		"another shape":  {`{"type":"ADDED","object":{"kind":"EndpointSlice","endpoints":"all"}}` + "\n", "cannot unmarshal"},
		"a list":         {"[]\n", "cannot unmarshal"},
		"its own error":  {`{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd event received with PrevKv=nil"}}` + "\n", "500 Internal Server Error: etcd event"},
		"an odd error":   {`{"type":"ERROR","object":7}` + "\n", "cannot unmarshal"},
		"without an end": {`{"type":"ADDED","object":{"kind":"` + strings.Repeat("x", 3<<20), "an object is too long"},
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t)
			a.Apply(slice("api-1", "10.0.0.1"))
			f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "http"})
			f.await("[10.0.0.1:8080]")
			until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
			a.Write(c.text)
			f.await(c.want)
			f.await("[10.0.0.1:8080]")
			if lists, _, _ := a.Count(); lists != 2 {
				t.Errorf("%d lists", lists)
			}
		})
	}
}

// TestSlowEvents: an event may come in pieces, and two may come at once.
func TestSlowEvents(t *testing.T) {
	a := start(t)
	f := follow(t, kubernetes.Service{API: access(a), Name: "api", Port: "8080"})
	f.await("[]")
	until(t, "a watch", func() bool { _, _, open := a.Count(); return open == 1 })
	event := `{"type":"ADDED","object":{"kind":"EndpointSlice","metadata":{"name":"x","resourceVersion":"7"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.7"]}]}}`
	for _, c := range event {
		a.Write(string(c))
	}
	f.await("[10.0.0.7:8080]")
	a.Write(strings.Replace(event, "10.0.0.7", "10.0.0.8", 1) + strings.Replace(event, "10.0.0.7", "10.0.0.9", 1))
	f.await("[10.0.0.8:8080]")
	f.await("[10.0.0.9:8080]")
}

// TestListsAreJudged: what is no list is told of, and a list without end is not read to it.
func TestListsAreJudged(t *testing.T) {
	bodies := make(chan string, 16)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "" {
			return // at once, without a word
		}
		select {
		case body := <-bodies:
			for len(body) > 0 {
				n, err := w.Write([]byte(body[:min(len(body), 1<<20)]))
				if body = body[n:]; err != nil {
					return
				}
			}
		default:
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	defer server.Close()
	good := `{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[%s]}`
	cases := []struct{ body, want string }{
		{"<html>", "invalid character"},
		{`{"kind":"PodList","metadata":{"resourceVersion":"1"}}`, `kind "PodList"`},
		{fmt.Sprintf(good, `{"metadata":{}}`), "an item without a name"},
		{fmt.Sprintf(good, "")[:40], "unexpected EOF"},
		{fmt.Sprintf(good, `{"metadata":{"name":"`+strings.Repeat("x", 17<<20)+`"}}`), "an object is too long"},
		{fmt.Sprintf(good, ""), "it was ended at once"},
	}
	for _, c := range cases {
		bodies <- c.body
	}
	f := follow(t, kubernetes.Service{API: kubernetes.API{Server: server.URL}, Namespace: "x", Name: "api", Port: "http"})
	for _, c := range cases {
		f.await(c.want)
	}
}

// TestRedirectsAreNotFollowed: the token is for one server.
func TestRedirectsAreNotFollowed(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	replace(t, token, "secret")
	asked := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- "the other" }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusFound)
		asked <- r.Header.Get("Authorization")
	}))
	defer server.Close()
	f := follow(t, kubernetes.Service{API: kubernetes.API{Server: server.URL, Token: token}, Namespace: "x", Name: "api", Port: "http"})
	f.await("302 Found")
	f.await("302 Found")
	for range 2 {
		if got := <-asked; got != "Bearer secret" {
			t.Errorf("asked: %s", got)
		}
	}
}
