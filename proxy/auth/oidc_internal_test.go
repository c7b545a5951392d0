package auth

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/valor-ivx/weir/proxy/message"
)

// openLogin is a login whose provider is away.
func openLogin(t *testing.T, change func(o *OIDCOptions)) *OIDC {
	t.Helper()
	o := OIDCOptions{Name: "login", Realm: "x", Issuer: "http://127.0.0.1:1", ClientID: "weir", Callback: "/cb", Logout: "/out", Session: time.Hour, Leeway: 30 * time.Second,
		UserClaim: "sub", Headers: map[string]string{"groups": "X-Groups"}, Keep: []string{"sub"}, Secrets: [][]byte{bytes.Repeat([]byte{1}, 32)}, Failed: func(error) {}}
	if change != nil {
		change(&o)
	}
	a, err := OpenOIDC(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// page is a request for a page, with a session of a where there is one.
func page(host string, now time.Time, cookies ...string) *Request {
	h := &message.Header{}
	h.Add("Accept", "application/xhtml+xml, text/html;q=0.9")
	for _, c := range cookies {
		h.Add("Cookie", c)
	}
	return &Request{Header: h, Now: now, Method: []byte("GET"), Host: []byte(host), Path: []byte("/"), Secure: true}
}

// sessionOf is the Cookie that a browser has after a login at host with these claims.
func sessionOf(t *testing.T, a *OIDC, host string, now time.Time, claims string) string {
	t.Helper()
	v := a.begin(page(host, now), tokenOf(t, claims), "/")
	if v.Denial != nil || v.Answer == nil || v.Answer.Status != http.StatusSeeOther {
		t.Fatalf("%+v %v", v.Denial, v.Answer)
	}
	for _, f := range v.Answer.Fields {
		if f.Name == "Set-Cookie" {
			pair, _, _ := strings.Cut(f.Value, ";")
			return pair
		}
	}
	t.Fatal("no cookie")
	return ""
}

// tokenOf is a token with these claims that has been verified.
func tokenOf(t *testing.T, claims string) *oidc.IDToken {
	t.Helper()
	v := oidc.NewVerifier("", nil, &oidc.Config{InsecureSkipSignatureCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true})
	encoded := base64.RawURLEncoding.EncodeToString
	token, err := v.Verify(t.Context(), encoded([]byte(`{"alg":"none"}`))+"."+encoded([]byte(claims))+".")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestSessionEnds: a session is good at its host, under its name and rules, until its end and not a moment longer, whether it is remembered or not.
func TestSessionEnds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := openLogin(t, nil)
	c := sessionOf(t, a, "App.test:8443", now, `{"sub":"ann","groups":["a","b"]}`)
	for name, s := range map[string]struct {
		a    *OIDC
		host string
		at   time.Duration
		want Why // 0 with in
		in   bool
	}{
		"at once":           {a, "app.test", 0, 0, true},
		"another spelling":  {a, "APP.test.:443", time.Minute, 0, true},
		"its last second":   {a, "app.test", time.Hour - time.Second, 0, true},
		"its end":           {a, "app.test", time.Hour, SessionExpired, false},
		"another host":      {a, "b.test", 0, SessionInvalid, false},
		"after a restart":   {openLogin(t, nil), "app.test", 0, 0, true},
		"expired, restart":  {openLogin(t, nil), "app.test", 2 * time.Hour, SessionExpired, false},
		"a longer session":  {openLogin(t, func(o *OIDCOptions) { o.Session = 48 * time.Hour }), "app.test", 2 * time.Hour, SessionExpired, false},
		"another secret":    {openLogin(t, func(o *OIDCOptions) { o.Secrets = [][]byte{bytes.Repeat([]byte{2}, 32)} }), "app.test", 0, SessionInvalid, false},
		"secrets rotated":   {openLogin(t, func(o *OIDCOptions) { o.Secrets = append([][]byte{bytes.Repeat([]byte{2}, 32)}, o.Secrets...) }), "app.test", 0, 0, true},
		"other rules":       {openLogin(t, func(o *OIDCOptions) { o.Groups = []string{"c"} }), "app.test", 0, SessionInvalid, false},
		"another client id": {openLogin(t, func(o *OIDCOptions) { o.ClientID = "x" }), "app.test", 0, SessionInvalid, false},
	} {
		for range 2 {
			v := s.a.Authenticate(page(s.host, now.Add(s.at), c))
			if s.in && (v.Denial != nil || string(v.User) != "ann" || string(v.Fields) != "X-Forwarded-User: ann\r\nX-Groups: a,b\r\n" || string(v.Claim("sub")) != "ann") {
				t.Errorf("%s: %+v %q %q", name, v.Denial, v.User, v.Fields)
			}
			if r := page(s.host, now.Add(s.at), c); !s.in {
				r.Method = []byte("POST") // 401 with the reason, whether the provider is there or not
				if v := s.a.Authenticate(r); v.Denial == nil || v.Denial.Why != s.want || v.Denial.Status != http.StatusUnauthorized || v.Denial.Challenge == "" {
					t.Errorf("%s: %+v", name, v.Denial)
				}
			}
		}
	}
	other := openLogin(t, func(o *OIDCOptions) { o.Name = "other" })
	r := page("app.test", now, strings.Replace(c, "session-login=", "session-other=", 1))
	r.Method = []byte("POST")
	if v := other.Authenticate(r); v.Denial == nil || v.Denial.Why != SessionInvalid {
		t.Errorf("of another name: %+v", v.Denial)
	}
}

// TestAllowed: who may come in by the claims.
func TestAllowed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := openLogin(t, func(o *OIDCOptions) { o.Email, o.Groups = []string{"*@Example.com"}, []string{"ops-*", "staff"} })
	for claims, in := range map[string]bool{
		`{"sub":"a","email":"ann@example.com"}`:                          true,
		`{"sub":"a","email":"Ann@EXAMPLE.com","email_verified":true}`:    true,
		`{"sub":"a","email":"ann@example.com","email_verified":"true"}`:  true,
		`{"sub":"a","email":"ann@example.com","email_verified":false}`:   false,
		`{"sub":"a","email":"ann@example.com","email_verified":"false"}`: false,
		`{"sub":"a","email":"ann@example.com.evil"}`:                     false,
		`{"sub":"a","email":"evil@x@example.com"}`:                       false,
		`{"sub":"a","email":["ann@example.com"]}`:                        false,
		`{"sub":"a","email":"@example.com"}`:                             false,
		`{"sub":"a"}`:                                                    false,
		`{"sub":"a","groups":["x","ops-eu"]}`:                            true,
		`{"sub":"a","groups":"staff"}`:                                   true,
		`{"sub":"a","groups":["staffx","ops-"]}`:                         false,
		`{"sub":"a","groups":[["staff"],{"staff":1},7]}`:                 false,
		`{"sub":"a","email":"eve@evil.test","groups":["staff"]}`:         true,
		`{"sub":"a\r\nX-Evil: 1","email":"ann@example.com"}`:             false,
		`{"sub":"a","email":"ann@example.com","azp":"another"}`:          false,
		`{"sub":"a","email":"ann@example.com","azp":"weir"}`:             true,
		`{"sub":"a","email":"ann@example.com","groups":["a\u0000b"]}`:    false,
		`{"sub":"` + strings.Repeat("a", 3500) + `","groups":["staff"]}`: false, // more than a cookie holds
	} {
		v := a.begin(page("app.test", now), tokenOf(t, claims), "/")
		if (v.Denial == nil) != in || in != (v.Answer != nil) {
			t.Errorf("%.80s: %+v", claims, v.Denial)
		}
	}
}

// TestKnownSessionAllocatesNothing: a session that was opened once is found by a hash.
func TestKnownSessionAllocatesNothing(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	fetched := make(chan struct{}, 1)
	a := openLogin(t, func(o *OIDCOptions) {
		o.Failed = func(error) {
			select {
			case fetched <- struct{}{}:
			default:
			}
		}
	})
	r := page("app.test", now, sessionOf(t, a, "app.test", now, `{"sub":"ann"}`))
	if v := a.Authenticate(r); v.Denial != nil {
		t.Fatal(v.Denial)
	}
	<-fetched // of a provider that is not there: what everybody allocates is counted. One more attempt of some hundred allocations does not show in this many runs
	if n := testing.AllocsPerRun(5000, func() { a.Authenticate(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
