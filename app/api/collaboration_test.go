package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/valor-ivx/weir/app/collab"
)

// connect opens a collaboration. headers are pairs; protocols are offered beside the one that is spoken.
func (s *server) connect(protocols []string, headers ...string) (*websocket.Conn, *http.Response, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	s.t.Cleanup(cancel)
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	c, res, err := websocket.Dial(ctx, s.URL+"/ws/collaboration", &websocket.DialOptions{HTTPHeader: h, Subprotocols: append([]string{collab.Subprotocol}, protocols...)})
	if c != nil {
		s.t.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, res, err
}

// joinedAs is the answer to joining a document.
func joinedAs(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"type": "join", "doc_id": "d"}`)); err != nil {
		t.Fatal(err)
	}
	_, b, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestCollaborationNeedsAToken: as the rest of the API: an access token, the user's own tenant, and a page of this host.
func TestCollaborationNeedsAToken(t *testing.T) {
	s := start(t, production)
	ann := s.register("ann")
	mine := fmt.Sprintf(`"tenant":%q,"doc_id":"d","user_id":%q`, ann.User.ID, ann.User.ID)
	host := strings.TrimPrefix(s.URL, "http://")
	for name, c := range map[string]struct {
		protocols []string
		headers   []string
		status    int // of a refusal
	}{
		"header":             {nil, []string{"Authorization", "Bearer " + ann.AccessToken}, 0},
		"subprotocol":        {[]string{"bearer." + ann.AccessToken}, nil, 0},
		"page of this host":  {[]string{"bearer." + ann.AccessToken}, []string{"Origin", "https://" + strings.ToUpper(host)}, 0},
		"her tenant":         {[]string{"bearer." + ann.AccessToken}, []string{"X-Tenant-ID", ann.User.ID}, 0},
		"nothing":            {nil, nil, 401},
		"refresh token":      {[]string{"bearer." + ann.RefreshToken}, nil, 401},
		"altered":            {[]string{"bearer." + ann.AccessToken + "x"}, nil, 401},
		"not bearer":         {nil, []string{"Authorization", "Basic YW5uOmFubg=="}, 401},
		"page of another":    {[]string{"bearer." + ann.AccessToken}, []string{"Origin", "https://evil.example"}, 403},
		"page of a sandbox":  {[]string{"bearer." + ann.AccessToken}, []string{"Origin", "null"}, 403},
		"tenant of somebody": {[]string{"bearer." + ann.AccessToken}, []string{"X-Tenant-ID", "other"}, 404},
	} {
		conn, res, err := s.connect(c.protocols, c.headers...)
		if c.status == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := joinedAs(t, conn); !strings.Contains(got, mine) || conn.Subprotocol() != collab.Subprotocol || res.Header.Get("X-Valor-Color") != "blue" || res.Header.Get("X-Request-ID") == "" {
				t.Errorf("%s: %s", name, got)
			}
			continue
		}
		if err == nil || res == nil || res.StatusCode != c.status || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %v %v, want %d", name, res, err, c.status)
		} else if c.status == 401 && !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: no challenge", name)
		}
	}
	s.mu.Lock()
	s.clock = s.clock.Add(2 * time.Hour)
	s.mu.Unlock()
	if _, res, err := s.connect([]string{"bearer." + ann.AccessToken}); err == nil || res.StatusCode != 401 {
		t.Errorf("with an old token: %v %v", res, err)
	}
	for _, e := range s.logs.All() {
		if text := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(text, ann.AccessToken) {
			t.Errorf("a token is in the log: %s", text)
		}
	}
}

// TestCollaborationInADemo: there is one user without an account; another site's page may not be it.
func TestCollaborationInADemo(t *testing.T) {
	s := start(t, nil)
	c, _, err := s.connect(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := joinedAs(t, c); !strings.Contains(got, `"user_id":"demo"`) {
		t.Error(got)
	}
	if _, res, err := s.connect(nil, "Origin", "https://evil.example"); err == nil || res.StatusCode != 403 {
		t.Errorf("%v %v", res, err)
	}
	if _, res, err := s.connect([]string{"bearer.nonsense"}); err == nil || res.StatusCode != 401 {
		t.Errorf("a bad token is none at all: %v %v", res, err)
	}
	r := s.send("GET", "/ws/collaboration", "")
	r.refused(t, 426, "")
	if r.header.Get("Upgrade") != "websocket" || r.header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("%v", r.header)
	}
	if r := s.send("GET", "/ws/collaboration", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "8"); r.code != 426 {
		t.Errorf("version 8: %d", r.code)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	// A connection is one request of its own kind, which does not count as slow.
	for _, series := range []string{
		`valor_http_requests_total{code="1xx",method="GET",route="/ws/collaboration"} 1`, `valor_http_requests_total{code="4xx",method="GET",route="/ws/collaboration"} 4`,
		`valor_http_request_duration_seconds_count{method="GET",route="/ws/collaboration"} 4`, `valor_http_requests_in_flight 1`, `valor_websocket_connections 0`,
		`valor_websocket_closed_total{reason="client"} 1`, `valor_websocket_refused_total{reason="origin"} 1`, `valor_websocket_refused_total{reason="unauthorized"} 1`,
	} {
		s.scraped(series)
	}
}

// scraped waits until the metrics have a line: what a client has seen end, the server may be about to count.
func (s *server) scraped(series string) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		body := string(s.send("GET", "/metrics", "").body)
		if strings.Contains(body, series+"\n") {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("no %s in\n%s", series, body)
		}
	}
}
