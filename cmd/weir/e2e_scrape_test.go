package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestE2EScrape: a scrape of many routes is felt by no request. Not beside other scenarios: it measures.
func TestE2EScrape(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer up.Close()
	routes, lasts := count(200, 10_000), time.Duration(count(2, 20))*time.Second
	c := newConf(folder(t), up.Listener.Addr().String(), up.Listener.Addr().String())
	var more strings.Builder
	for i := range routes {
		fmt.Fprintf(&more, "[[route]]\nname = \"r%d\"\npath = \"/r/%d\"\nservice = \"api\"\n", i, i)
	}
	c.routes += more.String()
	e := run(t, c.dir, c)
	address := e.address("http")
	alone := goodClients(t, address, lasts)
	quit, ended := make(chan struct{}), make(chan int, 1)
	go func() {
		scrapes, pace := 0, time.NewTicker(250*time.Millisecond)
		defer pace.Stop()
		for {
			if n, err := e.scrape(); err != nil || n < 10*int64(routes) {
				t.Errorf("scrape: %d bytes, %v", n, err)
			}
			scrapes++
			select {
			case <-quit:
				ended <- scrapes
				return
			case <-pace.C:
			}
		}
	}()
	beside := goodClients(t, address, lasts)
	close(quit)
	scrapes := <-ended
	p99 := func(took []time.Duration) time.Duration { return took[len(took)*99/100] }
	if limit := p99(alone) + 5*time.Millisecond; acceptance() && p99(beside) > limit {
		t.Errorf("p99 %v beside scrapes, %v without", p99(beside), p99(alone))
	}
	measured(t, fmt.Sprintf("%d routes, a scrape each 250 ms", routes), "%d scrapes; %d requests, 0 failed, p99 %s, slowest %s; without scrapes p99 %s, slowest %s", scrapes, len(beside),
		p99(beside).Round(10*time.Microsecond), beside[len(beside)-1].Round(10*time.Microsecond), p99(alone).Round(10*time.Microsecond), alone[len(alone)-1].Round(10*time.Microsecond))
	e.stop()
}

// scrape asks for the metrics as Prometheus does, compressed, and says how much came. Nothing is done with it here: that would be felt by the requests of this process.
func (e *edge) scrape() (int64, error) {
	req, err := http.NewRequest(http.MethodGet, e.base+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "gzip")
	res, err := e.admin.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "gzip" {
		return 0, fmt.Errorf("%s, %q", res.Status, res.Header.Get("Content-Encoding"))
	}
	return io.Copy(io.Discard, res.Body)
}
