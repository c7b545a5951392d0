package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestProviderByEnvironment: figures come from where the environment says, and readiness does not ask there.
func TestProviderByEnvironment(t *testing.T) {
	var asked atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Query().Get("apikey") != "k1" {
			t.Errorf("asked %s", r.URL)
		}
		_, _ = io.WriteString(w, `{"Weekly Time Series": {"2025-12-26": {"4. close": "10.25"}}}`)
	}))
	defer provider.Close()
	address, stop := serve(t, demo(t, "VALOR_PROVIDER_URL="+provider.URL, "VALOR_PROVIDER_KEY=k1"))
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	get := func(path string) (int, string) {
		t.Helper()
		res, err := (&http.Client{Transport: transport}).Get("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	for range 3 {
		if code, body := get("/api/readiness"); code != http.StatusOK || asked.Load() != 0 {
			t.Errorf("readiness %d %s, provider asked %d times", code, body, asked.Load())
		}
	}
	for range 3 {
		if code, body := get("/api/financial-data/X/historical-prices?interval=weekly"); code != http.StatusOK || !strings.Contains(body, `"close":10.25`) {
			t.Errorf("%d %s", code, body)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"VALOR_PROVIDER_URL=ftp://x", "VALOR_PROVIDER_URL=https://u:p@x", "VALOR_PROVIDER_KEY=alone"} {
		if _, err := load("VALOR_ENV=demo", bad); err == nil || !strings.Contains(err.Error(), "VALOR_PROVIDER_") || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
