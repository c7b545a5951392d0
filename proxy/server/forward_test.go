package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked is a service that is asked about requests. It answers as the request's field X-Want names, and keeps the questions.
type asked struct {
	*httptest.Server
	mu        sync.Mutex
	questions []*http.Request
	begun     chan struct{} // one for each question that is left without an answer
	ended     chan struct{} // and when its asker has hung up
}

func newAsked(t *testing.T) *asked {
	t.Helper()
	j := &asked{begun: make(chan struct{}, 16), ended: make(chan struct{}, 16)}
	j.Server = httptest.NewUnstartedServer(j)
	t.Cleanup(j.Close)
	return j
}

func (j *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	q := r.Clone(context.Background())
	q.Body = io.NopCloser(bytes.NewReader(body))
	j.mu.Lock()
	j.questions = append(j.questions, q)
	j.mu.Unlock()
	h := w.Header()
	switch r.Header.Get("X-Want") {
	case "in":
		h["X-Groups"] = []string{"staff", "ops"}
		h.Set("Remote-User", "ann")
		h.Set("X-Secret", "not for the upstream")
		h.Set("Authorization", "Bearer of the service")
		w.WriteHeader(http.StatusAccepted)
	case "nobody":
	case "401":
		h.Set("WWW-Authenticate", `Bearer realm="sso"`)
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2; Path=/"}
		h.Set("Connection", "X-Of-The-Connection")
		h.Set("X-Of-The-Connection", "1")
		h.Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, "who are you")
	case "302":
		h.Set("Location", "https://sso.test/login?rd=x")
		h.Set("Cache-Control", "private")
		w.WriteHeader(http.StatusFound)
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
	case "304":
		w.WriteHeader(http.StatusNotModified)
	case "long":
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(make([]byte, 64<<10+1))
	case "break":
		panic(http.ErrAbortHandler)
	case "never":
		j.begun <- struct{}{}
		<-r.Context().Done()
		j.ended <- struct{}{}
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// taken gives the questions so far and forgets them.
func (j *asked) taken() (list []*http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	list, j.questions = j.questions, nil
	return list
}

// forwardEdge is an edge with a route /in by a service, and one with a short timeout.
func forwardEdge(t *testing.T, j *asked) (*secureEdge, *issuer, string, string) {
	t.Helper()
	dir := tempDir(t)
	ca, address := newIssuer(t, dir, "ca"), deadPort(t)
	const fields = "response_headers = [\"X-Groups\"]\nuser_header = \"Remote-User\"\n"
	return newSecureEdge(t, dir, "", "[[listener]]\nname = \"quic\"\naddress = \""+address+"\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]\n"+ca.server("a.test")+
		fmt.Sprintf("[auth.sso]\ntype = \"forward\"\nurl = \"%s/verify?kind=edge\"\ntimeout = \"1m\"\n%s", j.URL, fields)+
		fmt.Sprintf("[auth.quick]\ntype = \"forward\"\nurl = \"%s/verify\"\ntimeout = \"50ms\"\n%s", j.URL, fields)+
		fmt.Sprintf("[auth.cookies]\ntype = \"forward\"\nurl = \"%s/verify\"\nrequest_headers = [\"Cookie\", \"X-Want\"]\nresponse_headers = [\"Authorization\"]\n", j.URL)+
		"[[route]]\nservice = \"api\"\nauth = \"sso\"\n[[route]]\npath = \"/quick\"\nservice = \"api\"\nauth = \"quick\"\n[[route]]\npath = \"/cookies\"\nservice = \"api\"\nauth = \"cookies\"\n",
		tellAll), ca, address, dir
}

// TestForwardAuth: what the service is asked, over every protocol, and what its answers do: let in with what it says of the client, or go to the client.
func TestForwardAuth(t *testing.T) {
	j := newAsked(t)
	j.Start()
	e, ca, address, dir := forwardEdge(t, j)
	for _, c := range []struct {
		want, method string
		status       int
		reason       string // "": relayed, or let in
		body         string
	}{
		{"in", http.MethodGet, http.StatusOK, "", ""},
		{"in", http.MethodPost, http.StatusOK, "", ""},
		{"nobody", http.MethodGet, http.StatusOK, "", ""},
		{"401", http.MethodGet, http.StatusUnauthorized, "", "who are you"},
		{"401", http.MethodPost, http.StatusUnauthorized, "", "who are you"},
		{"401", http.MethodHead, http.StatusUnauthorized, "", ""},
		{"302", http.MethodGet, http.StatusFound, "", ""},
		{"500", http.MethodGet, http.StatusInternalServerError, "", ""},
		{"304", http.MethodGet, http.StatusServiceUnavailable, "auth_unavailable", ""},
		{"long", http.MethodGet, http.StatusServiceUnavailable, "auth_unavailable", ""},
		{"break", http.MethodGet, http.StatusServiceUnavailable, "auth_unavailable", ""},
		{"", http.MethodGet, http.StatusForbidden, "", ""},
	} {
		for proto, client := range speakers(t, ca, "a.test") {
			name := proto + ", " + c.method + " " + c.want
			var sent io.Reader
			if c.method == http.MethodPost {
				sent = strings.NewReader("the body")
			}
			req, err := http.NewRequestWithContext(t.Context(), c.method, "https://"+address+"/x/../in%20side?q=%2F..", sent)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "a.test"
			req.Header = http.Header{"X-Want": {c.want}, "Cookie": {"a=b; c=d"}, "Authorization": {"Basic eDp5"}, "If-None-Match": {`"x"`}, "Range": {"bytes=0-1"},
				"X-Forwarded-Uri": {"/public"}, "X_forwarded_uri": {"/public"}, "X-Forwarded-Method": {"HEAD"}, "X-Original-Url": {"/public"}, "X-Forwarded-For": {"192.0.2.1"},
				"X-Real-Ip": {"192.0.2.1"}, "X-Groups": {"admin"}, "X_groups": {"admin"}, "Remote-User": {"root"}, "X-Forwarded-User": {"root"}, "Client-Cert": {":eA==:"}}
			before := e.hits.Load()
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(name, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.Proto != proto || resp.StatusCode != c.status || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %s %v %s %v", name, resp.Status, resp.Header, body, err)
				continue
			}
			if asked := e.hits.Load() > before; asked != (c.status == http.StatusOK) {
				t.Errorf("%s: the upstream was asked: %t", name, asked)
			}
			if (c.reason != "") != strings.Contains(string(body), `"reason":"auth_unavailable"`) || c.body != "" && string(body) != c.body {
				t.Errorf("%s: %s", name, body)
			}
			expectQuestion(t, name, c.method, j.taken())
			switch c.want {
			case "in", "nobody":
				expectTold(t, name, c.want == "in", string(body))
			case "401":
				if resp.Header.Get("WWW-Authenticate") != `Bearer realm="sso"` || !slices.Equal(resp.Header["Set-Cookie"], []string{"a=1; Path=/", "b=2; Path=/"}) ||
					resp.Header.Get("X-Of-The-Connection") != "" || resp.Header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %v", name, resp.Header)
				}
			case "302":
				if resp.Header.Get("Location") != "https://sso.test/login?rd=x" || resp.Header.Get("Cache-Control") != "private" {
					t.Errorf("%s: %v", name, resp.Header)
				}
			}
		}
	}
	e.expectMetrics(`weir_http_errors_total{listener="quic",reason="auth_refused"} 18`, `weir_http_errors_total{listener="quic",reason="auth_unavailable"} 9`)
	expectLog(t, dir, `"user.name":"ann"`, `"weir.reason":"auth_refused"`, `"weir.reason":"auth_unavailable"`, "304 is no answer")
}

// expectQuestion holds what the service was asked to the request of TestForwardAuth.
func expectQuestion(t *testing.T, name, method string, questions []*http.Request) {
	t.Helper()
	if len(questions) == 0 || len(questions) > 2 { // net/http asks again when a kept connection breaks
		t.Errorf("%s: %d questions", name, len(questions))
		return
	}
	q := questions[0]
	body, _ := io.ReadAll(q.Body)
	got := map[string][]string{}
	for field, values := range q.Header {
		low := strings.ReplaceAll(strings.ToLower(field), "_", "-")
		got[low] = append(got[low], values...)
	}
	for field, want := range map[string]string{
		"x-forwarded-uri": "/in%20side?q=%2F..", "x-original-uri": "/in%20side?q=%2F..", "x-forwarded-method": method, "x-original-method": method, "x-forwarded-proto": "https",
		"x-forwarded-host": "a.test", "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", "cookie": "a=b; c=d", "authorization": "Basic eDp5",
		"x-original-url": "", "if-none-match": "", "range": "", "x-groups": "", "remote-user": "", "x-forwarded-user": "", "client-cert": "", "content-length": "", "content-type": "",
	} {
		if strings.Join(got[field], "|") != want {
			t.Errorf("%s: the service was asked with %s %q, want %q", name, field, got[field], want)
		}
	}
	if q.Method != http.MethodGet || q.URL.String() != "/verify?kind=edge" || len(body) != 0 || q.ContentLength != 0 || len(got["x-request-id"]) != 1 {
		t.Errorf("%s: the service was asked %s %s with %d bytes, %v", name, q.Method, q.URL, len(body), got)
	}
}

// expectTold holds what the upstream was sent to what the service said.
func expectTold(t *testing.T, name string, known bool, body string) {
	t.Helper()
	groups, user := []string(nil), []string(nil)
	if known {
		groups, user = []string{"staff", "ops"}, []string{"ann"}
	}
	if !slices.Equal(told(body, "x-groups"), groups) || !slices.Equal(told(body, "x-forwarded-user"), user) || told(body, "remote-user") != nil || told(body, "x-secret") != nil ||
		!slices.Equal(told(body, "authorization"), []string{"Basic eDp5"}) {
		t.Errorf("%s: the upstream was sent\n%s", name, body)
	}
}

// TestForwardAuthFields: only the fields that are named go to the service; one of its fields takes the place of the client's.
func TestForwardAuthFields(t *testing.T) {
	j := newAsked(t)
	j.Start()
	e, _, _, _ := forwardEdge(t, j)
	if res, _ := askRaw(t, e.plain, "X-Want: in", "Connection: X-Want"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a field of the connection, which the upstream would not see: %s", res.Status)
	}
	if q := j.taken(); len(q) != 1 || q[0].Header.Get("X-Want") != "" {
		t.Errorf("it was asked with %v", q)
	}
	conn := connect(t, e.plain)
	defer func() { _ = conn.conn.Close() }()
	answers, bodies := sayHTTP1(t, conn.conn, "GET /cookies HTTP/1.1\r\nHost: a\r\nx_want: out\r\nX-Want: in\r\nCookie: a=b\r\nCookie: c=d\r\nX-Other: 1\r\nAuthorization: Basic eDp5\r\n\r\n")
	q := j.taken()
	if answers[0].StatusCode != http.StatusOK || len(q) != 1 || q[0].Header.Get("Cookie") != "a=b; c=d" || q[0].Header.Get("Authorization") != "" || q[0].Header.Get("X-Other") != "" || q[0].Header["X_want"] != nil {
		t.Errorf("%s, asked with %v", answers[0].Status, q)
	}
	if got := told(bodies[0], "authorization"); !slices.Equal(got, []string{"Bearer of the service"}) {
		t.Errorf("the upstream was sent %q", got)
	}
}

// TestForwardAuthWithoutAnswer: nobody comes in while the service does not answer, is not there or is somebody else; when it is back they do.
func TestForwardAuthWithoutAnswer(t *testing.T) {
	j := newAsked(t) // listens, but nobody accepts
	j.URL = "http://" + j.Listener.Addr().String()
	e, _, _, _ := forwardEdge(t, j)
	ask := func(path, want string) (int, string) {
		conn := connect(t, e.plain)
		defer func() { _ = conn.conn.Close() }()
		answers, bodies := sayHTTP1(t, conn.conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\nX-Want: "+want+"\r\nConnection: close\r\n\r\n")
		return answers[0].StatusCode, bodies[0]
	}
	out := func(when, path, want string) {
		t.Helper()
		if status, body := ask(path, want); status != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"auth_unavailable"`) || e.hits.Load() != 0 {
			t.Errorf("%s: %d %s, upstream asked %d times", when, status, body, e.hits.Load())
		}
	}
	out("no answer", "/quick", "in")
	e.expectMetrics(`weir_auth_last_reload_successful{auth="quick"} 0`, `weir_auth_last_reload_successful{auth="sso"} 1`)
	j.URL = ""
	j.Start() // takes what has been waiting too
	out("an answer too late", "/quick", "never")
	if status, body := ask("/", "in"); status != http.StatusOK {
		t.Errorf("when it is back: %d %s", status, body)
	}
	j.Close()
	before := e.hits.Load()
	if status, body := ask("/", "in"); status != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"auth_unavailable"`) || e.hits.Load() != before {
		t.Errorf("when it has gone: %d %s", status, body)
	}
	e.expectMetrics(`weir_auth_last_reload_successful{auth="sso"} 0`)
	if said := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://a/"}`); !strings.Contains(said, "without one 503") {
		t.Errorf("explain: %s", said)
	}
}

// TestForwardAuthClientLeaves: then the question is taken back, and the books say why.
func TestForwardAuthClientLeaves(t *testing.T) {
	j := newAsked(t)
	j.Start()
	e, ca, address, _ := forwardEdge(t, j)
	for proto, client := range speakers(t, ca, "a.test") {
		ctx, leave := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host, req.Header = "a.test", http.Header{"X-Want": {"never"}}
		failed := make(chan error, 1)
		go func() {
			resp, err := client.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			failed <- err
		}()
		<-j.begun
		leave()
		if err := <-failed; err == nil {
			t.Errorf("%s: answered", proto)
		}
		select {
		case <-j.ended:
		case <-time.After(20 * time.Second): // of a minute that the answer may take
			t.Fatalf("%s: the question stays", proto)
		}
	}
	e.expectMetrics(`weir_http_errors_total{listener="quic",reason="client_gone"} 3`)
	if e.hits.Load() != 0 {
		t.Error("the upstream was asked")
	}
}

// TestForwardAuthPrivateCA: a service is believed whose certificate the CA in the configuration vouches for, and no other.
func TestForwardAuthPrivateCA(t *testing.T) {
	j := newAsked(t)
	j.StartTLS()
	for _, c := range []struct {
		ca     string
		status int
	}{{"ca = \"sso.pem\"\n", http.StatusOK}, {"", http.StatusServiceUnavailable}} {
		r, _, _ := guardedEdge(t, map[string]string{"sso.pem": pemText("CERTIFICATE", j.Certificate().Raw)},
			fmt.Sprintf("[auth.sso]\ntype = \"forward\"\nurl = %q\n%s", j.URL, c.ca), "auth = \"sso\"\n")
		if res, body := askRaw(t, r.address, "X-Want: in"); res.StatusCode != c.status {
			t.Errorf("%q: %d %s", c.ca, res.StatusCode, body)
		}
	}
}
