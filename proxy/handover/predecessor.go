package handover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// helloTimeout is how long the process before may take for its first word, which it says before anything else.
const helloTimeout = 10 * time.Second

// Predecessor is the process that this one replaces, as seen from here. Its methods are called in the order Refuse, or Ready and Inheritance.Serving, by one goroutine.
type Predecessor struct{ line }

// FromPredecessor is an Inheritance from the process at the other end of two pipes. It owns the files.
func FromPredecessor(from, to *os.File, sockets []*os.File) (*Inheritance, error) {
	p := &Predecessor{newLine(from, to)}
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	defer cancel()
	hello, err := p.hear(ctx)
	switch {
	case err != nil:
		err = fmt.Errorf("hear from the process before: %w", err)
	case hello.Word != wordHello || hello.Protocol != protocol:
		err = fmt.Errorf("the process before speaks version %d of the hand-over, this one version %d: stop and start it instead", hello.Protocol, protocol)
	case len(hello.Sockets) != len(sockets):
		err = fmt.Errorf("the process before tells of %d sockets and gives %d", len(hello.Sockets), len(sockets))
	}
	var in *Inheritance
	if err == nil {
		in, err = adoptAll(sockets, hello.Sockets)
	}
	if err != nil {
		p.Refuse([]string{err.Error()})
		return nil, err
	}
	in.predecessor = p
	return in, nil
}

// Refuse tells the process before, which goes on, why this one cannot take its place.
func (p *Predecessor) Refuse(reasons []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.say(ctx, message{Word: wordRefused, Errors: reasons}) // the one who would hear it has perhaps ended
	p.close()
}

// Ready says that this process could serve, and waits until it may: then the process before has put its last state into the returned text. A process before that has
// ended leaves none, and everything to this one. Nothing but that ends the wait: who does not want this process any more kills it.
func (p *Predecessor) Ready(version string) (state json.RawMessage, err error) {
	ctx := context.Background()
	if err := p.say(ctx, message{Word: wordReady, Version: version}); err != nil {
		return nil, nil //nolint:nilerr // nobody is there any more: see above
	}
	m, err := p.hear(ctx)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("hear from the process before: %w", err)
	case m.Word != wordGo:
		return nil, fmt.Errorf("the process before says %q, not %q", m.Word, wordGo)
	}
	return m.State, nil
}

// serving says that this process has taken over, and waits until the other accepts no more: it closes its end then. It may have ended.
func (p *Predecessor) serving() {
	defer p.close()
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if p.say(ctx, message{Word: wordServing}) == nil {
		_, _ = p.hear(ctx) // there is no further word, only the end
	}
}

// releaseTimeout is for a process that hangs: this one serves already, and only whoever asks whether it does waits.
const releaseTimeout = 10 * time.Second
