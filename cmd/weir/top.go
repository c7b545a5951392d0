package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/valor-ivx/weir/cmd/weir/internal/client"
	"github.com/valor-ivx/weir/cmd/weir/internal/show"
	"github.com/valor-ivx/weir/proxy/admin"
)

func (sh *shell) topVerb() *cobra.Command {
	var once bool
	cmd := sh.asking(&cobra.Command{
		Use:   "top",
		Short: "Watch requests, errors, latencies, targets and limits of the running weir, once a second",
		Long: "Watch the running weir: q quits, s sorts by name, requests, errors or latency.\n" +
			"Where the output is no terminal, frames follow each other as plain text.",
		Args: noArgs,
	}, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		t := &top{sh: sh, client: c}
		if once {
			return t.once(cmd.Context())
		}
		return t.live(cmd.Context())
	})
	cmd.Flags().BoolVar(&once, "once", false, "print one frame, over one second, and end")
	return cmd
}

// top is one watch. Owned by the goroutine of the verb.
type top struct {
	sh     *shell
	client *client.Client
	by     show.Order
	frame  admin.Frame
	seen   bool // there is a frame
	recent []admin.RequestError
	notice string // what is wrong just now
}

// keptErrors is more than a frame has room for.
const keptErrors = 50

// errQuit ends a watch that has shown what was asked for.
var errQuit = errors.New("quit")

// take keeps a frame, and the errors that came with it.
func (t *top) take(f admin.Frame) {
	t.frame, t.seen, t.notice = f, true, ""
	last := uint64(0)
	if n := len(t.recent); n > 0 {
		last = t.recent[n-1].Number
	}
	for _, e := range f.Errors {
		if e.Number > last {
			t.recent = append(t.recent, e)
		}
	}
	t.recent = t.recent[max(0, len(t.recent)-keptErrors):]
}

// remember fetches the errors from before the watch.
func (t *top) remember(ctx context.Context) error {
	e, err := t.client.Errors(ctx)
	if err == nil {
		t.recent = e.Errors
	}
	return err
}

// once waits for the first frame that has rates.
func (t *top) once(ctx context.Context) error {
	if err := t.remember(ctx); err != nil {
		return err
	}
	err := t.client.Events(ctx, func(f admin.Frame) error {
		t.take(f)
		if f.Seconds == 0 {
			return nil
		}
		show.Top(t.sh.stdout, f, t.recent, t.by)
		return errQuit
	})
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// live shows frames until a key or the context ends it. Who is not there at the start is an error; who goes later is waited for.
func (t *top) live(ctx context.Context) error {
	if err := t.remember(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	screen, restore := t.terminal()
	defer restore()
	frames, lost := make(chan admin.Frame), make(chan error)
	go t.follow(ctx, frames, lost) // ends with ctx
	var keys <-chan byte
	if screen {
		keys = pressed(ctx)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-frames:
			t.take(f)
		case err := <-lost:
			var p *admin.Problem
			if errors.As(err, &p) { // it is there and says no: a token that was changed, too many watchers
				return err
			}
			t.notice = fmt.Sprintf("connection lost, trying again: %v", err)
		case key, ok := <-keys:
			if quits := t.press(key); quits || !ok {
				return nil
			}
		}
		if err := t.draw(screen); err != nil {
			return fmt.Errorf("write frame: %w", err)
		}
	}
}

// press does what a key asks for, and reports one that quits.
func (t *top) press(key byte) (quits bool) {
	const interrupt, end = 3, 4 // a raw terminal sends ^C and ^D as bytes
	switch key {
	case 'q', 'Q', interrupt, end:
		return true
	case 's':
		t.by = t.by.Next()
	}
	return false
}

// follow watches again and again, with pauses that double, until ctx ends.
func (t *top) follow(ctx context.Context, frames chan<- admin.Frame, lost chan<- error) {
	const shortest, longest = time.Second, 16 * time.Second
	pause := shortest
	for ctx.Err() == nil {
		err := t.client.Events(ctx, func(f admin.Frame) error {
			pause = shortest
			select {
			case frames <- f:
			case <-ctx.Done():
			}
			return nil
		})
		select {
		case lost <- err:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longest)
	}
}

// draw prints what is known: over what was there on a terminal, below it elsewhere.
func (t *top) draw(screen bool) error {
	var b bytes.Buffer
	if t.notice != "" {
		fmt.Fprintf(&b, "%s\n", t.notice)
	}
	if t.seen {
		show.Top(&b, t.frame, t.recent, t.by)
	}
	if !screen {
		fmt.Fprintln(&b)
		_, err := t.sh.stdout.Write(b.Bytes())
		return err
	}
	fmt.Fprintf(&b, "\nq quits, s sorts (by %s)\n", t.by)
	width, height := 80, 24
	if w, h, err := term.GetSize(int(os.Stdout.Fd())); err == nil && w > 0 && h > 0 {
		width, height = w, h
	}
	_, err := t.sh.stdout.Write(fit(b.String(), width, height))
	return err
}

// fit makes a screen of lines: each cut to the width, each cleared to its end, so that nothing flickers, and what does not fit below left out.
func fit(text string, width, height int) []byte {
	out := []byte("\x1b[H")
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			out = append(out, "\r\n"...)
		}
		if r := []rune(line); len(r) > width {
			line = string(r[:width])
		}
		out = append(out, line...)
		out = append(out, "\x1b[K"...)
	}
	return append(out, "\x1b[J"...)
}

// terminal makes the terminal a screen of our own where keys come one by one, if there is one, and returns what makes it as it was.
func (t *top) terminal() (screen bool, restore func()) {
	in, out := int(os.Stdin.Fd()), os.Stdout
	if t.sh.stdout != out || !isatty.IsTerminal(out.Fd()) || !term.IsTerminal(in) {
		return false, func() {}
	}
	was, err := term.MakeRaw(in)
	if err != nil {
		return false, func() {}
	}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // the alternate screen, without a cursor
	return true, func() {
		fmt.Fprint(out, "\x1b[?25h\x1b[?1049l")
		_ = term.Restore(in, was)
	}
}

// pressed are the keys as they come. Its goroutine ends with the process: a read of a terminal cannot be taken back.
func pressed(ctx context.Context) <-chan byte {
	keys := make(chan byte)
	go func() {
		one := make([]byte, 1)
		for {
			if n, err := os.Stdin.Read(one); n == 0 || err != nil {
				close(keys)
				return
			}
			select {
			case keys <- one[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return keys
}
