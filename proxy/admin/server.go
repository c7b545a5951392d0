package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// defaultTimeout bounds a write. A reload waits one probe timeout per new target, which the contract's
	// defaults keep at 1 s, and may read certificates from a slow disk.
	defaultTimeout = time.Minute
	// maxBody bounds a request body: the largest honest one, an explain with a browser's headers, is 16 KiB.
	maxBody = 64 << 10
)

// Options are what a Server is made of.
type Options struct {
	// Control is the server that is operated. Required.
	Control Control
	// Log receives internal errors. Required.
	Log *zap.Logger
	// Audit receives a line for each write, done or refused; without it Log does, as its child "audit".
	Audit *zap.Logger
	// Metrics serves GET /metrics; without it the path is 404.
	Metrics http.Handler
	// Token is the bearer token every call needs except /livez, /readyz and the page's static files. Without
	// one, Serve refuses listeners that others than this machine can reach.
	Token string
	// Hosts are further Host names that a loopback listener answers to, beside IP addresses and localhost.
	Hosts []string
	// Timeout bounds a write; a minute when zero.
	Timeout time.Duration
}

// Server is the admin API on one or more listeners. Its goroutines are those of net/http, one for each
// connection, and one while events are watched; Shutdown or Close ends them.
type Server struct {
	http    *http.Server
	gate    *gate
	hub     *hub
	streams *streams

	mu sync.Mutex // orders Serve and SetToken; guards public
	// public says that a listener that others can reach was served. It never becomes false again: whoever
	// moves the admin API back to loopback makes a new Server.
	public bool
}

// New checks the options and builds a Server that serves nothing yet.
func New(o Options) (*Server, error) {
	if o.Control == nil || o.Log == nil {
		return nil, errors.New("make admin server: Control and Log are required")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.Audit == nil {
		o.Audit = o.Log.Named("audit")
	}
	g := newGate(o.Hosts)
	g.setToken(o.Token)
	api := &api{control: o.Control, log: o.Log, audit: o.Audit, timeout: o.Timeout, gate: g, hub: newHub(o.Control), streams: newStreams()}
	s := &Server{gate: g, hub: api.hub, streams: api.streams}
	s.http = &http.Server{
		Handler: g.wrap(api.routes(o.Metrics)),
		// A person's curl and a scraper send their head at once, and the body of 64 KiB follows it; but the machine that they run on may stand still for some seconds after they have connected, and this one too.
		ReadTimeout:    15 * time.Second,
		WriteTimeout:   o.Timeout + 15*time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ConnContext:    withPeer,
	}
	s.http.RegisterOnShutdown(s.streams.close)
	s.http.RegisterOnShutdown(s.hub.close) // streams end at once: Shutdown waits for what is in flight
	errorLog, err := zap.NewStdLogAt(o.Log, zap.WarnLevel)
	if err != nil {
		return nil, fmt.Errorf("make admin error log: %w", err)
	}
	s.http.ErrorLog = errorLog
	return s, nil
}

// SetToken replaces the bearer token, for a reload that changed it; calls already let in go on, but for streams of
// events, which would never end: their watchers have to come again. Taking the token away is an error, and changes nothing, while a listener that others can reach is served.
func (s *Server) SetToken(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if token == "" && s.public {
		return errors.New("set admin token: one is required unless the address is loopback or a unix socket")
	}
	if s.gate.setToken(token) {
		s.hub.dismiss()
		s.streams.dismiss()
	}
	return nil
}

// Serve answers on l until Shutdown or Close, then returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	if err := s.admit(l.Addr()); err != nil {
		_ = l.Close()
		return err
	}
	if err := s.http.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve admin on %s: %w", l.Addr(), err)
	}
	return nil
}

// admit refuses an address others can reach while there is no token, and remembers that there is one.
func (s *Server) admit(a net.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if isPrivate(a) {
		return nil
	}
	if !s.gate.hasToken() {
		return fmt.Errorf("serve admin on %s: a token is required unless the address is loopback or a unix socket", a)
	}
	s.public = true
	return nil
}

// Shutdown stops accepting and waits for calls in flight, until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Close ends everything at once.
func (s *Server) Close() error {
	s.hub.close()
	s.streams.close()
	return s.http.Close()
}

func isPrivate(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return false
	}
}
