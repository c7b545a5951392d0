package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	discoveryRefresh = time.Hour
	mostDocument     = 1 << 20 // bytes of an answer of the provider's
)

// provider is an OpenID provider as it describes itself (OpenID Connect Discovery 1.0). While it is away its last description stays.
type provider struct {
	fetcher
	options OIDCOptions
	client  *http.Client
	current atomic.Pointer[described] // nil before the first description; written by the fetcher's goroutine
}

// described never changes, but for the keys that the verifier fetches.
type described struct {
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
}

func findProvider(o OIDCOptions) *provider {
	t := transport(o.CA)
	p := &provider{options: o, client: &http.Client{Timeout: fetchTimeout, Transport: bounded{t}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a secret or a code is for who was asked
	}}}
	p.fetcher = fetcher{fetch: p.discover, refresh: discoveryRefresh, pause: o.Pause, failed: o.Failed}
	p.start()
	return p
}

func (p *provider) discover(ctx context.Context) error {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.options.Issuer)
	if err != nil {
		return fmt.Errorf("discover provider of auth %s: %w", p.options.Name, err)
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return fmt.Errorf("discover provider of auth %s: %w", p.options.Name, err)
	}
	endpoint := found.Endpoint()
	for _, text := range []string{endpoint.AuthURL, endpoint.TokenURL, more.Keys} {
		if err := p.trusts(text); err != nil {
			return fmt.Errorf("discover provider of auth %s: %w", p.options.Name, err)
		}
	}
	endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default (RFC 8414 §2); never by trying: a code is good for one try
	if p.options.ClientSecret == "" || more.Methods != nil && !slices.Contains(more.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	p.current.Store(&described{endpoint, found.VerifierContext(oidc.ClientContext(context.Background(), p.client), &oidc.Config{
		ClientID: p.options.ClientID, Now: func() time.Time { return time.Now().Add(-p.options.Leeway) },
	})})
	return nil
}

var errPlainEndpoint = errors.New("the provider names an endpoint that is not https")

// trusts refuses an endpoint that is reached in the clear where the issuer is not.
func (p *provider) trusts(text string) error {
	u, err := url.Parse(text)
	issuer, err2 := url.Parse(p.options.Issuer)
	if err != nil || err2 != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != issuer.Scheme {
		return errPlainEndpoint
	}
	return nil
}

func (p *provider) close() {
	p.fetcher.close()
	p.client.CloseIdleConnections()
}

// bounded cuts answers that are longer than any honest one: the libraries above it read to the end.
type bounded struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.Transport.RoundTrip(r)
	if err == nil {
		res.Body = cut{io.LimitReader(res.Body, mostDocument), res.Body}
	}
	return res, err
}

type cut struct {
	io.Reader
	io.Closer
}
