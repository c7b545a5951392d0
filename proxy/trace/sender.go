package trace

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sender says batches to a collector: a POST of protobuf, which over gRPC has five bytes before it and its verdict in trailers. It is the exporter's goroutine's.
type sender struct {
	options *Options
	url     string
	client  *http.Client
	header  http.Header // of every request; read only
}

// sendError is an export that failed.
type sendError struct {
	err     error
	refused bool          // it was understood, and will not be had
	again   bool          // another try may go better
	after   time.Duration // not before; 0: not said
}

func (e *sendError) Error() string { return e.err.Error() }

const (
	// mostAnswer bounds what is read of an answer: a collector says in some bytes what it has to say.
	mostAnswer = 64 << 10
	firstPause = 500 * time.Millisecond // before the second try; each further one waits twice as long, at most
	mostPause  = 5 * time.Second
	httpPath   = "/v1/traces"
	grpcPath   = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	protobuf   = "application/x-protobuf"
)

// newSender reads the endpoint. It opens nothing.
func newSender(o *Options) (*sender, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("trace endpoint is not an http:// or https:// URL")
	}
	s := &sender{options: o, header: http.Header{"User-Agent": {"weir/" + o.Version}}}
	for _, h := range o.Headers {
		s.header.Set(h.Name, h.Value)
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 1, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: mostAnswer, DisableCompression: true, Protocols: new(http.Protocols),
		// A connection that a firewall has forgotten is noticed before the next batch dies on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	secure := u.Scheme == "https"
	transport.Protocols.SetHTTP1(!o.GRPC)
	transport.Protocols.SetHTTP2(secure)
	transport.Protocols.SetUnencryptedHTTP2(o.GRPC && !secure)
	if s.header.Set("Content-Type", protobuf); o.GRPC {
		u.Path = grpcPath
		s.header.Set("Content-Type", "application/grpc")
		s.header.Set("Te", "trailers")
	} else if path := strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(path, httpPath) {
		u.Path = path + httpPath
	}
	switch {
	case o.Plain:
	case o.GRPC:
		s.header.Set("Grpc-Encoding", "gzip")
	default:
		s.header.Set("Content-Encoding", "gzip")
	}
	s.url = u.String()
	// Headers hold credentials, which are for this endpoint and not for where it may lead.
	s.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, nil
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// send says one batch, again where that may help, until ctx ends; once closing is closed there is one try. refused is how many spans of a batch that was taken were not.
func (s *sender) send(ctx context.Context, data *tracepb.TracesData, closing <-chan struct{}) (refused int, failed *sendError) {
	body, err := s.encode(data)
	if err != nil {
		return 0, &sendError{err: err, refused: true}
	}
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		if refused, failed = s.try(ctx, body); failed == nil || !failed.again || ctx.Err() != nil {
			return refused, failed
		}
		wait := max(failed.after, pause/2+rand.N(pause/2)) // those who were sent away together are not to come back together
		if until, ok := ctx.Deadline(); ok && time.Until(until) < wait {
			return 0, failed
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, failed
		case <-closing:
			timer.Stop()
			return 0, failed
		}
	}
}

// encode is the body of a request for one batch.
func (s *sender) encode(data *tracepb.TracesData) ([]byte, error) {
	plain, err := proto.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode spans: %w", err)
	}
	var b bytes.Buffer
	if s.options.GRPC {
		b.Write(make([]byte, framePrefix))
	}
	if s.options.Plain {
		b.Write(plain)
	} else {
		zip := gzip.NewWriter(&b)
		_, err = zip.Write(plain)
		if err = errors.Join(err, zip.Close()); err != nil {
			return nil, fmt.Errorf("compress spans: %w", err)
		}
	}
	if s.options.GRPC {
		frame(b.Bytes(), !s.options.Plain)
	}
	return b.Bytes(), nil
}

// try says it once.
func (s *sender) try(ctx context.Context, body []byte) (refused int, failed *sendError) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, &sendError{err: err, refused: true}
	}
	req.Header = s.header.Clone()
	if until, ok := ctx.Deadline(); ok && s.options.GRPC {
		req.Header.Set("Grpc-Timeout", grpcTimeout(time.Until(until)))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, &sendError{err: fmt.Errorf("export traces: %w", err), again: true}
	}
	defer func() { _ = resp.Body.Close() }() // it was read as far as it was wanted
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	switch {
	case err != nil:
		return 0, &sendError{err: fmt.Errorf("read answer of the collector: %w", err), again: true}
	case len(answer) > mostAnswer:
		return 0, &sendError{err: fmt.Errorf("the collector's answer is longer than %d bytes", mostAnswer)}
	case s.options.GRPC:
		return grpcVerdict(resp, answer)
	}
	return httpVerdict(resp, answer)
}

// httpVerdict judges an answer as OTLP/HTTP says.
func httpVerdict(resp *http.Response, answer []byte) (int, *sendError) {
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		switch {
		case len(answer) == 0 || kind == "application/json": // nothing to say, or said as nobody asked for
			return 0, nil
		case kind == protobuf:
			return partly(answer)
		}
		return 0, &sendError{err: fmt.Errorf("the endpoint answered %d with %q: is it a collector's?", resp.StatusCode, kind)}
	}
	e := &sendError{err: fmt.Errorf("the collector answered %s: %s", resp.Status, excerpt(answer))}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		e.again, e.after = true, retryAfter(resp.Header.Get("Retry-After"))
	default:
		e.refused = resp.StatusCode >= 400 && resp.StatusCode < 500
	}
	return 0, e
}

// retryAfter reads seconds, which is what collectors send; of a date only that it is there.
func retryAfter(value string) time.Duration {
	d, err := time.ParseDuration(value + "s")
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// excerpt is the beginning of what a collector says, fit for a line of the log: protobuf, of which the text is the part that can be read.
func excerpt(answer []byte) string {
	const most = 200
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, string(answer[:min(len(answer), most)])))
}
