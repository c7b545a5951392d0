package upstream

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Visit is a request that no client made: it shows a target what it will be asked for.
type Visit struct {
	Host, Path string // Path is absolute, percent-encoded
	Secure     bool   // the clients speak TLS
	Agent      string // User-Agent
}

// mostVisited is how much of an answer is read: what is warm by then is warm.
const mostVisited = 1 << 20

// Visit asks the peer for a page and gives the status, on a connection of its own made like those of requests. It is no request of anybody's: neither load nor ejection hear
// of it.
func (p *Peer) Visit(ctx context.Context, v Visit) (status int, err error) {
	scheme := "http://"
	if p.link.secure != nil {
		scheme = "https://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+p.address+v.Path, nil)
	if err != nil {
		return 0, fmt.Errorf("make visit to %s: %w", p.address, err)
	}
	request.Host = v.Host
	request.Header.Set("User-Agent", v.Agent)
	if v.Secure {
		request.Header.Set("X-Forwarded-Proto", "https")
	} else {
		request.Header.Set("X-Forwarded-Proto", "http")
	}
	request.Header.Set("X-Forwarded-Host", v.Host)
	response, err := p.link.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("visit %s: %w", p.address, rootCause(err))
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, mostVisited)); err != nil {
		return 0, fmt.Errorf("visit %s: read body: %w", p.address, err)
	}
	return response.StatusCode, nil
}
