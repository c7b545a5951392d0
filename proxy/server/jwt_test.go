package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// identityProvider signs tokens and serves the key to verify them by.
type identityProvider struct {
	*httptest.Server
	key  *ecdsa.PrivateKey
	away atomic.Bool
}

func newIdentityProvider(t *testing.T) *identityProvider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &identityProvider{key: key}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if p.away.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Use: "sig"}}})
	}))
	t.Cleanup(p.Close)
	return p
}

// token is a good one, for an hour, with these claims besides.
func (p *identityProvider) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	all := map[string]any{"iss": p.URL, "aud": "weir", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: p.key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTokensThroughTheEdge: a good token's claims reach the upstream, and nothing else in their fields; limits count by a claim that is verified; the rest is
// refused with its reason.
func TestTokensThroughTheEdge(t *testing.T) {
	p := newIdentityProvider(t)
	r, up, _ := guardedEdge(t, nil, fmt.Sprintf("[limit.tenant]\nrate = \"2/h\"\nkey = \"jwt:tenant\"\n[auth.app]\ntype = \"jwt\"\nissuer = %q\naudience = \"weir\"\njwks_url = %q\n"+
		"require = { groups = \"staff\" }\nclaim_headers = { tenant = \"X-Tenant\" }\n", p.URL, p.URL), "auth = \"app\"\nlimits = [\"tenant\"]\n")
	eventually(t, "the keys", func() bool {
		return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), `weir_auth_last_reload_successful{auth="app"} 1`)
	})
	bearer := func(claims map[string]any) string { return "Authorization: Bearer " + p.token(t, claims) }
	staff := map[string]any{"sub": "ann", "groups": []string{"staff"}, "tenant": "acme"}
	for _, c := range []struct {
		name   string
		lines  []string
		status int
		reason string
	}{
		{"none", nil, 401, "token_missing"},
		{"not a token", []string{"Authorization: Bearer x"}, 401, "token_invalid"},
		{"expired", []string{bearer(map[string]any{"sub": "ann", "exp": 1})}, 401, "token_expired"},
		{"not of the group", []string{bearer(map[string]any{"sub": "ann"})}, 403, "claim_refused"},
		{"good", []string{bearer(staff)}, 200, ""},
		{"forged fields", []string{"X-Tenant: evil", "x_tenant: evil", bearer(staff), "X-Forwarded-User: root"}, 200, ""},
		{"the tenant's third", []string{bearer(staff)}, 429, "rate_limited"},
		{"as another, by a header", []string{bearer(staff), "X-Tenant: other"}, 429, "rate_limited"},
		{"another tenant", []string{bearer(map[string]any{"sub": "bob", "groups": "staff", "tenant": "other"})}, 200, ""},
	} {
		var res *http.Response
		var body string
		head := up.since(t, func() { res, body = askRaw(t, r.address, c.lines...) })
		if res.StatusCode != c.status || c.reason != "" && !strings.Contains(body, `"reason":"`+c.reason+`"`) || (head != nil) != (c.status == 200) {
			t.Errorf("%s: %d %s, upstream asked: %t", c.name, res.StatusCode, body, head != nil)
			continue
		}
		if challenge := res.Header.Get("WWW-Authenticate"); (c.status == 401 || c.status == 403) != strings.HasPrefix(challenge, "Bearer realm=") {
			t.Errorf("%s: challenge %q", c.name, challenge)
		}
		if c.name != "forged fields" {
			continue
		}
		got := map[string][]string{}
		for field, values := range head {
			name := strings.ToLower(strings.ReplaceAll(field, "_", "-"))
			got[name] = append(got[name], values...)
		}
		if !slices.Equal(got["x-tenant"], []string{"acme"}) || !slices.Equal(got["x-forwarded-user"], []string{"ann"}) || got["authorization"] != nil {
			t.Errorf("the upstream saw %v", head)
		}
	}
}

// TestIssuerAwayAtStart: the edge starts, refuses tokens by 503, and a reload that takes the authentication away ends its goroutine.
func TestIssuerAwayAtStart(t *testing.T) {
	p := newIdentityProvider(t)
	p.away.Store(true)
	text := fmt.Sprintf("[auth.app]\ntype = \"jwt\"\nissuer = %q\njwks_url = %q\n", p.URL, p.URL)
	r, up, dir := guardedEdge(t, nil, text, "auth = \"app\"\n")
	in := "Authorization: Bearer " + p.token(t, map[string]any{"sub": "ann"})
	if res, body := askRaw(t, r.address, in); res.StatusCode != 503 || !strings.Contains(body, "keys_unavailable") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(m, `weir_auth_last_reload_successful{auth="app"} 0`) {
		t.Error("the metric is not 0")
	}
	p.away.Store(false)
	eventually(t, "the keys", func() bool {
		res, _ := askRaw(t, r.address, in)
		return res.StatusCode == 200
	})
	if up.last.Get("X-Forwarded-User") != "ann" {
		t.Errorf("the upstream saw %v", up.last)
	}
	blue := newColour(t, "blue")
	defer blue.kill()
	r.write(protectText(dir, blue.address, "", ""))
	r.call(http.StatusOK, "POST", "/v1/reload", "")
	if res, _ := askRaw(t, r.address); res.StatusCode != 200 {
		t.Errorf("without auth: %d", res.StatusCode)
	}
}
