package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// ask sends a real request, and gives the head of its answer.
func (e *edge) ask(header http.Header) *http.Response {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+e.address("http")+"/why?token=s3cret", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res
}

// whyGreen holds an answer to be green's, and asks the running weir why with one command and nothing but the answer's X-Request-ID.
func (e *edge) whyGreen(res *http.Response, wants ...string) {
	e.t.Helper()
	if res.StatusCode != http.StatusOK || res.Header.Get("X-Color") != "green" {
		e.t.Fatalf("%d by %q, want 200 by green", res.StatusCode, res.Header.Get("X-Color"))
	}
	var said string
	eventually(e.t, time.Minute, "the request has ended, not only its answer been read", func() bool {
		var code int
		said, code = e.verb("explain", "--id", res.Header.Get("X-Request-Id"))
		return code == 0
	})
	for _, want := range append(wants, "GET 127.0.0.1", "/why", "by HTTP/1.1, listener http", "route all", "any host, path /", "group green", "target ", "=> 200 in ") {
		if !strings.Contains(said, want) {
			e.t.Errorf("weir explain --id does not say %q:\n%s", want, said)
		}
	}
	if strings.Contains(said, "s3cret") {
		e.t.Errorf("a query is shown:\n%s", said)
	}
}

// TestE2EWhyGreen: whatever sent a real request to green, one command says so: a header that asks for it, a weight, the client's cookie, a rollout.
func TestE2EWhyGreen(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.service = "sticky = \"cookie\"\nrollout = { steps = [50, 100], hold = \"1h\" }\n"
	with := strings.Replace(c.String(), "[service.api.group.green]\n", "[service.api.group.green]\nmatch = { header = \"X-Weir-Group: green\" }\n", 1)
	config := dir + "/weir.toml"
	save(t, config, with)
	e := launch(t, dir, config)
	e.ready()

	e.whyGreen(e.ask(http.Header{"X-Weir-Group": {"green"}}), "asked for by header X-Weir-Group")
	e.must("weights", "api", "blue=0", "green=100")
	res := e.ask(nil)
	e.whyGreen(res, "a new client, by weight, 100 %")
	cookie, _, _ := strings.Cut(res.Header.Get("Set-Cookie"), ";")
	e.whyGreen(e.ask(http.Header{"Cookie": {cookie}}), "the client's, by cookie weir_api")
	e.must("weights", "api", "reset")

	e.call(http.StatusOK, "POST", "/v1/services/api/rollout", `{"to":"green"}`)
	eventually(t, time.Minute, "a new client that the rollout gives green", func() bool {
		res = e.ask(nil)
		return res.Header.Get("X-Color") == "green"
	})
	e.whyGreen(res, "a new client, by weight, 50 % in a rollout")
	e.must("rollout", "api", "abort")
	e.stop()
	measured(t, "real requests that went to green by header, weight, cookie and rollout", "weir explain --id says of each why, by the X-Request-ID of its answer")
}
