package auth_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/auth"
)

// certificateOf is the certificate of a test server, which is its own CA.
func certificateOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// TestKeysOfAPrivateCA: keys come from a server that the CA in the options vouches for, and from no other.
func TestKeysOfAPrivateCA(t *testing.T) {
	i := newIssuer(t, "1")
	asked1 := make(chan struct{}, 100)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(keySet(t, i.jwk())))
		asked1 <- struct{}{}
	}))
	t.Cleanup(s.Close)
	failures := make(chan error, 100)
	o := jwtOptions()
	o.Remote = auth.RemoteOptions{URL: s.URL, CA: certificateOf(s), Refresh: time.Hour, Failed: func(err error) { failures <- err }}
	j := openJWT(t, o)
	select {
	case <-asked1:
	case err := <-failures:
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); j.Authenticate(asked("Bearer "+i.signed(nil))).Denial != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no keys")
		}
	}
	o.Remote.CA = nil
	openJWT(t, o)
	if err := <-failures; !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the CA: %v", err)
	}
}
