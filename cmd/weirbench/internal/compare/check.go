package compare

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/gen"
	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// check asks the proxy once before it is measured: the small answer must come through unchanged, or
// there is no figure. Once per proxy it also compares the headers the origin gets: a proxy that adds
// fewer does less work, which the report must say.
func (b *bench) check(ctx context.Context, n peer.Name, t *trial) error {
	body, err := fetch(ctx, t.base()+peer.PathSmall, t.scenario.major())
	if err != nil {
		return err
	}
	if body != peer.Answer {
		return fmt.Errorf("check answer: got %.120q", body)
	}
	if b.checked[n] || len(t.slow) > 0 || t.scenario.web {
		return nil
	}
	b.checked[n] = true
	echo, err := fetch(ctx, t.base()+peer.PathEcho, t.scenario.major())
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

// major is the version of HTTP that clients speak.
func (s *scenario) major() int {
	switch {
	case s.h3:
		return 3
	case s.h2:
		return 2
	}
	return 1
}

// fetch gets one page on a connection of its own, over the given version of HTTP. The certificate is ours
// and self-signed.
func fetch(ctx context.Context, url string, major int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tcp := &http.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: major == 2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tcp.CloseIdleConnections()
	var transport http.RoundTripper = tcp
	if major == 3 {
		quic := gen.NewH3Transport()
		defer quic.Close()
		transport = quic
	}
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
	if res.ProtoMajor != major {
		return "", fmt.Errorf("check answer: it came over %s", res.Proto)
	}
	return string(body), nil
}
