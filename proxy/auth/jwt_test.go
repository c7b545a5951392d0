package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/valor-ivx/weir/proxy/auth"
	"github.com/valor-ivx/weir/proxy/message"
)

// issuer signs tokens.
type issuer struct {
	t   testing.TB
	key crypto.Signer
	alg jose.SignatureAlgorithm
	kid string
}

func newIssuer(t testing.TB, kid string) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{t, key, jose.ES256, kid}
}

// jwk is the public key as a set has it.
func (i *issuer) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: i.key.Public(), KeyID: i.kid, Use: "sig", Algorithm: string(i.alg)}
}

func keySet(t testing.TB, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// signed is a token with the usual claims and these; nil takes one out.
func (i *issuer) signed(claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{"iss": "https://id.example", "aud": "weir", "sub": "ann", "exp": 1_000_600, "nbf": 999_000}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return i.over(all)
}

func (i *issuer) over(claims any) string {
	i.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatal(err)
	}
	o := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: i.alg, Key: jose.JSONWebKey{Key: i.key, KeyID: i.kid}}, o)
	if err != nil {
		i.t.Fatal(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		i.t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

// handmade is a token with any head, signed by sign or with any signature.
func handmade(head, payload string, sign func(input string) []byte) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func jwtOptions() auth.JWTOptions {
	return auth.JWTOptions{
		Name: "app", Realm: "app", Issuer: "https://id.example", Audience: []string{"weir", "other"}, Algorithms: []string{"RS256", "ES256", "EdDSA"},
		Leeway: 30 * time.Second, UserClaim: "sub",
	}
}

func openJWT(t testing.TB, o auth.JWTOptions) *auth.JWT {
	t.Helper()
	j, err := auth.OpenJWT(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

// TestForgedTokens: whatever is not a token of the issuer, for us, now, is refused, with the reason that it has.
func TestForgedTokens(t *testing.T) {
	good := newIssuer(t, "k1")
	other := newIssuer(t, "k1") // its name for the key, another key
	o := jwtOptions()
	o.KeysFile = written(t, keySet(t, good.jwk()))
	j := openJWT(t, o)
	public, err := x509.MarshalPKIXPublicKey(good.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	claims := `{"iss":"https://id.example","aud":"weir","sub":"ann","exp":1000600}`
	hmac := func(key []byte) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		object, err := signer.Sign([]byte(claims))
		if err != nil {
			t.Fatal(err)
		}
		token, err := object.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	whole := good.signed(nil)
	parts := strings.Split(whole, ".")
	embedded, err := json.Marshal(other.jwk())
	if err != nil {
		t.Fatal(err)
	}
	otherParts := strings.Split(other.over(map[string]any{"iss": "https://id.example"}), ".")
	for name, c := range map[string]struct {
		token string
		why   auth.Why
	}{
		"not a token":              {"abc", auth.TokenInvalid},
		"five parts":               {whole + ".a.b", auth.TokenInvalid},
		"alg none":                 {handmade(`{"alg":"none"}`, claims, func(string) []byte { return nil }), auth.TokenInvalid},
		"alg None":                 {handmade(`{"alg":"None","kid":"k1"}`, claims, func(string) []byte { return []byte("x") }), auth.TokenInvalid},
		"no signature":             {parts[0] + "." + parts[1] + ".", auth.TokenInvalid},
		"hmac by the public key":   {hmac(public), auth.TokenInvalid},
		"hmac by its PEM":          {hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), auth.TokenInvalid},
		"another key":              {other.signed(nil), auth.TokenInvalid},
		"another's kid":            {newIssuer(t, "../../k1").signed(nil), auth.TokenInvalid},
		"key in the head":          {handmade(`{"alg":"ES256","jwk":`+string(embedded)+`}`, claims, func(string) []byte { return []byte(otherParts[2]) }), auth.TokenInvalid},
		"unknown critical field":   {handmade(`{"alg":"ES256","kid":"k1","crit":["x"],"x":1}`, claims, func(string) []byte { return []byte("x") }), auth.TokenInvalid},
		"altered payload":          {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + parts[2], auth.TokenInvalid},
		"altered head":             {base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." + parts[1] + "." + parts[2], auth.TokenInvalid},
		"another issuer":           {good.signed(map[string]any{"iss": "https://id.example/"}), auth.TokenInvalid},
		"no issuer":                {good.signed(map[string]any{"iss": nil}), auth.TokenInvalid},
		"list of issuers":          {good.signed(map[string]any{"iss": []string{"https://id.example"}}), auth.TokenInvalid},
		"for another":              {good.signed(map[string]any{"aud": "shop"}), auth.TokenInvalid},
		"for nobody":               {good.signed(map[string]any{"aud": nil}), auth.TokenInvalid},
		"no end":                   {good.signed(map[string]any{"exp": nil}), auth.TokenInvalid},
		"end is text":              {good.signed(map[string]any{"exp": "1000600"}), auth.TokenInvalid},
		"endless":                  {good.signed(map[string]any{"exp": 1e300}), auth.TokenInvalid},
		"expired":                  {good.signed(map[string]any{"exp": 999_969}), auth.TokenExpired},
		"not yet":                  {good.signed(map[string]any{"nbf": 1_000_031}), auth.TokenExpired},
		"line break in the name":   {good.signed(map[string]any{"sub": "ann\r\nX-Role: root"}), auth.TokenInvalid},
		"NUL in the name":          {good.signed(map[string]any{"sub": "ann\x00"}), auth.TokenInvalid},
		"payload is a list":        {good.over([]int{1}), auth.TokenInvalid},
		"larger than is looked at": {good.signed(map[string]any{"x": strings.Repeat("x", 9000)}), auth.TokenInvalid},
	} {
		for range 2 {
			v := j.Authenticate(asked("Bearer " + c.token))
			if v.Denial == nil || v.Denial.Why != c.why || v.Denial.Status != 401 || v.Fields != nil || !strings.Contains(v.Denial.Challenge, `error="invalid_token"`) {
				t.Errorf("%s: %+v %+v", name, v, v.Denial)
			}
		}
	}
	for name, fields := range map[string][]string{"none": nil, "two": {"Bearer " + whole, "Bearer " + whole}, "basic": {"Basic " + whole}} {
		want := auth.TokenInvalid
		if fields == nil {
			want = auth.TokenMissing
		}
		if v := j.Authenticate(asked(fields...)); v.Denial == nil || v.Denial.Why != want {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for name, token := range map[string]string{
		"good": whole, "just expired": good.signed(map[string]any{"exp": 999_971}), "nearly": good.signed(map[string]any{"nbf": 1_000_029}),
		"for several": good.signed(map[string]any{"aud": []string{"shop", "other"}}),
	} {
		for range 2 {
			if v := j.Authenticate(asked("bearer " + token)); v.Denial != nil || string(v.User) != "ann" || string(v.Fields) != "X-Forwarded-User: ann\r\n" {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

// TestTokenEndsWhileRemembered: what is remembered is good as long as the token, and no longer than its key.
func TestTokenEndsWhileRemembered(t *testing.T) {
	one, two := newIssuer(t, "1"), newIssuer(t, "2")
	o := jwtOptions()
	o.KeysFile = written(t, keySet(t, one.jwk()))
	j := openJWT(t, o)
	in := asked("Bearer " + one.signed(nil))
	if v := j.Authenticate(in); v.Denial != nil {
		t.Fatal("a good token is refused")
	}
	in.Now = time.Unix(1_000_630, 0)
	if v := j.Authenticate(in); v.Denial == nil || v.Denial.Why != auth.TokenExpired {
		t.Errorf("at its end: %+v", v)
	}
	in.Now = time.Unix(1_000_000, 0)
	if err := os.WriteFile(o.KeysFile, []byte(keySet(t, two.jwk())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := j.Reload(); err != nil {
		t.Fatal(err)
	}
	if v := j.Authenticate(in); v.Denial == nil {
		t.Error("the token of a key that was withdrawn is good")
	}
	if v := j.Authenticate(asked("Bearer " + two.signed(nil))); v.Denial != nil {
		t.Error("the token of the new key is refused")
	}
	for text, want := range map[string]string{
		"{}": "no public key", "x": "not a JWK set", `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`: "no public key",
		"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n": "a PEM block of type",
	} {
		if err := os.WriteFile(o.KeysFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := j.Reload(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
		if v := j.Authenticate(asked("Bearer " + two.signed(nil))); v.Denial != nil {
			t.Errorf("%s: the keys before are gone", text)
		}
	}
}

// TestClaims: what is required, what the upstream is told, and what limits count by.
func TestClaims(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t, rsaKey, jose.RS256, ""}
	der, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	o := jwtOptions()
	o.KeysFile = written(t, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	o.Require = map[string]string{"groups": "staff", "scope": "read"}
	o.Headers = map[string]string{"email": "X-Email", "groups": "X-Groups", "level": "X-Level"}
	o.Keep = []string{"tenant", "level"}
	o.Cookie = "token"
	j := openJWT(t, o)
	full := map[string]any{"groups": []string{"all", "staff"}, "scope": "write read", "email": "ann@example.com", "level": 3, "tenant": "acme", "object": map[string]int{"a": 1}}
	h := &message.Header{}
	h.Add("Cookie", "a=b; token="+i.signed(full)+"; token=x")
	v := j.Authenticate(&auth.Request{Header: h, Now: time.Unix(1_000_000, 0)})
	if want := "X-Forwarded-User: ann\r\nX-Email: ann@example.com\r\nX-Groups: all,staff\r\nX-Level: 3\r\n"; v.Denial != nil || string(v.Fields) != want {
		t.Errorf("%+v %s", v.Denial, v.Fields)
	}
	if string(v.Claim("tenant")) != "acme" || string(v.Claim("level")) != "3" || v.Claim("email") != nil {
		t.Errorf("claims %q", v.Claims)
	}
	for name, change := range map[string]map[string]any{
		"not in the group": {"groups": []string{"all"}}, "group within a group": {"groups": []any{[]string{"staff"}}}, "no groups": {"groups": nil}, "scope": {"scope": "readwrite"},
	} {
		claims := maps.Clone(full)
		maps.Copy(claims, change)
		v := j.Authenticate(asked("Bearer " + i.signed(claims)))
		if v.Denial == nil || v.Denial.Status != 403 || v.Denial.Why != auth.ClaimRefused || string(v.User) != "ann" || !strings.Contains(v.Denial.Challenge, "insufficient_scope") {
			t.Errorf("%s: %+v", name, v)
		}
	}
	for _, name := range []string{"X-Email", "x_email", "X-Forwarded-User", "X_LEVEL"} {
		if !j.Owns([]byte(name)) {
			t.Errorf("clients can say %s", name)
		}
	}
	if j.Owns([]byte("X-Mail")) {
		t.Error("X-Mail is taken out")
	}
}

// keyServer serves a key set that can change or break, and counts.
type keyServer struct {
	text    atomic.Pointer[string] // nil: 500
	fetched atomic.Int64
}

func serveKeys(t *testing.T, text string) (*keyServer, string) {
	s := &keyServer{}
	s.text.Store(&text)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetched.Add(1)
		if text := s.text.Load(); text != nil {
			_, _ = w.Write([]byte(*text))
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	return s, server.URL
}

// TestKeysAreFetched: a new key is found when its first token comes; made-up keys cause one fetch in a pause; an issuer that is away keeps its keys.
func TestKeysAreFetched(t *testing.T) {
	one, two := newIssuer(t, "1"), newIssuer(t, "2")
	s, url := serveKeys(t, keySet(t, one.jwk()))
	o := jwtOptions()
	o.Remote = auth.RemoteOptions{URL: url, Refresh: time.Hour, Failed: func(error) {}}
	j := openJWT(t, o)
	in := asked("Bearer " + one.signed(nil))
	for deadline := time.Now().Add(60 * time.Second); j.Authenticate(in).Denial != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no keys")
		}
	}
	text := keySet(t, one.jwk(), two.jwk())
	s.text.Store(&text)
	if v := j.Authenticate(asked("Bearer " + two.signed(nil))); v.Denial != nil {
		t.Errorf("the first token of a new key: %+v", v.Denial)
	}
	before := s.fetched.Load()
	if v := j.Authenticate(asked("Bearer " + newIssuer(t, "1").signed(nil))); v.Denial == nil || s.fetched.Load() != before {
		t.Errorf("a forged token of a known key caused a fetch: %+v", v.Denial)
	}
	s.text.Store(nil)
	if v := j.Authenticate(asked("Bearer " + newIssuer(t, "3").signed(nil))); v.Denial == nil || v.Denial.Why != auth.TokenInvalid || j.Good() {
		t.Errorf("a made-up key while the issuer is away: %+v, good %t", v.Denial, j.Good())
	}
	for _, i := range []*issuer{one, two} {
		if v := j.Authenticate(asked("Bearer " + i.signed(map[string]any{"sub": "eve"}))); v.Denial != nil {
			t.Error("the keys are gone with the issuer")
		}
	}
}

func TestMadeUpKeysFetchOnce(t *testing.T) {
	one := newIssuer(t, "1")
	s, url := serveKeys(t, keySet(t, one.jwk()))
	o := jwtOptions()
	o.Remote = auth.RemoteOptions{URL: url, Refresh: time.Hour, Pause: time.Hour, Failed: func(error) {}}
	j := openJWT(t, o)
	for deadline := time.Now().Add(60 * time.Second); j.Authenticate(asked("Bearer "+one.signed(nil))).Denial != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no keys")
		}
	}
	for n := range 50 {
		if v := j.Authenticate(asked("Bearer " + newIssuer(t, fmt.Sprint("x", n)).signed(nil))); v.Denial == nil {
			t.Fatal("a made-up key is good")
		}
	}
	if n := s.fetched.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// TestNoKeysYet: without keys nobody comes in, and nobody is told that the token is bad.
func TestNoKeysYet(t *testing.T) {
	s, url := serveKeys(t, "")
	s.text.Store(nil)
	o := jwtOptions()
	o.Remote = auth.RemoteOptions{URL: url, Refresh: time.Hour, Pause: time.Hour, Failed: func(error) {}}
	j := openJWT(t, o)
	if v := j.Authenticate(asked("Bearer " + newIssuer(t, "1").signed(nil))); v.Denial == nil || v.Denial.Status != 503 || v.Denial.Why != auth.KeysAway || j.Good() {
		t.Errorf("%+v", v.Denial)
	}
}

func TestKnownTokenAllocatesNothing(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t, key, jose.EdDSA, "e"}
	o := jwtOptions()
	o.KeysFile = written(t, keySet(t, i.jwk()))
	j := openJWT(t, o)
	in := asked("Bearer " + i.signed(nil))
	if v := j.Authenticate(in); v.Denial != nil {
		t.Fatalf("refused: %+v", v.Denial)
	}
	if n := testing.AllocsPerRun(1000, func() { j.Authenticate(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzToken: no change of a good token is good.
func FuzzToken(f *testing.F) {
	i := newIssuer(f, "1")
	o := jwtOptions()
	o.KeysFile = written(f, keySet(f, i.jwk()))
	j := openJWT(f, o)
	good := i.signed(nil)
	f.Add(good)
	f.Add(good[:len(good)-2])
	f.Add(handmade(`{"alg":"none"}`, `{}`, func(string) []byte { return nil }))
	f.Fuzz(func(t *testing.T, token string) {
		v := j.Authenticate(asked("Bearer " + token))
		// Of the signature, the same one has several spellings.
		if v.Denial == nil && !strings.HasPrefix(strings.TrimLeft(token, " "), good[:strings.LastIndexByte(good, '.')]) {
			t.Errorf("%q is good", token)
		}
	})
}
