package server_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// TestEventsTellBusyRoutes: of 40 routes a frame tells of the 20 busiest and, behind them, of what fails, however few ask for it; rates and times are those of the real listener.
func TestEventsTellBusyRoutes(t *testing.T) {
	dir := shortDir(t)
	blue := &colour{name: "blue", address: "127.0.0.1:0", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/r39"):
			w.WriteHeader(http.StatusInternalServerError)
		case strings.HasPrefix(r.URL.Path, "/r30"):
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	blue.start(t)
	var routes strings.Builder
	for i := range 39 { // and the route "all"
		fmt.Fprintf(&routes, "[[route]]\nname = \"r%d\"\npath = \"/r%d\"\nservice = \"api\"\n", i+1, i+1)
	}
	r := run(t, dir, protectText(dir, blue.address, routes.String(), ""))
	t.Cleanup(func() {
		r.stop()
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	get := func(path string) {
		t.Helper()
		res, err := http.Get("http://" + r.address + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
	for i := 10; i < 35; i++ { // 25 routes: r34 the most, r10 the least; then one that fails
		for range i - 9 {
			get(fmt.Sprintf("/r%d", i))
		}
	}
	get("/r39")
	for i := 10; i < 35; i++ {
		code := http.StatusOK
		if i == 30 {
			code = http.StatusNotFound
		}
		r.scraped(t, fmt.Sprintf(`weir_http_requests_total{code="%d",listener="http",method="GET",proto="HTTP/1.1",route="r%d"} %d`, code, i, i-9))
	}
	r.scraped(t, `weir_http_requests_total{code="500",listener="http",method="GET",proto="HTTP/1.1",route="r39"} 1`)

	w := r.watch(t)
	defer func() { _ = w.body.Close() }()
	if !w.next() {
		t.Fatal("no frame")
	}
	var want []admin.RouteRates // the first frame has no rates
	for i := 34; i > 14; i-- {
		want = append(want, admin.RouteRates{Route: fmt.Sprintf("r%d", i)})
	}
	want = append(want, admin.RouteRates{Route: "r39"})
	if got := w.last; fmt.Sprint(got.Routes) != fmt.Sprint(want) || got.RoutesOmitted != 41-21 { // the 41st is that of no route
		t.Fatalf("%d more than %+v, want %+v", got.RoutesOmitted, got.Routes, want)
	}

	seen := map[string]float64{}
	last := map[string]admin.RouteRates{}
	get("/r30")
	get("/r39")
	get("/r5") // is new: its time has come since, whenever the frame before was. That of the others is known only if that frame told of them.
	for seen["r30 4xx"] < 0.5 || seen["r39 5xx"] < 0.5 || seen["r5"] < 0.5 {
		if !w.next() {
			t.Fatalf("the stream has ended: %v", seen)
		}
		for _, route := range w.last.Routes {
			seen[route.Route] += route.Requests * w.last.Seconds
			seen[route.Route+" 4xx"] += route.ClientErrors * w.last.Seconds
			seen[route.Route+" 5xx"] += route.ServerErrors * w.last.Seconds
			if route.Requests > 0 {
				last[route.Route] = route
			}
		}
		if n := len(w.last.Routes); n > 25 || n+w.last.RoutesOmitted != 41 {
			t.Fatalf("%d routes and %d more", n, w.last.RoutesOmitted)
		}
	}
	for _, name := range []string{"r30 4xx", "r39 5xx", "r5"} {
		if seen[name] > 1.5 {
			t.Errorf("%s: %g, want 1", name, seen[name])
		}
	}
	if q := last["r5"].Latency; q == nil || q.P50 <= 0 || q.P99 < q.P50 {
		t.Errorf("%+v %+v", last["r5"], q)
	}
}
