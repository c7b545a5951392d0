package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// silence is how long a stream may say nothing, where one frame a second is due, or a word of a tap in five, before it is taken for dead.
const silence = 15 * time.Second

// Events calls each with every frame until ctx ends, the stream does, or each returns an error, which is then Events'.
func (c *Client) Events(ctx context.Context, each func(admin.Frame) error) error {
	return stream(ctx, c, "/v1/events", each)
}

// Tap does the same with the requests that q chooses: the parameters of GET /v1/tap.
func (c *Client) Tap(ctx context.Context, q url.Values, each func(admin.TapEvent) error) error {
	return stream(ctx, c, "/v1/tap?"+q.Encode(), each)
}

// stream reads server-sent events, each of which has a T.
func stream[T any](ctx context.Context, c *Client, path string, each func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := time.AfterFunc(min(silence, c.options.Timeout), cancel)
	defer guard.Stop()
	res, err := c.send(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return fmt.Errorf("read the answer of weir at %s: %w", c.options.Address, err)
		}
		return problemOf(res, b, c.options.Address)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxAnswer)
	for lines.Scan() {
		guard.Reset(silence)
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue // the empty line between two events, or a field that says nothing to us
		}
		var event T
		if err := json.Unmarshal(data, &event); err != nil {
			return fmt.Errorf("what answers at %s is not weir: %w", c.options.Address, err)
		}
		if err := each(event); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return c.unreachable(err)
	}
	return c.unreachable(io.EOF)
}

// Errors are the last requests that failed.
func (c *Client) Errors(ctx context.Context) (admin.RequestErrors, error) {
	var e admin.RequestErrors
	return e, c.do(ctx, call{method: http.MethodGet, path: "/v1/errors"}, &e)
}

// RequestsByID are the requests of that id that the flight recorder has.
func (c *Client) RequestsByID(ctx context.Context, id string) (admin.Requests, error) {
	var r admin.Requests
	return r, c.do(ctx, call{method: http.MethodGet, path: "/v1/requests?" + url.Values{"id": {id}}.Encode()}, &r)
}
