package server_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	sessionCookie = "__Host-weir-session-login"
	loginCookie   = "__Host-weir-login-login"
)

// loginText is a configuration with a login for a.test and b.test, and a second one for part of them.
func loginText(address, issuer, server, more string) string {
	return "[[listener]]\nname = \"quic\"\naddress = \"" + address + "\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]\n" + server +
		fmt.Sprintf("[auth.login]\ntype = \"oidc\"\nissuer = %q\nclient_id = \"weir\"\nclient_secret = %q\nuser_claim = \"email\"\nclaim_headers = { sub = \"X-Subject\" }\n%s", issuer, clientSecret, more) +
		"[auth.login.allow]\nemail = \"*@example.com\"\n" +
		fmt.Sprintf("[auth.two]\ntype = \"oidc\"\nissuer = %q\nclient_id = \"weir\"\nclient_secret = %q\ncallback = \"/two/back\"\nlogout = \"/two/out\"\n", issuer, clientSecret) +
		"[[route]]\nhost = [\"a.test\", \"b.test\"]\nservice = \"api\"\nauth = \"login\"\n[[route]]\nhost = [\"a.test\", \"b.test\"]\npath = \"/two\"\nservice = \"api\"\nauth = \"two\"\n"
}

// loginEdge is an edge with loginText.
func loginEdge(t *testing.T, p *openID, more string) (e *secureEdge, ca *issuer, address, dir string) {
	t.Helper()
	dir = tempDir(t)
	ca, address = newIssuer(t, dir, "ca"), deadPort(t)
	issuer := p.URL
	if issuer == "" {
		issuer = "http://" + p.Listener.Addr().String()
	}
	e = newSecureEdge(t, dir, "", loginText(address, issuer, ca.server("a.test", "b.test"), more), tellAll)
	return e, ca, address, dir
}

// found waits until the provider is known.
func (e *secureEdge) found() {
	e.t.Helper()
	e.expectMetrics(`weir_auth_last_reload_successful{auth="login"} 1`, `weir_auth_last_reload_successful{auth="two"} 1`)
}

// TestLogin: over every protocol a browser without a session comes back from the provider to the page that it asked for, with a session that the upstream hears of in
// fields alone; the session lasts, and ends by logging out.
func TestLogin(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, dir := loginEdge(t, p, "")
	e.found()
	var secrets []string
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
		b := newBrowser(t, ca, address, proto)
		resp, _ := b.get("https://a.test/x?y=%2F&z=1")
		if set := resp.Header["Set-Cookie"]; resp.StatusCode != http.StatusFound || resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" ||
			len(set) != 1 || !strings.HasPrefix(set[0], loginCookie+"=") || !strings.HasSuffix(set[0], "; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax") {
			t.Fatalf("%s: %s %v", proto, resp.Status, resp.Header)
		}
		back := b.toCallback("https://a.test/x?y=%2F&z=1")
		before := e.hits.Load()
		resp, _ = b.get(back)
		if set := resp.Header["Set-Cookie"]; resp.Proto != proto || resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/x?y=%2F&z=1" || len(set) != 1 ||
			!strings.HasPrefix(set[0], sessionCookie+"=") || !strings.HasSuffix(set[0], "; Path=/; Max-Age=28800; Secure; HttpOnly; SameSite=Lax") || e.hits.Load() != before {
			t.Fatalf("%s: %s %v", proto, resp.Status, resp.Header)
		}
		secrets = append(secrets, b.cookies("a.test")[sessionCookie], b.cookies("a.test")[loginCookie])
		resp, body := b.get("https://a.test/x?y=%2F&z=1", "X-Subject", "0", "X_subject", "0", "X-Forwarded-User", "root", "Cookie", "mine=1", "Authorization", "Basic eDp5")
		if resp.StatusCode != http.StatusOK || !slices.Equal(told(body, "x-forwarded-user"), []string{"ann@example.com"}) || !slices.Equal(told(body, "x-subject"), []string{"1234"}) ||
			!slices.Equal(told(body, "cookie"), []string{"mine=1"}) || !slices.Equal(told(body, "authorization"), []string{"Basic eDp5"}) {
			t.Errorf("%s: %s, the upstream was sent\n%s", proto, resp.Status, body)
		}
		if resp, _ = b.do(http.MethodPost, "https://a.test/"); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: POST with a session: %s", proto, resp.Status)
		}
		if resp, body = b.open("https://b.test/"); resp.StatusCode != http.StatusOK || resp.Request.URL.String() != "https://b.test/" {
			t.Errorf("%s: another host: %s %s", proto, resp.Status, body)
		}
		expectLogout(t, b, proto)
	}
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	expectLog(t, dir, `"user.name":"ann@example.com"`, `"weir.reason":"login_required"`, `"url.path":"/.weir/oauth/callback"`)
	p.set(func() { secrets = append(secrets, p.codes...) })
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(secrets, clientSecret, "s3cr3t", "an-access-token", "state=", "code=") {
		if s == "" || strings.Contains(string(text), s) {
			t.Errorf("the log has %q", s)
		}
	}
}

// expectLogout ends the session of a.test.
func expectLogout(t *testing.T, b *browser, proto string) {
	t.Helper()
	old := b.cookies("a.test")[sessionCookie]
	if resp, _ := b.get("https://a.test/.weir/oauth/logout", "Sec-Fetch-Site", "cross-site"); resp.StatusCode != http.StatusForbidden || b.cookies("a.test")[sessionCookie] == "" {
		t.Errorf("%s: another site ended the session: %s", proto, resp.Status)
	}
	resp, body := b.get("https://a.test/.weir/oauth/logout")
	if resp.StatusCode != http.StatusOK || !strings.Contains(body, "Logged out") || len(b.cookies("a.test")) != 0 {
		t.Errorf("%s: logged out: %s %s, cookies %v", proto, resp.Status, body, b.cookies("a.test"))
	}
	if resp, _ := b.get("https://a.test/"); resp.StatusCode != http.StatusFound {
		t.Errorf("%s: after logging out: %s", proto, resp.Status)
	}
	if resp, body := b.do(http.MethodGet, "https://a.test/", "Cookie", sessionCookie+"="+old); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"reason":"session_invalid"`) {
		t.Errorf("%s: a session that was ended: %s %s", proto, resp.Status, body)
	}
	if b.cookies("b.test")[sessionCookie] == "" {
		t.Errorf("%s: the session of another host has ended too", proto)
	}
}

// TestWhoIsSentToLogIn: pages are, by https; everything else gets 401.
func TestWhoIsSentToLogIn(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, _ := loginEdge(t, p, "")
	e.found()
	b := newBrowser(t, ca, address, "HTTP/2.0")
	for _, c := range []struct {
		method string
		lines  []string
		status int
	}{
		{http.MethodGet, []string{"Accept", "text/html"}, http.StatusFound},
		{http.MethodHead, []string{"Accept", "text/html"}, http.StatusFound},
		{http.MethodGet, []string{"Accept", "application/json, TEXT/HTML;q=0.1", "Sec-Fetch-Mode", "navigate"}, http.StatusFound},
		{http.MethodGet, []string{"Accept", "text/html", "Sec-Fetch-Mode", "cors"}, http.StatusUnauthorized},
		{http.MethodGet, []string{"Accept", "text/html", "Sec-Fetch-Mode", "websocket"}, http.StatusUnauthorized},
		{http.MethodGet, []string{"Accept", "*/*"}, http.StatusUnauthorized},
		{http.MethodGet, nil, http.StatusUnauthorized},
		{http.MethodPost, []string{"Accept", "text/html"}, http.StatusUnauthorized},
		{http.MethodDelete, []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate"}, http.StatusUnauthorized},
	} {
		resp, body := b.do(c.method, "https://a.test/", c.lines...)
		if resp.StatusCode != c.status || (c.status == http.StatusUnauthorized) != (resp.Header.Get("WWW-Authenticate") != "") || resp.StatusCode == http.StatusUnauthorized && resp.Header["Set-Cookie"] != nil {
			t.Errorf("%s %v: %s %v %s", c.method, c.lines, resp.Status, resp.Header, body)
		}
	}
	for path, want := range map[string]int{"/": http.StatusForbidden, "/.weir/oauth/callback?code=a&state=b": http.StatusForbidden} {
		conn := connect(t, e.plain)
		answers, bodies := sayHTTP1(t, conn.conn, "GET "+path+" HTTP/1.1\r\nHost: a.test\r\nAccept: application/json, text/html\r\nX-Forwarded-Proto: https\r\n\r\n")
		_ = conn.conn.Close()
		if answers[0].StatusCode != want || !strings.Contains(bodies[0], `"reason":"login_insecure"`) {
			t.Errorf("without TLS %s: %s %s", path, answers[0].Status, bodies[0])
		}
	}
	if e.hits.Load() != 0 {
		t.Error("the upstream was asked")
	}
	if said := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"https://a.test/"}`); !strings.Contains(said, "sent to log in") {
		t.Errorf("explain: %s", said)
	}
}

// TestLoginAttacked: an answer of the provider's begins a session in the browser that asked, at the host, once; tokens that are not what was asked for begin none.
func TestLoginAttacked(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, dir := loginEdge(t, p, "")
	e.found()
	param := func(back, name, value string) string {
		head, query, _ := strings.Cut(back, "?")
		parts := strings.Split(query, "&")
		for i := range parts {
			if strings.HasPrefix(parts[i], name+"=") {
				parts[i] = name + "=" + value
			}
		}
		return head + "?" + strings.Join(parts, "&")
	}
	valueOf := func(back, name string) string {
		_, rest, _ := strings.Cut(back, name+"=")
		value, _, _ := strings.Cut(rest, "&")
		return value
	}
	fresh := func() *browser { return newBrowser(t, ca, address, "HTTP/1.1") }
	refused := func(name string, b *browser, back string) {
		t.Helper()
		host := "a.test"
		if strings.Contains(back, "b.test") {
			host = "b.test"
		}
		resp, body := b.get(back, "Accept", "application/json")
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"reason":"login_failed"`) || b.cookies(host)[sessionCookie] != "" || strings.Contains(resp.Header.Get("Set-Cookie"), "session") {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	victim, attacker := fresh(), fresh()
	back := victim.toCallback("https://a.test/")
	refused("in a browser that did not ask", fresh(), back)
	refused("in a browser that asked for another", attacker, back+"&x="+attacker.toCallback("https://a.test/")[:0])
	state := valueOf(back, "state")
	refused("a state that is altered", victim, param(back, "state", strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return r
	}, state)+"A"))
	refused("no state", victim, param(back, "state", ""))
	refused("two states", victim, back+"&state="+state)
	refused("a state of another host", victim, strings.Replace(victim.toCallback("https://b.test/"), "b.test", "a.test", 1))
	refused("a state of another login", victim, strings.Replace(victim.toCallback("https://a.test/two"), "/two/back", "/.weir/oauth/callback", 1))
	refused("a session for a state", victim, param(back, "state", "AQAAUVYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	refused("no code", victim, param(back, "code", ""))
	refused("an error of the provider's", victim, param(back, "code", "x&error=access_denied"))
	refused("an error that is no code", victim, param(back, "code", "x&error=a%0d%0ab"))
	refused("another issuer", victim, param(back, "iss", "https%3A%2F%2Fevil.test"))
	refused("parameters that cannot be read", victim, back+"&a=%zz")
	// The attacker's own code in the victim's browser, and the victim's in the attacker's: PKCE and nonce are the browser's that asked.
	refused("a code that was injected", victim, param(victim.toCallback("https://a.test/"), "code", valueOf(attacker.toCallback("https://a.test/"), "code")))
	refused("a code that was stolen", attacker, param(attacker.toCallback("https://a.test/"), "code", valueOf(back, "code")))

	b := fresh()
	back = b.toCallback("https://a.test/")
	if resp, body := b.do(http.MethodPost, back); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("by POST: %s %s", resp.Status, body)
	}
	if resp, body := b.get(back); resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("in its own browser: %s %s", resp.Status, body)
	}
	var spent int
	p.set(func() { spent = p.spent })
	resp, body := b.get(back, "Accept", "application/json")
	p.set(func() { spent = p.spent - spent })
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "login_failed") || spent != 0 {
		t.Errorf("replayed: %s %s, the provider was asked %d times", resp.Status, body, spent)
	}
	c := fresh()
	refused("a code that was used", c, param(c.toCallback("https://a.test/"), "code", valueOf(back, "code")))
	if e.hits.Load() != 0 {
		t.Error("the upstream was asked")
	}
	expectLog(t, dir, `"weir.reason":"login_failed"`, "the state is none of ours for this browser and host", "this browser has not begun to log in", "the provider refused: access_denied",
		"the provider refused: unknown", "gives no token for the code: invalid_grant", "another issuer", "the state has been used")
	e.expectMetrics(`weir_http_errors_total{listener="quic",reason="auth_unavailable"} 0`)
}

// TestTokensOfTheProvider: a token of another issuer, for another client, of another login, past its end or not signed by the provider begins no session; clocks may
// differ a little; whom allow does not name is 403, with the name in the log.
func TestTokensOfTheProvider(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, dir := loginEdge(t, p, "")
	e.found()
	strange := jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: newKey(t), KeyID: "1"}}
	shared := jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: []byte(clientSecret + strings.Repeat("=", 32)), KeyID: "1"}}
	since := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, c := range []struct {
		name   string
		claims map[string]any
		signer *jose.SigningKey
		status int
		reason string
	}{
		{"good", nil, nil, http.StatusSeeOther, ""},
		{"another issuer", map[string]any{"iss": "https://evil.test"}, nil, http.StatusBadRequest, "login_failed"},
		{"for another client", map[string]any{"aud": "other"}, nil, http.StatusBadRequest, "login_failed"},
		{"for others besides", map[string]any{"aud": []string{"weir", "other"}, "azp": "other"}, nil, http.StatusBadRequest, "login_failed"},
		{"of another login", map[string]any{"nonce": "n"}, nil, http.StatusBadRequest, "login_failed"},
		{"of no login", map[string]any{"nonce": nil}, nil, http.StatusBadRequest, "login_failed"},
		{"a clock that is ahead", map[string]any{"exp": since(-5 * time.Second)}, nil, http.StatusSeeOther, ""},
		{"past its end", map[string]any{"exp": since(-5 * time.Minute)}, nil, http.StatusBadRequest, "login_failed"},
		{"long before its time", map[string]any{"nbf": since(time.Hour)}, nil, http.StatusBadRequest, "login_failed"},
		{"without an end", map[string]any{"exp": nil}, nil, http.StatusBadRequest, "login_failed"},
		{"signed by another key", nil, &strange, http.StatusBadRequest, "login_failed"},
		{"signed by the secret", nil, &shared, http.StatusBadRequest, "login_failed"},
		{"not allowed", map[string]any{"email": "eve@evil.test"}, nil, http.StatusForbidden, "claim_refused"},
		{"an address that nobody vouches for", map[string]any{"email_verified": false}, nil, http.StatusForbidden, "claim_refused"},
		{"a name with a line end", map[string]any{"email": "ann\r\nX-Evil: 1@example.com"}, nil, http.StatusBadRequest, "login_failed"},
		{"too much for a cookie", map[string]any{"sub": strings.Repeat("a", 3500)}, nil, http.StatusBadRequest, "login_failed"},
	} {
		b := newBrowser(t, ca, address, "HTTP/1.1")
		back := b.toCallback("https://a.test/")
		p.set(func() {
			p.claims = c.claims
			if p.signer = (jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "1"}}); c.signer != nil {
				p.signer = *c.signer
			}
		})
		resp, body := b.get(back, "Accept", "application/json")
		if resp.StatusCode != c.status || c.reason != "" && !strings.Contains(body, `"reason":"`+c.reason+`"`) || (b.cookies("a.test")[sessionCookie] != "") != (c.reason == "") {
			t.Errorf("%s: %s %s, cookies %v", c.name, resp.Status, body, b.cookies("a.test"))
		}
	}
	expectLog(t, dir, `"user.name":"eve@evil.test"`, `"weir.reason":"claim_refused"`, "the id_token has expired", "the id_token does not verify", "is of another login", "does not fit into a cookie")
}

// TestSessionsAreBound: to what was sealed, to host and name, and to the rules; not to the process.
func TestSessionsAreBound(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, dir := loginEdge(t, p, "")
	e.found()
	b := newBrowser(t, ca, address, "HTTP/2.0")
	if resp, body := b.open("https://a.test/"); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, body)
	}
	value := b.cookies("a.test")[sessionCookie]
	other := newBrowser(t, ca, address, "HTTP/2.0")
	ask := func(url, cookie string) (int, string) {
		resp, body := other.do(http.MethodGet, url, "Cookie", cookie)
		return resp.StatusCode, body
	}
	if status, body := ask("https://a.test/", sessionCookie+"="+value); status != http.StatusOK {
		t.Fatalf("the session: %d %s", status, body)
	}
	out := func(name, url, cookie string) {
		t.Helper()
		before := e.hits.Load()
		if status, body := ask(url, cookie); status != http.StatusUnauthorized || !strings.Contains(body, `"reason":"session_invalid"`) || e.hits.Load() != before {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for i := 0; i < len(value); i += 7 {
		letter := "A"
		if value[i] == 'A' {
			letter = "B"
		}
		out(fmt.Sprintf("letter %d altered", i), "https://a.test/", sessionCookie+"="+value[:i]+letter+value[i+1:])
	}
	out("cut", "https://a.test/", sessionCookie+"="+value[:len(value)-8])
	out("with more", "https://a.test/", sessionCookie+"="+value+"AAAA")
	out("very long", "https://a.test/", sessionCookie+"="+strings.Repeat("A", 5000))
	out("at another host", "https://b.test/", sessionCookie+"="+value)
	out("under another name", "https://a.test/two", "__Host-weir-session-two="+value)
	out("two of them, the first bad", "https://a.test/", sessionCookie+"=x; "+sessionCookie+"="+value)
	if status, body := ask("https://a.test/", "weir-session-login="+value); status != http.StatusUnauthorized || !strings.Contains(body, "login_required") {
		t.Errorf("without its prefix: %d %s", status, body)
	}

	// As after a restart: another process with the same secret. Cookies are not of ports (RFC 6265 §8.5).
	secret, err := os.ReadFile(filepath.Join(dir, "state", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	dir, address = tempDir(t), deadPort(t)
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "state", "secret"), secret, 0o600); err != nil {
		t.Fatal(err)
	}
	e = newSecureEdge(t, dir, "", loginText(address, p.URL, ca.server("a.test", "b.test"), ""), tellAll)
	other = newBrowser(t, ca, address, "HTTP/2.0")
	if status, body := ask("https://a.test/", sessionCookie+"="+value); status != http.StatusOK {
		t.Errorf("after a restart: %d %s", status, body)
	}
	e.write(strings.Replace(e.text(dir, "", loginText(address, p.URL, ca.server("a.test", "b.test"), "")), "*@example.com", "bob@example.com", 1))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	out("when the rules have changed", "https://a.test/", sessionCookie+"="+value)
}

// TestOpenRedirects: whatever a page's address looks like to a browser, the way back from the provider stays on the host.
func TestOpenRedirects(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, _ := loginEdge(t, p, "")
	e.found()
	for _, target := range []string{"//evil.test/", "/\\evil.test/", "\\\\evil.test/", "https://evil.test/", "https://a.test//evil.test", "/%2f/evil.test", "/..//evil.test", "/.//evil.test",
		"/a/..//evil.test/", "/%09/evil.test", "/;//evil.test", "/?to=//evil.test"} {
		b := newBrowser(t, ca, address, "HTTP/1.1")
		answers, _ := sayHTTP1(t, dialTLS(t, address, &tls.Config{RootCAs: ca.pool(), ServerName: "a.test"}), "GET "+target+" HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n")
		if answers[0].StatusCode != http.StatusFound {
			if answers[0].StatusCode < 400 {
				t.Errorf("%s: %s", target, answers[0].Status)
			}
			continue // refused, which is as good
		}
		key, _, _ := strings.Cut(answers[0].Header.Get("Set-Cookie"), ";")
		resp, _ := b.get(answers[0].Header.Get("Location"))
		resp, body := b.get(resp.Header.Get("Location"), "Cookie", key)
		to, err := resp.Request.URL.Parse(resp.Header.Get("Location"))
		if err != nil || resp.StatusCode != http.StatusSeeOther || to.Host != "a.test" || !strings.HasPrefix(resp.Header.Get("Location"), "/") ||
			strings.HasPrefix(resp.Header.Get("Location"), "//") || strings.Contains(resp.Header.Get("Location"), `\`) {
			t.Errorf("%s: %s, back to %q %v %s", target, resp.Status, resp.Header.Get("Location"), err, body)
		}
	}
}

// TestProviderAway: the edge starts without it, finds it when it comes, and lets sessions go on when it has gone.
func TestProviderAway(t *testing.T) {
	p := newOpenID(t, false) // its port takes connections, nobody answers
	e, ca, address, _ := loginEdge(t, p, "")
	b := newBrowser(t, ca, address, "HTTP/2.0")
	if resp, body := b.do(http.MethodGet, "https://a.test/"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("no page: %s %s", resp.Status, body)
	}
	if resp, body := b.get("https://a.test/", "Accept", "application/json, text/html"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"auth_unavailable"`) {
		t.Errorf("a page: %s %s", resp.Status, body)
	}
	e.expectMetrics(`weir_auth_last_reload_successful{auth="login"} 0`)
	p.Start()
	e.found()
	p.set(func() { p.noKeys = true })
	if resp, body := b.get(b.toCallback("https://a.test/"), "Accept", "application/json"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"auth_unavailable"`) {
		t.Errorf("when its keys are away: %s %s", resp.Status, body)
	}
	p.set(func() { p.noKeys = false })
	if resp, body := b.open("https://a.test/"); resp.StatusCode != http.StatusOK {
		t.Fatalf("when it is there: %s %s", resp.Status, body)
	}
	other := newBrowser(t, ca, address, "HTTP/2.0")
	back := other.toCallback("https://a.test/")
	p.set(func() { p.away = true })
	if resp, body := b.get("https://a.test/"); resp.StatusCode != http.StatusOK {
		t.Errorf("a session when it has gone: %s %s", resp.Status, body)
	}
	if resp, body := other.get(back, "Accept", "application/json, text/html"); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"reason":"auth_unavailable"`) {
		t.Errorf("a login when it has gone: %s %s", resp.Status, body)
	}
	e.expectMetrics(`weir_auth_last_reload_successful{auth="login"} 0`)
	p.set(func() { p.away = false })
	if resp, body := other.open("https://a.test/"); resp.StatusCode != http.StatusOK {
		t.Errorf("when it is back: %s %s", resp.Status, body)
	}
	e.found()
}

// TestLoginLimits: limits count by a claim of the session, which nobody can write but the provider.
func TestLoginLimits(t *testing.T) {
	p := newOpenID(t, true)
	e, ca, address, dir := loginEdge(t, p, "")
	text := loginText(address, p.URL, ca.server("a.test", "b.test"), "")
	e.write(e.text(dir, "", "[limit.user]\nrate = \"2/h\"\nkey = \"jwt:email\"\n"+strings.Replace(text, "auth = \"login\"\n", "auth = \"login\"\nlimits = [\"user\"]\n", 1)))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	e.found()
	for _, c := range []struct {
		email string
		want  []int
	}{{"ann@example.com", []int{200, 200, 429}}, {"bob@example.com", []int{200}}, {"ann@example.com", []int{429}}} {
		p.set(func() { p.claims = map[string]any{"email": c.email} })
		b := newBrowser(t, ca, address, "HTTP/2.0")
		if resp, body := b.get(b.toCallback("https://a.test/")); resp.StatusCode != http.StatusSeeOther {
			t.Fatal(resp.Status, body)
		}
		for i, want := range c.want {
			if resp, body := b.get("https://a.test/"); resp.StatusCode != want {
				t.Errorf("%s, request %d: %s %s", c.email, i, resp.Status, body)
			}
		}
	}
}

// TestLoginNeedsItsPaths: a route whose callback would reach somebody else is refused, by check and by a start.
func TestLoginNeedsItsPaths(t *testing.T) {
	const login = "[auth.login]\ntype = \"oidc\"\nissuer = \"https://id.example.com\"\nclient_id = \"x\"\nallow = { groups = \"staff\" }\n"
	for name, c := range map[string]struct{ routes, want string }{
		"one prefix":   {"[[route]]\npath = \"/app\"\nservice = \"api\"\nauth = \"login\"\n", "must reach a route with this auth too"},
		"with a route": {"[[route]]\npath = \"/app\"\nservice = \"api\"\nauth = \"login\"\n[[route]]\npath = \"/.weir\"\nservice = \"api\"\nauth = \"login\"\n", ""},
		"of one host": {"[[route]]\npath = \"/app\"\nhost = [\"a.test\", \"*.b.test\"]\nservice = \"api\"\nauth = \"login\"\n" +
			"[[route]]\npath = \"/.weir\"\nhost = [\"a.test\"]\nservice = \"api\"\nauth = \"login\"\n", "at host *.b.test"},
		"taken by another": {"[[route]]\nservice = \"api\"\nauth = \"login\"\n[[route]]\npath = \"=/.weir/oauth/logout\"\nservice = \"api\"\n", "/.weir/oauth/logout"},
	} {
		dir := t.TempDir()
		put(t, dir, "weir.toml", "[[listener]]\naddress = \"127.0.0.1:0\"\n"+login+c.routes+"[service.api.group.blue]\ntargets = [\"127.0.0.1:1\"]\n")
		ok, said := checked(filepath.Join(dir, "weir.toml"))
		if ok != (c.want == "") || !strings.Contains(said, c.want) {
			t.Errorf("%s: %t %s", name, ok, said)
		}
	}
}
