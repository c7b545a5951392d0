package app

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/app/market"
	"github.com/valor-ivx/weir/app/metrics"
)

// loadProvider reads where figures of companies come from; no URL means those that are shipped.
func (c *Config) loadProvider(url, key string) error {
	if url == "" {
		if key != "" {
			return errors.New("VALOR_PROVIDER_KEY: set VALOR_PROVIDER_URL, whose key it is")
		}
		return nil
	}
	if _, err := market.NewRemote(url, key, nil); err != nil {
		return errors.New("VALOR_PROVIDER_URL: the value is not http://HOST[/PATH] or https://HOST[/PATH]")
	}
	c.ProviderURL, c.ProviderKey = url, Secret(key)
	return nil
}

// figures is the service of figures. The caller closes it.
func figures(c Config, m *metrics.Metrics, log *zap.Logger) (*market.Service, error) {
	var provider market.Provider
	var err error
	if c.ProviderURL == "" {
		provider, err = market.NewFixtures()
	} else {
		provider, err = market.NewRemote(c.ProviderURL, string(c.ProviderKey), &http.Client{
			// A redirect would take the key to wherever it leads.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 4, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
				TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true},
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open provider: %w", err)
	}
	return market.New(market.Options{Provider: provider, Metrics: m.Market, Log: log, Now: time.Now})
}
