package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/proxy/admin"
)

// answer serves h on a real listener and gives a client for it.
func answer(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	return answerWithin(t, time.Minute, h)
}

func answerWithin(t *testing.T, timeout time.Duration, h http.HandlerFunc) *client.Client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	c, err := client.New(client.Options{Address: l.Addr().String(), Token: "s3cret", Operator: "ann", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWhatIsNotWeirIsSaid(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want string
	}{
		{"page", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "is not weir"},
		{"plain 404", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }, "is not weir's admin API: 404"},
		{"a listener of weir", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"type":"about:blank","title":"Not Found","status":404,"reason":"no_route","request_id":"1"}`)
		}, "is not weir's admin API: 404"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/status" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, "is not weir's admin API: 302"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"version"`)
		}, "read the answer"},
		{"silent", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "did not answer within 300ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			timeout := time.Minute
			if c.name == "silent" {
				timeout = 300 * time.Millisecond
			}
			if _, err := answerWithin(t, timeout, c.h).Status(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

func TestProblemKeepsTheStatusOfTheWire(t *testing.T) {
	c := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"type":"about:blank","title":"odd","status":200,"instance":"/v1/reload","errors":[{"file":"f","line":1,"column":2,"message":"m"}]}`)
	})
	_, err := c.Reload(t.Context(), 0)
	var p *admin.Problem
	if !errors.As(err, &p) || p.Status != http.StatusConflict || len(p.Errors) != 1 || p.Errors[0].String() != "f:1:2: m" {
		t.Fatalf("%#v", err)
	}
}

func TestRequestSaysWhoAndOnWhatCondition(t *testing.T) {
	c := answer(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got := strings.Join([]string{
			r.Method, r.RequestURI, r.Header.Get("Authorization"), r.Header.Get(admin.OperatorHeader), r.Header.Get("If-Match"), string(b),
		}, " ")
		if want := `PUT /v1/services/a%2Fb/weights Bearer s3cret ann "v7" {"blue":75,"green":25}`; got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
		_, _ = io.WriteString(w, `{"name":"a/b"}`)
	})
	s, err := c.SetWeights(t.Context(), "a/b", "v7", admin.Weights{"blue": 7500, "green": 2500})
	if err != nil || s.Name != "a/b" {
		t.Fatal(s, err)
	}
}

// TestWaitGoneSeesASuccessor: where a supervisor restarts weir at once, the address never falls silent.
func TestWaitGoneSeesASuccessor(t *testing.T) {
	asked := 0
	c := answer(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if asked < 3 {
			_, _ = io.WriteString(w, `{"pid":1}`)
			return
		}
		_, _ = io.WriteString(w, `{"pid":2}`)
	})
	if err := c.WaitGone(t.Context(), 1); err != nil || asked != 3 {
		t.Fatal(asked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if err := c.WaitGone(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}
