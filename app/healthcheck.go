package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthcheckTimeout is longer than readiness waits for the database and shorter than platforms wait for a health check.
const healthcheckTimeout = 4 * time.Second

// Healthcheck asks the service that runs with the same environment on this machine whether it is ready, and returns its words. It is what a
// container's health check runs: the image has no other program.
func Healthcheck(ctx context.Context, getenv func(string) string) (string, error) {
	address := getenv("VALOR_ADDRESS")
	if address == "" {
		address = defaultAddress
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("VALOR_ADDRESS: %q is not host:port", address)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // dialled at both its addresses: the service may have one family alone
	}
	scheme := "http"
	if getenv("VALOR_TLS_CERT") != "" {
		scheme = "https"
	}
	client := http.Client{
		Timeout: healthcheckTimeout,
		Transport: &http.Transport{
			Proxy: nil, // it is on this machine, whatever HTTP_PROXY says
			// Its certificate is for the name that clients know it by. Who else listens on this port of this machine has taken more than an answer.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		},
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/api/readiness", nil)
	if err != nil {
		return "", fmt.Errorf("ask for readiness: %w", err)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for readiness: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxHead))
	if err != nil {
		return "", fmt.Errorf("read readiness: %w", err)
	}
	said := strings.TrimSpace(string(b))
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("not ready: status %d: %s", res.StatusCode, said)
	}
	return said, nil
}
