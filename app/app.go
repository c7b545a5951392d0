// Package app is the bundled API service, Valor IVX: configuration from the environment, a
// database, an HTTP server, and a shutdown that finishes what it began.
//
// It is what the edge is shown in front of, and it does not know the edge: it imports nothing else
// of this module.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/auth"
	"github.com/valor-ivx/weir/app/collab"
	"github.com/valor-ivx/weir/app/market"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

// ErrDrain says that requests were still running when the drain deadline passed, and were cut.
var ErrDrain = errors.New("drain deadline passed")

const (
	// drainTimeout is below the 30 s after which container platforms kill.
	drainTimeout = 10 * time.Second
	// goodbyeTimeout is for clients of collaboration to answer that they have heard; those that are gone do not.
	goodbyeTimeout = 3 * time.Second
	// idleTimeout exceeds the 60 s for which the edge keeps an idle upstream connection: the side
	// that sends requests must be the one to close, or a request meets a closing connection.
	idleTimeout = 90 * time.Second
	// headTimeout and readTimeout bound slow senders; writeTimeout bounds slow readers. The largest
	// answer, a page of a hundred runs, is about 7 MB.
	headTimeout  = 10 * time.Second
	readTimeout  = 30 * time.Second
	writeTimeout = 60 * time.Second
	maxHead      = 64 << 10
)

// Service is a resource: it owns a listener and a store. Serve runs it and releases both.
type Service struct {
	listener net.Listener
	server   *http.Server
	secure   bool
	keepers  keepers
	collab   *collab.Hub
	market   *market.Service
	log      *zap.Logger
	delay    time.Duration
	stopping atomic.Bool // set once, by Serve; every request reads it
}

// Open does everything that can fail: the database with its migrations, the certificate, the
// listener, which is last because from then on clients can connect.
func Open(ctx context.Context, c Config, build string, log *zap.Logger) (_ *Service, err error) {
	certificate, err := loadCertificate(c, log)
	if err != nil {
		return nil, fmt.Errorf("open service: %w", err)
	}
	tokens, err := auth.NewTokens(string(c.Secret))
	if err != nil {
		return nil, fmt.Errorf("open service: %w", err)
	}
	kept, err := openKeepers(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open service: %w", err)
	}
	errorLog, err := zap.NewStdLogAt(log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("open service: %w", errors.Join(err, kept.Close()))
	}
	parts, err := assemble(c, build, tokens, kept, log)
	if err != nil {
		return nil, fmt.Errorf("open service: %w", errors.Join(err, kept.Close()))
	}
	s := &Service{
		secure: certificate != nil, keepers: kept, log: log, collab: parts.Collab, market: parts.Market, delay: c.DrainDelay,
		server: &http.Server{
			TLSConfig: certificate, ErrorLog: errorLog,
			ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHead,
		},
	}
	parts.Stopping = s.stopping.Load
	s.server.Handler = api.New(parts)
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", c.Address); err != nil {
		return nil, fmt.Errorf("open service: %w", errors.Join(err, s.release()))
	}
	for _, w := range c.Warnings {
		log.Warn(w)
	}
	return s, nil
}

// release closes what the service owns but its listener, waiting for nobody outside. What has been closed stays so.
func (s *Service) release() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s.collab.Close(ended)
	s.market.Close()
	return s.keepers.Close()
}

// Addr is where the service listens, which differs from the configuration for port 0.
func (s *Service) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until ctx ends and for the configured delay after that, in which it says that it is not ready, then lets running requests finish for drainTimeout and closes the
// store. Its goroutines end before it does. It returns ErrDrain when requests had to be cut.
func (s *Service) Serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.accept() }()
	s.log.Info("listening", zap.Stringer("address", s.Addr()), zap.Bool("tls", s.secure))
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", errors.Join(err, s.release()))
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	s.log.Info("not ready any more", zap.Duration("for", s.delay))
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", errors.Join(err, s.release()))
	case <-time.After(s.delay):
	}
	s.log.Info("draining", zap.Duration("deadline", drainTimeout))
	// Not derived from ctx, which has just ended.
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	// At once with the requests: the server does not know connections that it has handed over.
	parted := make(chan struct{})
	go func() {
		defer close(parted)
		goodbye, cancel := context.WithTimeout(drain, goodbyeTimeout)
		defer cancel()
		s.collab.Close(goodbye)
	}()
	err := s.server.Shutdown(drain)
	<-parted
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(ErrDrain, s.server.Close())
	}
	<-served
	if err := errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	s.log.Info("stopped")
	return nil
}

func (s *Service) accept() error {
	if s.secure { // not read off the server, whose TLS configuration serving changes
		return s.server.ServeTLS(s.listener, "", "")
	}
	return s.server.Serve(s.listener)
}

// assemble makes the parts of the handler. Its Collab and Market are the caller's to close.
func assemble(c Config, build string, tokens *auth.Tokens, kept keepers, log *zap.Logger) (api.Options, error) {
	o := api.Options{
		Build: build, Color: c.Color, Demo: c.Demo, Tokens: tokens, Store: kept.db, Cache: kept.cache(c), Log: log, Now: time.Now,
		Fault: api.Fault{Errors: c.FaultErrors, Latency: c.FaultLatency, Random: rand.Float64},
		Metrics: metrics.New(metrics.Options{Version: build, Color: c.Color, Pools: kept.pools, Cache: kept.stats,
			Sessions: func() float64 { return sessions(kept.db) }}),
	}
	var err error
	if o.Market, err = figures(c, o.Metrics, log); err != nil {
		return api.Options{}, err
	}
	o.Collab = collab.New(collab.Options{Store: kept.db.Documents(), Metrics: o.Metrics.Sockets, Log: log, Now: o.Now, Limits: collab.Defaults()})
	return o, nil
}

// sessions counts logins for a scrape, which must not wait for a database that does not answer.
func sessions(db *store.Store) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := db.Sessions(ctx, time.Now())
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// NewLogger writes one JSON object a line. color is on every line, so that the interleaved output
// of two instances can be told apart.
func NewLogger(w io.Writer, color string) *zap.Logger {
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeTime = "time", zapcore.RFC3339NanoTimeEncoder
	enc.EncodeDuration = zapcore.SecondsDurationEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(w)), zap.InfoLevel)
	log := zap.New(core)
	if color != "" {
		log = log.With(zap.String("color", color))
	}
	return log
}
