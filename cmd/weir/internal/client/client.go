// Package client talks to the admin API of a running weir, over TCP or a unix socket.
//
// It exists so that the verbs share one way of finding the server, proving who they are and reading its
// problems. It refuses to guess: it tries no second address, repeats no write, and follows no redirect.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// maxAnswer bounds what is read of an answer: a status of 10,000 targets is about 2 MiB.
const maxAnswer = 64 << 20

// Options say where the server is and who calls.
type Options struct {
	// Address is HOST:PORT, unix:///PATH, or http://HOST:PORT.
	Address string
	// Token is the bearer token, if the server wants one.
	Token string
	// Operator is what the audit log and the overlay call the caller.
	Operator string
	// Timeout bounds one call.
	Timeout time.Duration
}

// Client is the admin API as functions. It keeps no connection, so it needs no Close.
type Client struct {
	options Options
	base    string
	http    *http.Client
}

// UnreachableError is a server that could not be asked at all.
type UnreachableError struct {
	Address string
	Err     error
}

// Error says what to try.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach weir at %s: is it running? (%v) "+
		"Its admin address is given by --admin or WEIR_ADMIN", e.Address, e.Err)
}

// Unwrap gives the network's error.
func (e *UnreachableError) Unwrap() error { return e.Err }

// New checks the address; it does not connect.
func New(o Options) (*Client, error) {
	network, dial, host, err := splitAddress(o.Address)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		// No proxy from the environment: the admin API is beside us or named on purpose.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: min(o.Timeout, 5*time.Second)}
			return d.DialContext(ctx, network, dial)
		},
		DisableKeepAlives: true,
	}
	return &Client{options: o, base: "http://" + host, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Address is where the client calls, as it was given.
func (c *Client) Address() string { return c.options.Address }

func splitAddress(address string) (network, dial, host string, err error) {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		if !strings.HasPrefix(path, "/") {
			return "", "", "", fmt.Errorf("admin address %q: a unix socket is unix:///ABSOLUTE/PATH", address)
		}
		return "unix", path, "localhost", nil
	}
	dial = strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
	name, port, err := net.SplitHostPort(dial)
	if err != nil || port == "" || strings.ContainsAny(dial, "/@ ") {
		return "", "", "", fmt.Errorf("admin address %q is neither HOST:PORT nor unix:///PATH", address)
	}
	if name == "" {
		dial = net.JoinHostPort("127.0.0.1", port)
	}
	return "tcp", dial, dial, nil
}

// call is one request. tag, when not empty, becomes If-Match.
type call struct {
	method, path string
	body         any
	tag          string
}

// do sends q and decodes the answer into out unless out is nil.
func (c *Client) do(ctx context.Context, q call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	res, err := c.send(ctx, q)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of weir at %s: %w", c.options.Address, err)
	}
	if res.StatusCode >= 300 {
		return problemOf(res, b, c.options.Address)
	}
	if raw, ok := out.(*json.RawMessage); ok {
		*raw = b
		return nil
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("what answers at %s is not weir's admin API: %w", c.options.Address, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		b, err := json.Marshal(q.body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, c.base+q.path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	h := req.Header
	h.Set("User-Agent", "weir")
	if body != nil {
		h.Set("Content-Type", "application/json")
	}
	if q.tag != "" {
		h.Set("If-Match", `"`+q.tag+`"`)
	}
	if c.options.Token != "" {
		h.Set("Authorization", "Bearer "+c.options.Token)
	}
	if c.options.Operator != "" {
		h.Set(admin.OperatorHeader, c.options.Operator)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return res, nil
}

// unreachable tells a server that is not there from one that does not answer.
func (c *Client) unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("weir at %s did not answer within %s (--timeout): %w", c.options.Address, c.options.Timeout, err)
	}
	return &UnreachableError{Address: c.options.Address, Err: err}
}

func problemOf(res *http.Response, body []byte, address string) error {
	var p admin.Problem
	// The admin API's problems name what was asked for; those of a listener of weir, or of a service, do not.
	if err := json.Unmarshal(body, &p); err != nil || p.Instance == "" {
		return fmt.Errorf("what answers at %s is not weir's admin API: %s", address, res.Status)
	}
	// The wire's status counts, whatever the body says.
	p.Status = res.StatusCode
	return &p
}
