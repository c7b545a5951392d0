package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// ForwardOptions are those of a Forward.
type ForwardOptions struct {
	Name            string
	URL             string
	CA              []byte   // PEM of the CAs that are trusted in place of the system's; nil: those
	RequestHeaders  []string // fields of requests that the service is asked with; nil: all that do not belong to the body or the connection
	ResponseHeaders []string // fields of its answer for the upstream
	UserHeader      string   // field of its answer that says who it is
	Timeout         time.Duration
}

const (
	forwardAtATime  = 256      // questions; the others wait for theirs
	mostForwardHead = 64 << 10 // bytes of an answer's head
	mostForwardBody = 64 << 10
)

// Forward asks a service about each request, without its body, and lets in what that answers with 2xx. Its other answers are the client's; without an answer in
// time nobody comes in. No answer is remembered.
//
// It is safe for concurrent use. A question has a goroutine, which ends with the question; Close ends idle connections.
type Forward struct {
	options   ForwardOptions
	transport *http.Transport
	url       *http.Request // of every question: the URL is read once
	owned     []string      // fields of requests that only weir writes
	slots     chan struct{} // those that are free
	failing   atomic.Bool   // the last question had no answer
	gone      *Denial
}

// NewForward makes a Forward. Nobody is asked yet.
func NewForward(o ForwardOptions) (*Forward, error) {
	template, err := http.NewRequest(http.MethodGet, o.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("auth %s: %w", o.Name, err)
	}
	f := &Forward{
		options: o, transport: transport(o.CA), url: template, owned: append([]string{userField, o.UserHeader}, o.ResponseHeaders...),
		slots: make(chan struct{}, forwardAtATime), gone: &Denial{Status: 499, Why: Gone},
	}
	f.transport.Proxy = nil // the service is a neighbour, as upstreams are
	f.transport.DisableCompression = true
	f.transport.MaxIdleConnsPerHost = forwardAtATime
	f.transport.MaxResponseHeaderBytes = mostForwardHead
	for range forwardAtATime {
		f.slots <- struct{}{}
	}
	return f, nil
}

var (
	errForwardBusy = errors.New("too many questions under way")
	errForwardLate = errors.New("no answer in time")
)

// Authenticate waits for the service's answer, at most the timeout, or until the client leaves.
func (f *Forward) Authenticate(r *Request) Verdict {
	until := time.Now().Add(f.options.Timeout)
	select {
	case <-f.slots:
	default:
		switch r.await(f.slots, nil, f.options.Timeout) {
		case left:
			return Verdict{Denial: f.gone}
		case late:
			return f.unavailable(errForwardBusy)
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	question := f.question(ctx, r)
	answered, verdict := make(chan struct{}), Verdict{}
	go func() {
		defer func() { f.slots <- struct{}{} }()
		verdict = f.ask(question)
		close(answered)
	}()
	switch r.await(answered, nil, time.Until(until)) {
	case left:
		return Verdict{Denial: f.gone}
	case late:
		return f.unavailable(errForwardLate)
	}
	return verdict
}

// unavailable keeps the request out: who cannot be asked about may be anybody.
func (f *Forward) unavailable(err error) Verdict {
	f.failing.Store(true)
	return Verdict{Denial: &Denial{Status: 503, Why: Unavailable, Err: fmt.Errorf("ask auth %s: %w", f.options.Name, err)}}
}

// ask puts the question and reads the answer. Redirects are answers.
func (f *Forward) ask(question *http.Request) Verdict {
	res, err := f.transport.RoundTrip(question)
	if err != nil {
		return f.unavailable(err)
	}
	defer func() { _ = res.Body.Close() }() // read only
	body, err := io.ReadAll(io.LimitReader(res.Body, mostForwardBody+1))
	switch {
	case err != nil:
		return f.unavailable(err)
	case res.StatusCode >= 200 && res.StatusCode < 300:
		f.failing.Store(false)
		return f.admit(res.Header)
	case res.StatusCode < 200 || res.StatusCode == http.StatusNotModified || res.StatusCode > 599:
		return f.unavailable(fmt.Errorf("status %d is no answer to the question", res.StatusCode))
	case len(body) > mostForwardBody:
		return f.unavailable(fmt.Errorf("answer of more than %d bytes", mostForwardBody))
	}
	f.failing.Store(false)
	return Verdict{Denial: &Denial{Status: res.StatusCode, Why: Refused}, Answer: relayed(res, body)}
}

// admit takes from the answer what the upstream is told.
func (f *Forward) admit(h http.Header) Verdict {
	v := Verdict{}
	if user := h.Get(f.options.UserHeader); user != "" && presentable(user) {
		v.User = []byte(user)
		v.Fields = append(v.Fields, userField+": "+user+"\r\n"...)
	}
	for _, name := range f.options.ResponseHeaders {
		if strings.EqualFold(name, userField) {
			continue
		}
		for _, value := range h.Values(name) {
			if value != "" && message.ValidValue(value) {
				v.Fields = append(v.Fields, name+": "+value+"\r\n"...)
			}
		}
	}
	return v
}

// relayed is the service's answer as the client gets it: what is of its connection stays behind. Unless it says otherwise it is not to be stored: without the
// question it would be an answer to somebody else.
func relayed(res *http.Response, body []byte) *Answer {
	a := &Answer{Status: res.StatusCode, Reason: http.StatusText(res.StatusCode), Body: body, Relayed: true}
	nominated := []byte(strings.Join(res.Header.Values("Connection"), ","))
	for name, values := range res.Header {
		id := message.IDOf(name)
		if id.HopByHop() || id == message.ContentLength || id == message.Trailer || id == message.AltSvc || id == message.XRequestID || message.HasToken(nominated, name) {
			continue
		}
		for _, value := range values {
			if message.ValidValue(value) {
				a.Fields = append(a.Fields, Field{name, value})
			}
		}
	}
	if res.Header.Get("Cache-Control") == "" {
		a.Fields = append(a.Fields, Field{"Cache-Control", "no-store"})
	}
	return a
}

// Owns reports a field of requests that only weir writes: clients' own are taken out.
func (f *Forward) Owns(name []byte) bool {
	for _, field := range f.owned {
		if sameField(name, field) {
			return true
		}
	}
	return false
}

// OwnsCookie is false: cookies are the service's and the upstream's.
func (f *Forward) OwnsCookie([]byte) bool { return false }

// Reload has nothing to read.
func (f *Forward) Reload() error { return nil }

// Good reports whether the last question was answered.
func (f *Forward) Good() bool { return !f.failing.Load() }

// Close ends idle connections.
func (f *Forward) Close() { f.transport.CloseIdleConnections() }
