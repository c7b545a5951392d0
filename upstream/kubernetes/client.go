package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// answerTimeout is how long the head of an answer may take, and a whole list.
	answerTimeout = 30 * time.Second

	// firstPause and maxPause bound the doubling pause after failures: half a minute keeps an API server that comes back from being overrun, and an outage from being prolonged.
	firstPause = time.Second
	maxPause   = 30 * time.Second

	// maxRefusal is how much of an answer that is no success is read: a Status is a few hundred bytes.
	maxRefusal = 64 << 10
)

// API says how an API server is reached. It is comparable, and holds no secret.
type API struct {
	// Server is its URL, without a path. "": none is known, and every attempt fails with that.
	Server string
	// CA and Token are PEM roots and a bearer token, as files that are read for each request. CA is for https only; Token "": none is sent.
	CA, Token string
	// Namespace is that of services that name none: a file that holds its name. "": there is none.
	Namespace string
}

// Service names what is followed: the ports of one Service's pods. It is comparable.
type Service struct {
	API API
	// Namespace "": API.Namespace says it.
	Namespace, Name string
	// Port is the name of one of the Service's ports, or a number that the pods listen on.
	Port string
}

// String is NAMESPACE/NAME:PORT, or NAME:PORT.
func (s Service) String() string {
	if s.Namespace == "" {
		return s.Name + ":" + s.Port
	}
	return s.Namespace + "/" + s.Name + ":" + s.Port
}

// Client is the way to one API server, for any number of watches: they share its connection where the server speaks HTTP/2. Close it when nobody wants to know any more.
type Client struct {
	api   API
	pause time.Duration // the first after a failure

	mu     sync.Mutex // guards what follows
	pem    []byte     // the roots that http trusts
	http   *http.Client
	conns  map[*conn]bool // that are open
	closed bool
}

// conn is an open connection of a client's.
type conn struct {
	net.Conn
	of *Client
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// New returns a client. It reads and opens nothing yet.
func New(api API) *Client {
	return &Client{api: api, pause: firstPause, conns: map[*conn]bool{}}
}

// Close closes all connections, of watches too: it may come before those whose context has ended know of it.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	open := c.conns
	c.conns = map[*conn]bool{}
	c.mu.Unlock()
	for o := range open {
		_ = o.Conn.Close()
	}
}

// dial opens a connection that Close knows of. One that died without a word is found by the kernel's probes within half a minute: on a watch nothing is written that would find it.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	opened, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	o := &conn{opened, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = opened.Close()
		return nil, net.ErrClosed
	}
	c.conns[o] = true
	return o, nil
}

// refusal is an answer that is no success.
type refusal struct {
	code    int
	message string
	after   time.Duration // Retry-After; 0: the server does not say
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("%d %s", r.code, http.StatusText(r.code))
	if r.message != "" {
		text += ": " + r.message
	}
	return text
}

// status is the body of a refusal (meta/v1 Status).
type status struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// get asks for a path below the server. Who gets no error closes the body. ctx bounds all of it.
func (c *Client) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	if c.api.Server == "" {
		return nil, errors.New("no API server is known: this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set), and kubernetes.server does not name one")
	}
	client, err := c.client()
	if err != nil {
		return nil, err
	}
	at := c.api.Server + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", at, err)
	}
	req.Header.Set("Accept", "application/json")
	if err := c.authorize(req); err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the rest of it is the URL with its query
		}
		return nil, fmt.Errorf("ask %s: %w", at, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	return nil, fmt.Errorf("ask %s: %w", at, c.refused(res))
}

// authorize adds the token as it is now: a bound one is good for an hour, and kubelet replaces the file before that.
func (c *Client) authorize(req *http.Request) error {
	if c.api.Token == "" {
		return nil
	}
	token, err := os.ReadFile(c.api.Token)
	if err != nil {
		return fmt.Errorf("read token: %w", err)
	}
	token = bytes.TrimSpace(token)
	if len(token) == 0 || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("read token: %s holds none", c.api.Token)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	return nil
}

// refused tells what the server says, and what to do about the usual ones.
func (c *Client) refused(res *http.Response) *refusal {
	r := &refusal{code: res.StatusCode}
	if n, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && n > 0 {
		r.after = min(time.Duration(n)*time.Second, maxPause)
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxRefusal)) // what came of it will do
	var s status
	if json.Unmarshal(body, &s) == nil && s.Kind == "Status" {
		r.message = s.Message
	}
	switch r.code {
	case http.StatusUnauthorized:
		r.message = strings.TrimSuffix(r.message, ".") + " (the token of " + c.api.Token + " is not valid; the file is read again for each attempt)"
	case http.StatusForbidden:
		r.message += " (the service account needs a Role that lets it get, list and watch endpointslices of discovery.k8s.io)"
	}
	return r
}

// client trusts the roots as they are now: a cluster that changes its own keeps the old ones in the file beside the new for a while.
func (c *Client) client() (*http.Client, error) {
	var pem []byte
	if strings.HasPrefix(c.api.Server, "https:") {
		var err error
		if pem, err = os.ReadFile(c.api.CA); err != nil {
			return nil, fmt.Errorf("read roots: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http != nil && bytes.Equal(c.pem, pem) {
		return c.http, nil
	}
	roots := x509.NewCertPool()
	if pem != nil && !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read roots: %s holds no certificate", c.api.CA)
	}
	if c.http != nil {
		c.http.CloseIdleConnections() // watches end by themselves
	}
	c.pem, c.http = pem, c.newHTTP(roots)
	return c.http, nil
}

// newHTTP asks the server itself, never a proxy, and pings a connection of HTTP/2 on which nothing comes.
func (c *Client) newHTTP(roots *x509.CertPool) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: c.dial, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: answerTimeout, IdleConnTimeout: time.Minute,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, ForceAttemptHTTP2: true,
			HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		},
	}
}

// namespace is the service's, or the pod's own as its file says it now.
func (c *Client) namespace(s Service) (string, error) {
	if s.Namespace != "" {
		return s.Namespace, nil
	}
	if c.api.Namespace == "" {
		return "", errors.New("no namespace is known: neither the target nor kubernetes.namespace names one, and there is no token with one beside it")
	}
	text, err := os.ReadFile(c.api.Namespace)
	if err != nil {
		return "", fmt.Errorf("read namespace: %w", err)
	}
	if name := strings.TrimSpace(string(text)); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("read namespace: %s is empty", c.api.Namespace)
}
