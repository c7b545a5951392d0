package main

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/upstream/kubetest"
)

// slice is what a cluster says of one pod.
func slice(t *testing.T, b *backend, conditions map[string]bool) kubetest.Slice {
	t.Helper()
	host, port, _ := net.SplitHostPort(b.address)
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return kubetest.Slice{Name: "api-" + port, Service: "api", Ports: []kubetest.Port{{Name: "http", Number: number}}, Pods: []kubetest.Pod{{Address: host, UID: port, Conditions: conditions}}}
}

// TestE2EPods: the pods of a Service are replaced one after the other, as by a rolling update, under load by HTTP/1.1 and HTTP/2 that repeats nothing: no request fails, and each pod has served.
func TestE2EPods(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	api := kubetest.Start(t, dir)
	var pods []*backend
	for range 3 {
		b := newBackend(t, "blue")
		api.Apply(slice(t, b, nil))
		pods = append(pods, b)
	}
	c := upgradeConf(t, dir)
	c.blues = []string{"pods"}
	c.listeners += "[kubernetes]\nserver = \"" + api.URL + "\"\nca = \"ca.crt\"\ntoken_file = \"token\"\n"
	config := filepath.Join(dir, "weir.toml")
	save(t, config, strings.Replace(c.String(), `["pods"]`, `[{ kubernetes = "api:http" }]`, 1))
	e := launch(t, dir, config)
	e.ready()
	become := func(b *backend, want string) {
		t.Helper()
		eventually(t, 0, b.address+" is "+want, func() bool {
			for _, g := range e.status().Services[0].Groups {
				for _, target := range g.Targets {
					if target.Address == b.address {
						return target.State == want
					}
				}
			}
			return want == "gone"
		})
	}
	g := newGuests(t, hello)
	g.visit("kept", overTCP(e.address("http")), -1)
	g.visit("one each", overTCP(e.address("http")), 1)
	g.visitHTTP2(e.address("tls"), 2)
	n := count(6, 100)
	for range n {
		next, last := newBackend(t, "blue"), pods[0]
		api.Apply(slice(t, next, nil))
		become(next, "healthy")
		g.after(100)
		ending := slice(t, last, kubetest.Ending())
		api.Apply(ending)
		become(last, "draining")
		api.Delete("default", ending.Name)
		become(last, "gone")
		if err := last.end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last.served.Load() == 0 {
			t.Error("a pod has served nobody")
		}
		pods = append(pods[1:], next)
	}
	requests := g.leave()
	e.stop()
	measured(t, "pods of a Kubernetes Service replaced one after the other under load (H1, H2)", "%d pods, %d requests, 0 failed", n, requests)
}
