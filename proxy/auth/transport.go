package auth

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// transport is for requests to those who say who a client is. Certificates are verified by the CAs in ca, PEM that was checked at load, or by the system's.
func transport(ca []byte) *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second, ForceAttemptHTTP2: true}
	if ca != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		t.TLSClientConfig.RootCAs.AppendCertsFromPEM(ca)
	}
	return t
}
