package gostd_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gostd"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// It does the others' job: HTTP/2 in, the same four headers out, and it ends when it is told to.
func TestDoesTheSameJob(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id"} {
			_, _ = io.WriteString(w, name+"="+r.Header.Get(name)+"\n")
		}
	}))
	defer origin.Close()
	dir := t.TempDir()
	cert, err := peer.NewCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	listen, err := peer.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(gostd.Config{
		Listen: listen.String(), Origin: strings.TrimPrefix(origin.URL, "http://"), Cert: cert.Cert, Key: cert.Key, H2: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "gostd.json")
	if err := os.WriteFile(path, config, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- gostd.Run(ctx, path, t.Output()) }()
	for {
		conn, err := net.Dial("tcp", listen.String())
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("it never listened")
		default:
		}
	}
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	res, err := client.Get("https://" + listen.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.ProtoMajor != 2 || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s, %v", res.Proto, res.Status, err)
	}
	for _, want := range []string{"X-Forwarded-For=127.0.0.1\n", "X-Forwarded-Proto=https\n", "X-Forwarded-Host=" + listen.String() + "\n"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the origin did not get %q of:\n%s", want, body)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}
