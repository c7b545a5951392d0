package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// kept is what the flight recorder says to a query.
func kept(r *running, query string) (list []admin.RequestSummary) {
	r.t.Helper()
	var answer admin.Requests
	if err := json.Unmarshal([]byte(r.call(http.StatusOK, "GET", "/v1/requests"+query, "")), &answer); err != nil {
		r.t.Fatalf("%v", err)
	}
	return answer.Requests
}

// awaitKept waits for a request of that path: it is recorded once its answer has gone out.
func awaitKept(r *running, query, path string) (found admin.RequestSummary) {
	r.t.Helper()
	eventually(r.t, path+" is recorded by "+query, func() bool {
		for _, s := range kept(r, query) {
			if s.Path == path {
				found = s
				return true
			}
		}
		return false
	})
	return found
}

// TestRecorderThroughEveryProtocol: HTTP/1.1, 2 and 3 feed one recorder, with what is known of each request and nothing that is secret.
func TestRecorderThroughEveryProtocol(t *testing.T) {
	e := newQUICEdge(t, quicText{top: "[recorder]\nrequests = 256\nslow = \"10ms\"\n"}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // who answers earlier may never be sent it
		switch r.URL.Path {
		case "/bad":
			w.WriteHeader(http.StatusBadGateway)
		case "/slow":
			<-time.After(20 * time.Millisecond)
		}
		_, _ = w.Write([]byte("0123456789"))
	})
	secrets := []string{"s3cret", "c00kie", "p4ssword", "par4meter"}
	for proto, c := range map[string]*http.Client{"HTTP/1.1": e.tcp(true), "HTTP/2.0": e.tcp(false), "HTTP/3.0": e.client3()} {
		path := "/" + strings.NewReplacer("/", "", ".", "").Replace(proto)
		req, err := http.NewRequest("PUT", e.url(path+";id=par4meter?token=s3cret"), strings.NewReader("abc"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "session=c00kie")
		req.Header.Set("Authorization", "Bearer p4ssword")
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, res.Body) // to its end: who closes it earlier has left
		_ = res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		r := awaitKept(e.running, "?service=api", path)
		if r.Method != "PUT" || r.Proto != proto || r.Status != 200 || r.Route != "all" || r.Listener != "https" || r.Group != "blue" || r.Target != e.backend || r.Attempts != 1 ||
			r.BytesIn != 3 || r.BytesOut != 10 || r.Client != "127.0.0.1" || r.HeadUS <= 0 || r.DurationUS < r.HeadUS || r.Failed || r.RequestID != res.Header.Get("X-Request-Id") ||
			time.Since(r.At) > time.Hour || time.Until(r.At) > time.Second || !strings.HasPrefix(r.Host, "localhost:") {
			t.Errorf("%s: %+v", proto, r)
		}
		for _, path := range []string{"/bad", "/slow"} {
			if _, _, err := fetch(c, "GET", e.url(path), nil); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "a failed and a slow one by "+proto, func() bool {
			n := 0
			for _, s := range kept(e.running, "?failed&group=blue") {
				if s.Path == "/bad" && s.Proto == proto && s.Status == http.StatusBadGateway && s.Failed {
					n |= 1
				}
			}
			for _, s := range kept(e.running, "?slow&route=all") {
				if s.Path == "/slow" && s.Proto == proto && s.HeadUS >= 20_000 && s.Slow {
					n |= 2
				}
			}
			return n == 3
		})
	}
	all := e.call(http.StatusOK, "GET", "/v1/requests?limit=1000", "")
	for _, secret := range secrets {
		if strings.Contains(all, secret) {
			t.Errorf("%s is told", secret)
		}
	}
	if n := len(kept(e.running, "?limit=2")); n != 2 {
		t.Errorf("%d with a limit of 2", n)
	}
	for _, bad := range []string{"?limit=0", "?limit=x", "?slow=maybe", "?fialed"} {
		e.call(http.StatusBadRequest, "GET", "/v1/requests"+bad, "")
	}
}

// TestRecorderAndReloads: a reload keeps what was recorded, one that changes the recorder begins anew, and 0 switches it off.
func TestRecorderAndReloads(t *testing.T) {
	s := openShop(t, quick, nil)
	s.client.get(t)
	eventually(t, "the request is recorded", func() bool { return len(kept(s.running, "")) == 1 })
	text := rolloutText(s.dir, quick, s.blue.address, s.green.address)
	for _, c := range []struct {
		add  string
		want int
	}{{"\n[recorder]\nslow = \"1s\"\n", 1}, {"\n[recorder]\nslow = \"2s\"\n", 0}, {"\n[recorder]\nrequests = 0\n", 0}} {
		s.write(strings.Replace(text, "64KiB", "65KiB", 1) + c.add)
		s.call(http.StatusOK, "POST", "/v1/reload", "")
		if n := len(kept(s.running, "")); n != c.want {
			t.Errorf("%d are left after a reload with %q", n, c.add)
		}
	}
	s.client.get(t) // with the recorder off
	if n := len(kept(s.running, "")); n != 0 {
		t.Errorf("%d are kept by a recorder that is off", n)
	}
}

// TestRecorderDuringARollout: what green failed is told as its own, though blue answered.
func TestRecorderDuringARollout(t *testing.T) {
	s := openShop(t, `steps = [50, 100], hold = "1h"`, everyNth(1))
	s.start("")
	s.awaits("step 1", func(r admin.Rollout) bool { return r.Step == 1 })
	c := s.ask(20, getOnce)
	s.awaits("rolled back", func(r admin.Rollout) bool { return r.State == "rolled_back" })
	c.end()
	eventually(t, "a failure of green's that blue made good is told", func() (found bool) {
		for _, r := range kept(s.running, "?failed&group=green") {
			if r.FailedIn != "green" || r.Assigned != "green" || !r.Failed {
				t.Errorf("%+v", r)
			}
			found = found || r.Group == "blue" && r.Status == http.StatusOK && r.Attempts == 2
		}
		return found
	})
}
