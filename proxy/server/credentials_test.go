package server_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// tellAll is an upstream that answers with the fields that it was sent, one a line, names with hyphens.
func tellAll(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Header {
		for _, v := range values {
			_, _ = fmt.Fprintf(w, "%s: %s\n", strings.ReplaceAll(strings.ToLower(name), "_", "-"), v)
		}
	}
}

// told are the values of a field in tellAll's answer.
func told(body, name string) (values []string) {
	for line := range strings.Lines(body) {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			values = append(values, strings.TrimSuffix(v, "\n"))
		}
	}
	return values
}

// TestCredentialsOverEveryProtocol: passwords and tokens, good and forged, over HTTP/1.1, HTTP/2 and HTTP/3: the same answers, and the upstream is told the one name
// that was verified and is not sent what it was verified by.
func TestCredentialsOverEveryProtocol(t *testing.T) {
	p := newIdentityProvider(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("good"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	put(t, dir, "staff", "ann:"+string(hash)+"\n")
	ca, address := newIssuer(t, dir, "ca"), porttest.Reserve(t)
	e := newSecureEdge(t, dir, "", "[[listener]]\nname = \"quic\"\naddress = \""+address+"\"\ntls = true\nprotocols = [\"http/1.1\", \"h2\", \"h3\"]\n"+ca.server("a.test")+
		"[auth.staff]\ntype = \"basic\"\nusers_file = \"staff\"\n[auth.app]\ntype = \"jwt\"\naudience = \"weir\"\ncookie = \"session\"\n"+
		fmt.Sprintf("issuer = %q\njwks_url = %q\n", p.URL, p.URL)+"[auth.open]\ntype = \"jwt\"\naudience = \"weir\"\ncookie = \"session\"\nforward_credentials = true\n"+
		fmt.Sprintf("issuer = %q\njwks_url = %q\n", p.URL, p.URL)+
		"[[route]]\npath = \"/basic\"\nservice = \"api\"\nauth = \"staff\"\n[[route]]\npath = \"/jwt\"\nservice = \"api\"\nauth = \"app\"\n"+
		"[[route]]\npath = \"/open\"\nservice = \"api\"\nauth = \"open\"\n", tellAll)
	e.expectMetrics(`weir_auth_last_reload_successful{auth="app"} 1`, `weir_auth_last_reload_successful{auth="open"} 1`)
	token := p.token(t, map[string]any{"sub": "ann"})
	const basic, wrong = "Basic YW5uOmdvb2Q=", "Basic YW5uOmJhZA=="
	for _, c := range []struct {
		name, path string
		fields     http.Header
		status     int
		reason     string
		cookies    string // that the upstream is sent
	}{
		{"none", "/basic", nil, http.StatusUnauthorized, "credentials_missing", ""},
		{"wrong", "/basic", http.Header{"Authorization": {wrong}}, http.StatusUnauthorized, "credentials_invalid", ""},
		{"twice", "/basic", http.Header{"Authorization": {basic, basic}}, http.StatusUnauthorized, "credentials_invalid", ""},
		{"wrong, then good", "/basic", http.Header{"Authorization": {wrong, basic}}, http.StatusUnauthorized, "credentials_invalid", ""},
		{"another scheme", "/basic", http.Header{"Authorization": {"Bearer YW5uOmdvb2Q="}}, http.StatusUnauthorized, "credentials_invalid", ""},
		{"a name alone", "/basic", http.Header{"X-Forwarded-User": {"ann"}}, http.StatusUnauthorized, "credentials_missing", ""},
		{"good", "/basic", http.Header{"Authorization": {basic}, "Cookie": {"session=x; a=b"}}, http.StatusOK, "", "session=x; a=b"},
		{"forged names", "/basic", http.Header{"Authorization": {basic}, "X-Forwarded-User": {"root"}, "X_forwarded_user": {"root"}, "X-Forwarded_user": {"root"}}, http.StatusOK, "", ""},
		{"no token", "/jwt", nil, http.StatusUnauthorized, "token_missing", ""},
		{"no token in the cookies", "/jwt", http.Header{"Cookie": {"a=b; xsession=" + token}}, http.StatusUnauthorized, "token_missing", ""},
		{"not a token", "/jwt", http.Header{"Authorization": {"Bearer x"}}, http.StatusUnauthorized, "token_invalid", ""},
		{"cut short", "/jwt", http.Header{"Cookie": {"session=" + token[:len(token)-2]}}, http.StatusUnauthorized, "token_invalid", ""},
		{"not of this audience", "/jwt", http.Header{"Authorization": {"Bearer " + p.token(t, map[string]any{"aud": "other"})}}, http.StatusUnauthorized, "token_invalid", ""},
		{"expired", "/jwt", http.Header{"Authorization": {"Bearer " + p.token(t, map[string]any{"exp": 1})}}, http.StatusUnauthorized, "token_expired", ""},
		{"wrong field, good cookie", "/jwt", http.Header{"Authorization": {basic}, "Cookie": {"session=" + token}}, http.StatusUnauthorized, "token_invalid", ""},
		{"good field", "/jwt", http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"a=b"}}, http.StatusOK, "", "a=b"},
		{"good cookie", "/jwt", http.Header{"Cookie": {"session=" + token}, "X-Forwarded-User": {"root"}}, http.StatusOK, "", ""},
		{"good cookie among others", "/jwt", http.Header{"Cookie": {"a=b; session=" + token + "; c=d"}}, http.StatusOK, "", "a=b; c=d"},
		{"its second not read, not sent either", "/jwt", http.Header{"Cookie": {"session=" + token + ";session=x;; c=d;session =y"}}, http.StatusOK, "", "c=d"},
		{"in fields of their own", "/jwt", http.Header{"Cookie": {"a=b", "session=" + token, "c=d"}}, http.StatusOK, "", "a=b; c=d"},
		{"forwarded as asked", "/open", http.Header{"Authorization": {"Bearer " + token}, "Cookie": {"session=" + token}}, http.StatusOK, "", "session=" + token},
	} {
		for proto, client := range speakers(t, ca, "a.test") {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host, req.Header = "a.test", http.Header{}
			maps.Copy(req.Header, c.fields)
			before := e.hits.Load()
			resp, err := client.RoundTrip(req)
			if err != nil {
				t.Fatal(proto, c.name, err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.Proto != proto || resp.StatusCode != c.status || c.reason != "" && !strings.Contains(string(body), `"reason":"`+c.reason+`"`) {
				t.Errorf("%s, %s: %s %d %s %v", proto, c.name, resp.Proto, resp.StatusCode, body, err)
				continue
			}
			if asked := e.hits.Load() > before; asked != (c.status == http.StatusOK) {
				t.Errorf("%s, %s: the upstream was asked: %t", proto, c.name, asked)
			}
			if c.status != http.StatusOK {
				if resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s, %s: no challenge", proto, c.name)
				}
				continue
			}
			// The parts of a Cookie field may come in fields of their own (RFC 9113 §8.2.3): their order among each other is kept within one.
			cookies := strings.Split(strings.Join(told(string(body), "cookie"), "; "), "; ")
			want := strings.Split(c.cookies, "; ")
			slices.Sort(cookies)
			slices.Sort(want)
			if !slices.Equal(told(string(body), "x-forwarded-user"), []string{"ann"}) || !slices.Equal(cookies, want) || (told(string(body), "authorization") != nil) != (c.path == "/open") {
				t.Errorf("%s, %s: the upstream was sent\n%s", proto, c.name, body)
			}
		}
	}
}
