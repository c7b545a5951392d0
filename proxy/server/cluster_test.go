package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/proxy/redistest"
)

func clusterText(redis, limit string) func(dir, upstream string) string {
	return func(dir, upstream string) string {
		return protectText(dir, upstream, "[cluster]\nredis = \"redis://"+redis+"\"\ntimeout = \"10s\"\n[limit.one]\nshared = true\nkey = \"route\"\n"+limit, "limits = [\"one\"]\n")
	}
}

// exhaust asks until the limit refuses for longer than settling can be the reason, and counts what was let through.
func exhaust(t *testing.T, r *running) (n int) {
	t.Helper()
	eventually(t, "the limit is exhausted", func() bool {
		for {
			res, err := http.Get("http://" + r.address)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				n++
				continue
			}
			if res.StatusCode != http.StatusTooManyRequests {
				t.Fatal(res.Status)
			}
			return len(res.Header.Get("Retry-After")) > 2 // 100 s and more
		}
	})
	return n
}

func metric(t *testing.T, r *running, line string) bool {
	t.Helper()
	return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), "\n"+line+"\n")
}

// TestSharedLimitAcrossReplicas: two weirs on one Redis count a limit together; Redis killed, each gives its share and says so; Redis back, they count on.
func TestSharedLimitAcrossReplicas(t *testing.T) {
	redis := redistest.New(t)
	text := clusterText(redis.Address, "rate = \"20/h\"\n")
	a, blue, dir := started(t, text)
	b, _, _ := started(t, text)
	for _, r := range []*running{a, b} {
		eventually(t, "both see both", func() bool { return metric(t, r, "weir_cluster_replicas 2") && metric(t, r, "weir_cluster_up 1") })
	}
	first, second := exhaust(t, a), exhaust(t, b)
	if first+second < 20 || first+second > 30 {
		t.Errorf("%d and %d let through: at least the burst of 20, at most a lease of 10 more", first, second)
	}
	if st := a.status(); st.Cluster == nil || !st.Cluster.Up || st.Cluster.Replicas != 2 || st.Cluster.Address != redis.Address {
		t.Errorf("status %+v", st.Cluster)
	}
	if !metric(t, a, `weir_limit_shared_degraded{limit="one"} 0`) {
		t.Error("no gauge of sharing that works")
	}
	redis.Kill()
	eventually(t, "it is missed", func() bool {
		return metric(t, a, "weir_cluster_up 0") && metric(t, a, `weir_limit_shared_degraded{limit="one"} 1`)
	})
	st := a.status()
	if st.Cluster.Up || st.Cluster.Error == "" || !strings.Contains(strings.Join(st.Warnings, "\n"), "of the shared limits one this weir gives its share, 1/2") {
		t.Errorf("status %+v, warnings %q", st.Cluster, st.Warnings)
	}
	if status, _ := a.client.get(t); status != http.StatusTooManyRequests {
		t.Errorf("exhausted, and %d because Redis went away", status)
	}
	// Alone with a limit that it has not exhausted, a replica gives its lease of 100 and then 100/s.
	a.write(clusterText(redis.Address, "rate = \"200/s\"\n")(dir, blue.address))
	if w := reloadWarnings(t, a); !strings.Contains(strings.Join(w, "\n"), "cluster: redis at "+redis.Address+" does not answer") {
		t.Errorf("warnings of a reload without Redis: %q", w)
	}
	began, given := time.Now(), 0
	for time.Since(began) < time.Second {
		if status, _ := a.client.get(t); status == http.StatusOK {
			given++
		}
	}
	if took := time.Since(began).Seconds(); float64(given) > 101+100*took {
		t.Errorf("%d given alone in %.2f s", given, took)
	}
	a.write(text(dir, blue.address))
	reloadWarnings(t, a)
	redis.Start()
	eventually(t, "it is found", func() bool { return metric(t, a, "weir_cluster_up 1") && metric(t, b, "weir_cluster_up 1") })
	if n := exhaust(t, b); n > 10 {
		t.Errorf("%d given of what was exhausted before Redis was killed", n)
	}
}

// TestStartsWithoutRedis: an edge whose Redis is away starts, serves, and says so; a reload that takes [cluster] away ends the link, another one changes it.
func TestStartsWithoutRedis(t *testing.T) {
	nobody := porttest.Reserve(t)
	r, blue, dir := started(t, clusterText(nobody, "rate = \"3/h\"\n"))
	for i, want := range []int{200, 200, 200, 429} {
		if status, _ := r.client.get(t); status != want {
			t.Errorf("request %d: %d, want %d", i, status, want)
		}
	}
	if w := strings.Join(r.status().Warnings, "\n"); !strings.Contains(w, "redis at "+nobody+" does not answer") {
		t.Errorf("warnings %s", w)
	}
	r.write(protectText(dir, blue.address, "", ""))
	if w := reloadWarnings(t, r); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
	if st := r.status(); st.Cluster != nil || metric(t, r, "weir_cluster_up 0") {
		t.Errorf("a link is left: %+v", st.Cluster)
	}
	redis := redistest.New(t)
	r.write(clusterText(redis.Address, "rate = \"3/h\"\n")(dir, blue.address))
	if w := reloadWarnings(t, r); strings.Contains(strings.Join(w, "\n"), "redis") || !metric(t, r, "weir_cluster_up 1") {
		t.Errorf("warnings %q", w)
	}
	if n := exhaust(t, r); n != 3 {
		t.Errorf("%d let through, want 3", n)
	}
	r.write(clusterText(redis.Address, "rate = \"4/h\"\n")(dir, blue.address))
	reloadWarnings(t, r)
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "4/h and 4 at once for each route; 429 with Retry-After beyond that; counted across replicas") {
		t.Errorf("explain: %s", got)
	}
	if status, _ := r.client.get(t); status != http.StatusTooManyRequests {
		t.Errorf("a reload filled the bucket: %d", status)
	}
}
