package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/api"
)

type account struct {
	Success      bool
	User         struct{ ID, Username, Email string }
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
}

const goodPassword = "Correct-horse-9"

func production(o *api.Options) { o.Demo = false }

func (s *server) register(name string) account {
	s.t.Helper()
	var a account
	s.send("POST", "/api/auth/register", fmt.Sprintf(`{"username": %q, "email": "%s@example.com", "password": %q}`, name, name, goodPassword)).into(s.t, 200, &a)
	return a
}

func (s *server) login(name, password string) reply {
	s.t.Helper()
	return s.send("POST", "/api/auth/login", fmt.Sprintf(`{"username": %q, "password": %q}`, name, password))
}

func (s *server) refresh(token string) reply {
	s.t.Helper()
	return s.send("POST", "/api/auth/refresh", fmt.Sprintf(`{"refresh_token": %q}`, token))
}

// as sends with an access token.
func (s *server) as(token, method, path, body string) reply {
	s.t.Helper()
	return s.send(method, path, body, "Authorization", "Bearer "+token)
}

// TestAccountsLife: register, log in by name and by address, ask who one is, exchange the token, log out.
func TestAccountsLife(t *testing.T) {
	s := start(t, production)
	a := s.register("Ann_1")
	if !a.Success || a.User.Username != "Ann_1" || a.User.Email != "Ann_1@example.com" || a.ExpiresIn != 3600 {
		t.Errorf("%+v", a)
	}
	for _, name := range []string{"Ann_1", "ann_1", "ANN_1@EXAMPLE.COM"} {
		var again account
		s.login(name, goodPassword).into(t, 200, &again)
		if again.User.ID != a.User.ID {
			t.Errorf("%s is %s, not %s", name, again.User.ID, a.User.ID)
		}
	}
	var who struct{ User struct{ ID string } }
	s.as(a.AccessToken, "GET", "/api/auth/profile", "").into(t, 200, &who)
	if who.User.ID != a.User.ID {
		t.Errorf("%+v", who)
	}
	var b account
	s.refresh(a.RefreshToken).into(t, 200, &b)
	s.as(b.AccessToken, "GET", "/api/auth/profile", "").into(t, 200, &who)
	if r := s.send("POST", "/api/auth/logout", fmt.Sprintf(`{"refresh_token": %q}`, b.RefreshToken)); r.code != 200 {
		t.Errorf("log out: %d %s", r.code, r.body)
	}
	s.refresh(b.RefreshToken).refused(t, 401, "")
	for _, line := range []string{`valor_logins_total{result="ok"} 3`, `valor_logins_total{result="refused"} 0`} {
		if !strings.Contains(string(s.send("GET", "/metrics", "").body), line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// TestStolenRefreshToken: a token that is used a second time ends the session of whoever used it first.
func TestStolenRefreshToken(t *testing.T) {
	s := start(t, production)
	a := s.register("ann")
	var thief account
	s.refresh(a.RefreshToken).into(t, 200, &thief)
	s.refresh(a.RefreshToken).refused(t, 401, "") // the owner notices
	s.refresh(thief.RefreshToken).refused(t, 401, "")
	var again account
	s.login("ann", goodPassword).into(t, 200, &again)
	s.refresh(again.RefreshToken).into(t, 200, &again)
}

// TestOneRefreshWins: of many exchanges of one token at once at most one is answered.
func TestOneRefreshWins(t *testing.T) {
	s := start(t, production)
	a := s.register("ann")
	var mu sync.Mutex
	won := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if s.refresh(a.RefreshToken).code == 200 {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestAccountRefusals(t *testing.T) {
	s := start(t, production)
	s.register("ann")
	body := func(name, email, password string) string {
		b, _ := json.Marshal(map[string]string{"username": name, "email": email, "password": password})
		return string(b)
	}
	for _, c := range []struct {
		path, body string
		code       int
		location   string
	}{
		{"/api/auth/register", body("ANN", "other@example.com", goodPassword), 409, ""},
		{"/api/auth/register", body("other", "Ann@Example.com", goodPassword), 409, ""},
		{"/api/auth/register", body("ab", "b@example.com", goodPassword), 422, "body.username"},
		{"/api/auth/register", body("<script>", "b@example.com", goodPassword), 422, "body.username"},
		{"/api/auth/register", body("bob", "b@example", goodPassword), 422, "body.email"},
		{"/api/auth/register", body("bob", "Bob <b@example.com>", goodPassword), 422, "body.email"},
		{"/api/auth/register", body("bob", "b@example.com\r\nX: y", goodPassword), 422, "body.email"},
		{"/api/auth/register", body("bob", "b@example.com", "short-A1"), 422, "body.password"},
		{"/api/auth/register", body("bob", "b@example.com", strings.Repeat("Aa1!", 300)), 422, "body.password"},
		{"/api/auth/register", `{"username": "bob", "role": "admin"}`, 422, "body.role"},
		{"/api/auth/register", `{"username": null}`, 422, "body.username"},
		{"/api/auth/login", body("ann", "", goodPassword), 422, "body.email"},
		{"/api/auth/login", `{"username": "ann", "password": "wrong"}`, 401, ""},
		{"/api/auth/login", `{"username": "nobody", "password": "Correct-horse-9"}`, 401, ""},
		{"/api/auth/login", `{"username": "' OR 1=1 --", "password": "x"}`, 401, ""},
		{"/api/auth/login", `{"username": "", "password": ""}`, 401, ""},
		{"/api/auth/refresh", `{"refresh_token": ""}`, 401, ""},
		{"/api/auth/refresh", `{"refresh_token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, 401, ""},
		{"/api/auth/refresh", `{}`, 401, ""},
	} {
		t.Run(c.path+c.body[:min(40, len(c.body))], func(t *testing.T) {
			s.send("POST", c.path, c.body).refused(t, c.code, c.location)
		})
	}
	if r := s.send("POST", "/api/auth/login", "username=ann", "Content-Type", "application/x-www-form-urlencoded"); r.code != 415 {
		t.Errorf("a form of another site: %d", r.code)
	}
	for _, line := range s.logs.All() {
		if text := fmt.Sprint(line.Message, line.Context); strings.Contains(text, goodPassword) {
			t.Errorf("a password is in the log: %s", text)
		}
	}
}

// TestWhatBelongsToSomebody: without a token, with a bad or old one or with another's tenant nothing is answered, and nobody sees another's runs.
func TestWhatBelongsToSomebody(t *testing.T) {
	s := start(t, production)
	ann, bob := s.register("ann"), s.register("bob")
	var created struct {
		RunID string `json:"run_id"`
	}
	s.as(ann.AccessToken, "POST", "/api/runs", `{"inputs": {"ticker": "AAPL"}}`).into(t, 200, &created)
	if r := s.as(ann.AccessToken, "GET", "/api/runs/"+created.RunID, ""); r.code != 200 {
		t.Errorf("her own: %d", r.code)
	}
	s.as(bob.AccessToken, "GET", "/api/runs/"+created.RunID, "").refused(t, 404, "")
	s.as(bob.AccessToken, "GET", "/api/runs/last", "").refused(t, 404, "")
	for name, headers := range map[string][]string{
		"none":               nil,
		"not bearer":         {"Authorization", "Basic YW5uOmFubg=="},
		"refresh token":      {"Authorization", "Bearer " + ann.RefreshToken},
		"altered":            {"Authorization", "Bearer " + ann.AccessToken[:len(ann.AccessToken)-3] + "AAA"},
		"of nobody's tenant": {"Authorization", "Bearer " + ann.AccessToken, "X-Tenant-ID", bob.User.ID},
	} {
		want := 401
		if strings.Contains(name, "tenant") {
			want = 404
		}
		r := s.send("GET", "/api/runs", "", headers...)
		r.refused(t, want, "")
		if want == 401 && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: no challenge", name)
		}
	}
	if r := s.send("GET", "/api/runs", "", "Authorization", "Bearer "+ann.AccessToken, "X-Tenant-ID", ann.User.ID); r.code != 200 {
		t.Errorf("her own tenant: %d", r.code)
	}
	s.mu.Lock()
	s.clock = s.clock.Add(2 * time.Hour)
	s.mu.Unlock()
	if p := s.as(ann.AccessToken, "GET", "/api/runs", "").refused(t, 401, ""); p.Detail != "token expired" {
		t.Errorf("%+v", p)
	}
	s.clock = s.clock.Add(31 * 24 * time.Hour)
	s.refresh(ann.RefreshToken).refused(t, http.StatusUnauthorized, "")
}
