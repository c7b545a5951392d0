package server_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/upstream/kubetest"
)

// podText is a configuration whose targets are the pods of Service api.
func podText(dir string, a *kubetest.API, more string) string {
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[kubernetes]\nserver = %q\nca = %q\ntoken_file = %q\n"+
		"[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nservice = \"api\"\n[service.api.group.blue]\ntargets = [{ kubernetes = \"api:http\" }%s]\n", dir, a.URL, a.CA, a.Token, more)
}

// pod is a slice of Service api with one pod: that of a colour.
func pod(t *testing.T, c *colour, conditions map[string]bool) kubetest.Slice {
	t.Helper()
	host, port, _ := net.SplitHostPort(c.address)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return kubetest.Slice{Name: "api-" + c.name, Service: "api", Ports: []kubetest.Port{{Name: "http", Number: number}}, Pods: []kubetest.Pod{{Address: host, UID: c.name, Conditions: conditions}}}
}

// targetsBecome waits until status shows a group's targets as "ADDRESS STATE".
func (r *running) targetsBecome(want ...string) {
	r.t.Helper()
	var got []string
	eventually(r.t, fmt.Sprintf("targets %q", want), func() bool {
		got = nil
		for _, target := range r.status().Services[0].Groups[0].Targets {
			got = append(got, target.Address+" "+target.State)
		}
		slices.Sort(want)
		return slices.Equal(got, want)
	})
}

func (r *running) discovery() admin.Discovery {
	r.t.Helper()
	list := r.status().Discovery
	if len(list) != 1 {
		r.t.Fatalf("%+v", list)
	}
	return list[0]
}

// TestPodsComeAndGoWithoutReload: pods join, end and leave under one generation; the request that a pod has it finishes, new ones go elsewhere, and one that nobody is left for is answered 503.
func TestPodsComeAndGoWithoutReload(t *testing.T) {
	dir := shortDir(t)
	a := kubetest.Start(t, t.TempDir())
	arrived, let := make(chan struct{}), make(chan struct{})
	blue := &colour{name: "blue", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Color", "blue")
		if r.URL.Path == "/slow" {
			close(arrived)
			<-let
		}
	})}
	blue.start(t)
	defer blue.kill()
	green := newColour(t, "green")
	defer green.kill()
	a.Apply(pod(t, blue, nil))
	r := run(t, dir, podText(dir, a, ""))
	defer r.stop()
	if status, colour := r.client.get(t); status != http.StatusOK || colour != "blue" {
		t.Fatalf("the first answer is %d of %q", status, colour)
	}

	slow := connect(t, r.address)
	slow.asked = true
	if _, err := io.WriteString(slow.conn, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	await(t, arrived, "the slow request")
	a.Apply(pod(t, green, nil))
	a.Apply(pod(t, blue, kubetest.Ending()))
	r.targetsBecome(blue.address+" draining", green.address+" healthy")
	for range 20 {
		if status, colour := r.client.get(t); status != http.StatusOK || colour != "green" {
			t.Fatalf("answered %d by %q while blue ends", status, colour)
		}
	}
	if d := r.discovery(); d.Source != "kubernetes:api:http" || !d.Up || d.AnsweredAt == nil || d.Targets != 2 || d.Draining != 1 {
		t.Errorf("%+v", d)
	}
	r.scraped(t, `weir_discovery_targets{source="kubernetes:api:http",state="draining"} 1`)
	close(let)
	res, err := http.ReadResponse(slow.r, nil)
	if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("X-Color") != "blue" {
		t.Fatalf("the request that the pod had: %v, %v", res, err)
	}
	a.Delete("default", "api-blue")
	r.targetsBecome(green.address + " healthy")
	a.Delete("default", "api-green")
	r.targetsBecome()
	if status, _ := r.client.get(t); status != http.StatusServiceUnavailable {
		t.Errorf("nobody left: %d", status)
	}
	a.Apply(pod(t, blue, nil))
	r.targetsBecome(blue.address + " healthy")
	if status, colour := r.client.get(t); status != http.StatusOK || colour != "blue" {
		t.Errorf("back: %d of %q", status, colour)
	}
	if g := r.status().Generation; g != 1 {
		t.Errorf("generation %d", g)
	}
}

// TestPodsStayWhileTheAPIServerIsAway: requests go on to the pods that were named last, and it is said so; a reload meanwhile keeps them, and what comes back is heard.
func TestPodsStayWhileTheAPIServerIsAway(t *testing.T) {
	dir := shortDir(t)
	a := kubetest.Start(t, t.TempDir())
	blue, green := newColour(t, "blue"), newColour(t, "green")
	defer blue.kill()
	defer green.kill()
	a.Apply(pod(t, blue, nil))
	r := run(t, dir, podText(dir, a, ""))
	defer r.stop()
	a.Down()
	r.scraped(t, `weir_discovery_up{source="kubernetes:api:http"} 0`)
	warned := func() string { return strings.Join(r.status().Warnings, "\n") }
	eventually(t, "a warning", func() bool {
		text := warned()
		return strings.Contains(text, "kubernetes:api:http has not answered since ") && strings.Contains(text, "the last targets it named stay: follow endpoints of api:http: ask "+a.URL)
	})
	r.write(strings.Replace(podText(dir, a, ""), "[service.api.group", "[service.api]\nslow_start = \"1s\"\n[service.api.group", 1))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if status, colour := r.client.get(t); status != http.StatusOK || colour != "blue" {
		t.Errorf("while it is away: %d of %q", status, colour)
	}
	a.Apply(pod(t, green, nil))
	a.Delete("default", "api-blue")
	a.Up(t)
	r.targetsBecome(green.address + " healthy")
	r.scraped(t, `weir_discovery_up{source="kubernetes:api:http"} 1`)
	if text := warned(); strings.Contains(text, "kubernetes") {
		t.Errorf("warnings: %s", text)
	}
}

// TestStartWithoutTheAPIServer: an edge that starts while the API server is away waits a moment, serves what it has, says what is missing, and has the pods as soon as they are known.
func TestStartWithoutTheAPIServer(t *testing.T) {
	dir := shortDir(t)
	a := kubetest.Start(t, t.TempDir())
	green := newColour(t, "green")
	defer green.kill()
	a.Down()
	blue := newColour(t, "blue")
	defer blue.kill()
	r := run(t, dir, podText(dir, a, fmt.Sprintf(", %q", blue.address)))
	defer r.stop()
	if status, colour := r.client.get(t); status != http.StatusOK || colour != "blue" {
		t.Errorf("%d of %q", status, colour)
	}
	if text := strings.Join(r.status().Warnings, "\n"); !strings.Contains(text, "kubernetes:api:http does not answer, and has named no target: ") {
		t.Errorf("warnings: %s", text)
	}
	if d := r.discovery(); d.Up || d.AnsweredAt != nil || d.Error == "" || time.Since(d.Since) < 0 {
		t.Errorf("%+v", d)
	}
	a.Apply(pod(t, green, nil))
	a.Up(t)
	r.targetsBecome(blue.address+" healthy", green.address+" healthy")
}

// TestPodsAreReplacedUnderLoad: pods end, go, and come back on the address they had, again and again, and no request fails.
func TestPodsAreReplacedUnderLoad(t *testing.T) {
	dir := shortDir(t)
	a := kubetest.Start(t, t.TempDir())
	var pods []*colour
	for _, name := range []string{"one", "three", "two"} {
		c := newColour(t, name)
		defer c.kill()
		a.Apply(pod(t, c, nil))
		pods = append(pods, c)
	}
	r := run(t, dir, podText(dir, a, ""))
	defer r.stop()
	quit, failures := make(chan struct{}), make(chan string, 4)
	var clients sync.WaitGroup
	for range 4 {
		k := connect(t, r.address)
		clients.Go(func() {
			for {
				select {
				case <-quit:
					_ = k.conn.Close() // or the stop would wait for what it may ask
					return
				default:
				}
				if status, _, err := k.try(); status != http.StatusOK || err != nil {
					failures <- fmt.Sprintf("%d, %v", status, err)
					return
				}
			}
		})
	}
	state := func(address string) (found string) {
		for _, target := range r.status().Services[0].Groups[0].Targets {
			if target.Address == address {
				found = target.State
			}
		}
		return found
	}
	for i := range 9 {
		c := pods[i%3]
		a.Apply(pod(t, c, kubetest.Ending()))
		eventually(t, c.name+" ends", func() bool { return state(c.address) == "draining" })
		a.Delete("default", "api-"+c.name)
		eventually(t, c.name+" is gone", func() bool { return state(c.address) == "" })
		if err := c.srv.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-c.ended
		c.start(t)
		a.Apply(pod(t, c, nil))
		eventually(t, c.name+" is back", func() bool { return state(c.address) == "healthy" })
	}
	close(quit)
	clients.Wait()
	close(failures)
	for f := range failures {
		t.Error(f)
	}
}
