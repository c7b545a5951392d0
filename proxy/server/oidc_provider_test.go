package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// openID is an OpenID provider whose user is always logged in.
type openID struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu     sync.Mutex
	claims map[string]any // of the next tokens; nil takes a usual one out
	signer jose.SigningKey
	grants map[string]url.Values // by code: what it was asked for with
	spent  int                   // codes
	away   bool
	noKeys bool
	codes  []string
}

const clientSecret = "s3cr3t+of/the client"

func newOpenID(t *testing.T, start bool) *openID {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &openID{key: key, grants: map[string]url.Values{}, signer: jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "1"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.describe)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/authorize", p.authorize)
	mux.HandleFunc("/token", p.token)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	if start {
		p.Start()
	}
	return p
}

// set changes something between requests.
func (p *openID) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *openID) describe(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"}})
}

func (p *openID) keys(w http.ResponseWriter, _ *http.Request) {
	if p.noKeys {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "1", Use: "sig", Algorithm: "ES256"}}})
}

func (p *openID) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("response_type") != "code" || q.Get("client_id") != "weir" || q.Get("scope") != "openid email profile" || q.Get("code_challenge_method") != "S256" ||
		len(q.Get("code_challenge")) != 43 || q.Get("nonce") == "" || to.Scheme != "https" || !strings.HasSuffix(to.Hostname(), ".test") {
		http.Error(w, "bad request "+r.URL.RawQuery, http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.grants[code] = q
	p.codes = append(p.codes, code)
	to.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

func (p *openID) token(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	secret, _ := url.QueryUnescape(password) // RFC 6749 §2.3.1
	code := r.PostFormValue("code")
	grant, ok := p.grants[code]
	delete(p.grants, code)
	p.spent++
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || user != "weir" || secret != clientSecret || r.PostFormValue("redirect_uri") != grant.Get("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != grant.Get("code_challenge") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	claims := map[string]any{"iss": p.URL, "aud": "weir", "sub": "1234", "email": "ann@example.com", "exp": time.Now().Add(time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": grant.Get("nonce")}
	maps.Copy(claims, p.claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, _ := json.Marshal(claims)
	signer, err := jose.NewSigner(p.signer, nil)
	if err != nil {
		panic(err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	text, _ := object.CompactSerialize()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "an-access-token", "token_type": "Bearer", "expires_in": 60, "id_token": text})
}

// browser keeps cookies and opens pages; hosts in .test are the edge.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar
}

// RoundTrip sends requests for the edge by its own transport.
type toEdge struct{ edge, others http.RoundTripper }

func (r toEdge) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Hostname(), ".test") {
		return r.edge.RoundTrip(req)
	}
	return r.others.RoundTrip(req)
}

func newBrowser(t *testing.T, ca *issuer, address, proto string) *browser {
	t.Helper()
	config := &tls.Config{RootCAs: ca.pool()}
	var edge http.RoundTripper
	if proto == "HTTP/3.0" {
		h3 := &http3.Transport{TLSClientConfig: config, Dial: func(ctx context.Context, _ string, t *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, address, t, q)
		}}
		t.Cleanup(func() { _ = h3.Close() })
		edge = h3
	} else {
		tr := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: proto == "HTTP/2.0", DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}}
		if proto == "HTTP/1.1" {
			tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		t.Cleanup(tr.CloseIdleConnections)
		edge = tr
	}
	others := &http.Transport{}
	t.Cleanup(others.CloseIdleConnections)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, jar: jar, client: &http.Client{Jar: jar, Transport: toEdge{edge, others}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// get is one request without what it redirects to.
func (b *browser) get(url string, lines ...string) (*http.Response, string) {
	b.t.Helper()
	return b.do(http.MethodGet, url, append([]string{"Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Mode", "navigate"}, lines...)...)
}

func (b *browser) do(method, url string, lines ...string) (*http.Response, string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(lines); i += 2 {
		req.Header.Set(lines[i], lines[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp, string(body)
}

// toCallback opens a page and goes as far as the provider's answer, which it returns unasked.
func (b *browser) toCallback(page string) string {
	b.t.Helper()
	resp, body := b.get(page)
	if resp.StatusCode != http.StatusFound {
		b.t.Fatalf("%s: %s %s", page, resp.Status, body)
	}
	resp, body = b.get(resp.Header.Get("Location"))
	if resp.StatusCode != http.StatusFound {
		b.t.Fatalf("the provider: %s %s", resp.Status, body)
	}
	return resp.Header.Get("Location")
}

// open opens a page with all that it redirects to.
func (b *browser) open(page string) (*http.Response, string) {
	b.t.Helper()
	for range 8 {
		resp, body := b.get(page)
		to := resp.Header.Get("Location")
		if to == "" {
			return resp, body
		}
		next, err := resp.Request.URL.Parse(to)
		if err != nil {
			b.t.Fatal(err)
		}
		page = next.String()
	}
	b.t.Fatalf("%s: redirects without an end", page)
	return nil, ""
}

// cookies are the browser's for a host.
func (b *browser) cookies(host string) map[string]string {
	m := map[string]string{}
	for _, c := range b.jar.Cookies(&url.URL{Scheme: "https", Host: host, Path: "/"}) {
		m[c.Name] = c.Value
	}
	return m
}
