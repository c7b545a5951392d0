package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/valor-ivx/weir/proxy/admin"
)

// silence is how long a stream may say nothing, where one frame a second is due, before it is taken for dead.
const silence = 15 * time.Second

// Events calls each with every frame until ctx ends, the stream does, or each returns an error, which is then Events'.
func (c *Client) Events(ctx context.Context, each func(admin.Frame) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	guard := time.AfterFunc(min(silence, c.options.Timeout), cancel)
	defer guard.Stop()
	res, err := c.send(ctx, call{method: http.MethodGet, path: "/v1/events"})
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
		var f admin.Frame
		if err := json.Unmarshal(data, &f); err != nil {
			return fmt.Errorf("what answers at %s is not weir: %w", c.options.Address, err)
		}
		if err := each(f); err != nil {
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
