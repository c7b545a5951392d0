// Package gostd is the reverse proxy that Go's standard library gives: net/http's server with HTTP/1.1 and HTTP/2 in front of
// httputil.ReverseProxy. It is what weir's own data path has to be worth more than, so it is set up as somebody who knows it would: rewriting instead of
// a director, pooled copy buffers, as many idle upstream connections as requests can be in flight. It is a peer of the bench and nothing else.
package gostd

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"time"
)

// Config is the file that Run reads.
type Config struct {
	Listen    string `json:"listen"`
	Origin    string `json:"origin"` // host:port
	Cert, Key string // PEM files; empty: plain HTTP/1.1
	H2        bool   // HTTP/2 besides HTTP/1.1; needs a certificate
}

// idleConns is above what any scenario has in flight.
const idleConns = 512

// Run serves until ctx ends.
func Run(ctx context.Context, path string, diag io.Writer) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	var c Config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	s := &http.Server{
		Addr: c.Listen, Handler: handler(c), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute,
		ErrorLog: log.New(diag, "", 0), Protocols: new(http.Protocols), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13},
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(c.H2)
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if c.Cert != "" {
		err = s.ListenAndServeTLS(c.Cert, c.Key)
	} else {
		err = s.ListenAndServe()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handler adds the four headers that the other proxies add.
func handler(c Config) http.Handler {
	origin := &url.URL{Scheme: "http", Host: c.Origin}
	return &httputil.ReverseProxy{
		Transport: &http.Transport{
			MaxIdleConns: idleConns, MaxIdleConnsPerHost: idleConns, IdleConnTimeout: 5 * time.Minute, DisableCompression: true,
		},
		BufferPool: &buffers{},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(origin)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			var id [16]byte
			_, _ = rand.Read(id[:]) // never fails, says its documentation
			r.Out.Header.Set("X-Request-ID", hex.EncodeToString(id[:]))
		},
	}
}

// buffers are httputil's copy buffers, of its own default size.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
