package compare

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// check asks the proxy once before it is measured: the small answer must come through unchanged, or
// there is no figure. Once per proxy it also compares the headers the origin gets: a proxy that adds
// fewer does less work, which the report must say.
func (b *bench) check(ctx context.Context, n peer.Name, t *trial) error {
	body, err := fetch(ctx, t.base()+peer.PathSmall, t.scenario.h2)
	if err != nil {
		return err
	}
	if body != peer.Answer {
		return fmt.Errorf("check answer: got %.120q", body)
	}
	if b.checked[n] || len(t.slow) > 0 {
		return nil
	}
	b.checked[n] = true
	echo, err := fetch(ctx, t.base()+peer.PathEcho, t.scenario.h2)
	if err != nil {
		return err
	}
	for _, name := range []string{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"} {
		if !strings.Contains(echo, name+": ") || strings.Contains(echo, name+": \n") {
			b.result.Notes = append(b.result.Notes, fmt.Sprintf("%s does not send %s to the origin: it does less work than the others", n.Title(), name))
		}
	}
	return nil
}

// fetch gets one page on a connection of its own, over HTTP/2 if so told. The certificate is ours and
// self-signed.
func fetch(ctx context.Context, url string, h2 bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("check answer: %w", err)
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return "", fmt.Errorf("check answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("check answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("check answer: status %d: %.120q", res.StatusCode, body)
	}
	if h2 != (res.ProtoMajor == 2) {
		return "", fmt.Errorf("check answer: it came over %s", res.Proto)
	}
	return string(body), nil
}
