package server_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// redisServer is Debian's redis-server, which can be killed and started again on its address.
type redisServer struct {
	t       *testing.T
	address string
	dir     string
	process *exec.Cmd
}

func newRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs redis-server (make deps)")
		}
		t.Skip("skipped: needs redis-server (make deps)")
	}
	r := &redisServer{t: t, address: porttest.Reserve(t), dir: t.TempDir()}
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	_, port, _ := net.SplitHostPort(r.address)
	r.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", r.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "redis answers", func() bool {
		c, err := net.DialTimeout("tcp", r.address, time.Second)
		if err != nil {
			return false
		}
		defer func() { _ = c.Close() }()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte("PING\r\n"))
		answer := make([]byte, 5)
		_, err = c.Read(answer)
		return err == nil && string(answer) == "+PONG"
	})
}

func (r *redisServer) kill() {
	if r.process != nil {
		_ = r.process.Process.Kill()
		_ = r.process.Wait()
		r.process = nil
	}
}

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
	redis := newRedis(t)
	text := clusterText(redis.address, "rate = \"20/h\"\n")
	a, blue, dir := started(t, text)
	b, _, _ := started(t, text)
	for _, r := range []*running{a, b} {
		eventually(t, "both see both", func() bool { return metric(t, r, "weir_cluster_replicas 2") && metric(t, r, "weir_cluster_up 1") })
	}
	first, second := exhaust(t, a), exhaust(t, b)
	if first+second < 20 || first+second > 30 {
		t.Errorf("%d and %d let through: at least the burst of 20, at most a lease of 10 more", first, second)
	}
	if st := a.status(); st.Cluster == nil || !st.Cluster.Up || st.Cluster.Replicas != 2 || st.Cluster.Address != redis.address {
		t.Errorf("status %+v", st.Cluster)
	}
	if !metric(t, a, `weir_limit_shared_degraded{limit="one"} 0`) {
		t.Error("no gauge of sharing that works")
	}
	redis.kill()
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
	a.write(clusterText(redis.address, "rate = \"200/s\"\n")(dir, blue.address))
	if w := reloadWarnings(t, a); !strings.Contains(strings.Join(w, "\n"), "cluster: redis at "+redis.address+" does not answer") {
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
	redis.start()
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
	redis := newRedis(t)
	r.write(clusterText(redis.address, "rate = \"3/h\"\n")(dir, blue.address))
	if w := reloadWarnings(t, r); strings.Contains(strings.Join(w, "\n"), "redis") || !metric(t, r, "weir_cluster_up 1") {
		t.Errorf("warnings %q", w)
	}
	if n := exhaust(t, r); n != 3 {
		t.Errorf("%d let through, want 3", n)
	}
	r.write(clusterText(redis.address, "rate = \"4/h\"\n")(dir, blue.address))
	reloadWarnings(t, r)
	if got := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(got, "4/h and 4 at once for each route; 429 with Retry-After beyond that; counted across replicas") {
		t.Errorf("explain: %s", got)
	}
	if status, _ := r.client.get(t); status != http.StatusTooManyRequests {
		t.Errorf("a reload filled the bucket: %d", status)
	}
}
