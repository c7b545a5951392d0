package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// endTimeout is how long a child may take after TERM before it is killed.
const endTimeout = 10 * time.Second

// nursery owns the children. Its one goroutine forks them on a thread it keeps until close: the kernel sends
// a child its parent-death signal when the *thread* that forked it ends (prctl(2), PR_SET_PDEATHSIG), and Go
// ends idle threads as it likes. One more goroutine for each child waits for its end.
type nursery struct {
	stderr   io.Writer
	children []*child
	work     chan func()
	stopped  chan struct{}
	// closing is set by close and read by the waiters: an end that was asked for is no news.
	closing atomic.Bool
}

type colour struct{ name, address string }

type child struct {
	colour
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed by the waiter, once cmd.ProcessState is there
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func newNursery(stderr io.Writer) *nursery {
	n := &nursery{stderr: stderr, work: make(chan func()), stopped: make(chan struct{})}
	go func() {
		defer close(n.stopped)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for f := range n.work {
			f()
		}
	}()
	return n
}

// start forks one colour, its output going to a file of its own.
func (n *nursery) start(o Options, p prepared, c colour) error {
	logPath := filepath.Join(o.Dir, c.name+".log")
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", c.name, err)
	}
	defer func() { _ = log.Close() }()
	environment := []string{
		"VALOR_ENV=demo", "VALOR_COLOR=" + c.name, "VALOR_ADDRESS=" + c.address,
		"VALOR_DATABASE=file:" + p.database,
	}
	cmd := exec.Command(o.API)
	cmd.Dir = o.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(append(os.Environ(), environment...), "VALOR_JWT_SECRET="+p.secret)
	cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	n.work <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	ch := &child{colour: c, log: logPath, cmd: cmd, done: make(chan struct{})}
	n.children = append(n.children, ch)
	again := fmt.Sprintf(`%s VALOR_JWT_SECRET="$(cat %s)" %s`, quoteAll(environment), quote(p.secretFile), quote(o.API))
	go n.wait(ch, again)
	return nil
}

// wait reports a colour that went away by itself and how to bring it back.
func (n *nursery) wait(c *child, again string) {
	err := c.cmd.Wait()
	close(c.done)
	if n.closing.Load() {
		return
	}
	reason := "exit status 0"
	if err != nil {
		reason = err.Error()
	}
	fmt.Fprintf(n.stderr, "\ndemo: %s (pid %d) has ended: %s. The edge goes on with the other colour, if that has weight. Its log: %s\nStart it again with:\n  %s\n\n",
		c.name, c.pid(), reason, c.log, again)
}

// awaitReady asks every child until it says it is ready.
func (n *nursery) awaitReady(ctx context.Context) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, c := range n.children {
		for !isReady(ctx, client, c.address) {
			select {
			case <-c.done:
				return fmt.Errorf("start %s: %w; the end of its log %s:\n%s", c.name, errEnded, c.log, tail(c.log))
			case <-ctx.Done():
				if errors.Is(ctx.Err(), context.Canceled) {
					return fmt.Errorf("wait for %s: %w", c.name, ctx.Err())
				}
				return fmt.Errorf("wait for %s: not ready within %s; the end of its log %s:\n%s", c.name, readyTimeout, c.log, tail(c.log))
			case <-tick.C:
			}
		}
	}
	return nil
}

func isReady(ctx context.Context, client *http.Client, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/readiness", nil)
	if err != nil {
		return false
	}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// close ends the children, politely first, and waits for them.
func (n *nursery) close() {
	n.closing.Store(true)
	for _, c := range n.children {
		// A child that has ended by itself cannot be signalled; there is nothing to do for it.
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
	}
	deadline, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	for _, c := range n.children {
		select {
		case <-c.done:
		case <-deadline.Done():
			_ = c.cmd.Process.Kill()
			<-c.done
		}
	}
	close(n.work)
	<-n.stopped
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	const most = 2048
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// quote makes a word of s for a POSIX shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@%+,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func quoteAll(list []string) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = quote(s)
	}
	return strings.Join(words, " ")
}
