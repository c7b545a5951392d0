package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/route"
)

// maxLine is longer than any line of weir's: a head of 32 KiB, its target three times, each byte as six.
const maxLine = 1 << 20

// pastRequest is a request of the log that limits are to be asked about.
type pastRequest struct {
	began, ended int64 // Unix ns
	client       netip.Addr
	route        int
	id           string
	timed        bool // ended is known
}

// readAll reads the log to its end. Requests are logged when they end and limited when they begin, so a number of them waits to be put in order.
func (s *simulation) readAll(log io.Reader) error {
	r := bufio.NewReaderSize(log, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			line = nil
			s.out.Lines++
			s.out.Skipped.Unreadable++
		}
		if len(line) > 0 {
			s.out.Lines++
			if wrong := s.read(line); wrong != nil {
				return wrong
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read log: %w", err)
		}
	}
}

// read takes one line.
func (s *simulation) read(line []byte) error {
	p, err := observe.ReadPast(line)
	switch {
	case errors.Is(err, observe.ErrNotAccess):
		s.out.Skipped.NotAccess++
		return nil
	case err != nil:
		s.out.Skipped.Unreadable++
		return nil
	}
	if p.SampleRate > 0 && p.SampleRate < 1 {
		s.sampled++
	}
	if p.Combined {
		s.combined++
		if p.Host = s.options.Host; p.Host == "" && s.hosts {
			return errors.New("the log is combined, which says no host, and routes of the configuration have hosts: say --host NAME")
		}
	}
	if p.Reason == proxy.RateLimited.String() || p.Reason == proxy.ConcurrencyLimited.String() {
		s.out.Logged++
	}
	if s.endedBefore(&p) {
		s.out.Skipped.BeforeLimits++
		return nil
	}
	i := s.match(&p)
	switch {
	case i < 0:
		s.out.Skipped.NoRoute++
		return nil
	case !p.Client.IsValid():
		s.out.Skipped.NoClient++
		return nil
	}
	q := pastRequest{ended: p.End.UnixNano(), client: p.Client.Unmap().WithZone(""), route: i, timed: !p.Combined}
	q.began = q.ended - int64(p.Duration)
	if s.options.Each != nil {
		q.id = p.RequestID
	}
	if s.pending.push(q.began, q); s.pending.len() > maxPending {
		s.judge(s.pending.pop())
	}
	return nil
}

// endedBefore reports a request that came to its end before limits are asked. What a combined line does not say is not guessed at.
func (s *simulation) endedBefore(p *observe.Past) bool {
	if p.Path == "" || p.Method == http.MethodConnect || p.Method == http.MethodTrace {
		return true
	}
	if p.Combined {
		return s.redirects && p.Status == http.StatusPermanentRedirect
	}
	switch p.Reason {
	case proxy.NoRoute.String(), proxy.UnknownHost.String(): // by the routes of then
		return false
	case proxy.AccessDenied.String(), proxy.Misdirected.String(), proxy.TooEarly.String():
		return true
	case proxy.BodyTooLarge.String():
		return p.Attempts == 0
	}
	if p.Route == unrouted { // the head was refused, or an ACME validation answered
		return true
	}
	// A trusted proxy may have said that its client speaks TLS: then it was not redirected.
	redirected := p.Status == http.StatusPermanentRedirect && p.Attempts == 0
	return s.listeners[p.Listener] && !p.Secure && (redirected || !p.Source.IsValid())
}

// match finds the route of the configuration, which need not be the one that the log names.
func (s *simulation) match(p *observe.Past) int {
	path := []byte(p.Path)
	if p.Path != "*" {
		var err error
		if path, err = route.Canonical(nil, path); err != nil {
			return -1
		}
	}
	return s.plan.table.Match([]byte(p.Host), path)
}
