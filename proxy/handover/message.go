package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// protocol is raised when a weir of another version could misunderstand a message. JSON leaves room for more fields.
const protocol = 1

// The words of the conversation, in their order.
const (
	wordHello   = "hello"   // old: Protocol, Sockets
	wordRefused = "refused" // new: Errors; it ends
	wordReady   = "ready"   // new: Version
	wordGo      = "go"      // old: State
	wordServing = "serving" // new
)

type message struct {
	Word     string          `json:"word"`
	Protocol int             `json:"protocol,omitempty"`
	Sockets  []Socket        `json:"sockets,omitempty"`
	Version  string          `json:"version,omitempty"`
	Errors   []string        `json:"errors,omitempty"`
	State    json.RawMessage `json:"state,omitempty"`
}

// line is one process's end of the conversation. One goroutine speaks, one listens.
type line struct {
	from, to *os.File
	in       *json.Decoder
}

func newLine(from, to *os.File) line { return line{from, to, json.NewDecoder(from)} }

func (l *line) close() {
	_ = l.from.Close() // pipes: nothing is lost
	_ = l.to.Close()
}

// say waits until the message is in the pipe, no longer than ctx.
func (l *line) say(ctx context.Context, m message) error {
	b, err := m.encode()
	if err == nil {
		err = l.write(ctx, m.Word, b)
	}
	return err
}

func (m message) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.Word, err)
	}
	return append(b, '\n'), nil
}

// write waits until these bytes of a message are in the pipe, no longer than ctx.
func (l *line) write(ctx context.Context, word string, b []byte) error {
	defer bounded(ctx, l.to.SetWriteDeadline)()
	if _, err := l.to.Write(b); err != nil {
		return fmt.Errorf("say %s: %w", word, cause(ctx, err))
	}
	return nil
}

// hear waits for the next message.
func (l *line) hear(ctx context.Context) (m message, err error) {
	defer bounded(ctx, l.from.SetReadDeadline)()
	if err = l.in.Decode(&m); err != nil {
		return m, cause(ctx, err)
	}
	return m, nil
}

// bounded ends what waits for a file when ctx ends. lift must be called.
func bounded(ctx context.Context, set func(time.Time) error) (lift func()) {
	_ = set(time.Time{}) // on a file that knows no deadlines the other side ends the wait, at its end at the latest
	stop := context.AfterFunc(ctx, func() { _ = set(time.Unix(1, 0)) })
	return func() { stop() }
}

// cause is why ctx has ended, if that is what err comes from.
func cause(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
