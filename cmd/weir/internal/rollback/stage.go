package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	weirclient "github.com/valor-ivx/weir/cmd/weir/internal/client"
)

// stage is a weir in front of blue and green, in a folder that goes with it.
type stage struct {
	options  options
	dir      string
	secret   string
	blue     string // addresses
	children []*child
	edge     *child // weir, one of them
	admin    *weirclient.Client
	address  string // of weir
}

// open starts blue, a green that fails a share of its requests, and weir in front of them.
func open(ctx context.Context, o options) (*stage, error) {
	s := &stage{options: o, secret: rand.Text()}
	var err error
	for _, program := range []*string{&s.options.weir, &s.options.api} { // they run in the folder
		if *program, err = filepath.Abs(*program); err != nil {
			return nil, fmt.Errorf("find program: %w", err)
		}
	}
	if s.dir, err = os.MkdirTemp("", "weir-rollback"); err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := s.populate(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stage) populate(ctx context.Context) (err error) {
	if s.blue, err = s.serve(ctx, "blue"); err != nil {
		return err
	}
	green, err := s.serve(ctx, "green", "VALOR_FAULT_ERRORS=0.05")
	if err != nil {
		return err
	}
	if err := s.configure(green); err != nil {
		return err
	}
	if s.admin, err = weirclient.New(weirclient.Options{Address: s.at(), Operator: "ann", Timeout: answerLimit}); err != nil {
		return err
	}
	if s.edge, err = s.start(exec.Command(s.options.weir, "run", "-c", s.config())); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *stage) at() string     { return "unix://" + filepath.Join(s.dir, "admin.sock") }
func (s *stage) config() string { return filepath.Join(s.dir, "weir.toml") }

// configure writes weir's configuration with the green that is to be shipped.
func (s *stage) configure(green string) error {
	text := fmt.Sprintf(`[admin]
address = %q
state_dir = "state"

[log]
access = "off"

[[listener]]
name = "http"
address = "127.0.0.1:0"

[[route]]
service = "api"

[service.api]
# A machine that is busy is not ill: 25 s without an answer are. What is shipped here passes its checks.
health = { path = "/api/readiness", interval = "5s", timeout = "5s", rise = 1, fall = 5 }
connect_timeout = "30s"

[service.api.group.blue]
weight = 100
targets = [%q]

[service.api.group.green]
weight = 0
targets = [%q]
`, s.at(), s.blue, green)
	if err := os.WriteFile(s.config(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// ready waits until weir listens and finds both groups healthy.
func (s *stage) ready(ctx context.Context) error {
	return await(ctx, "weir is ready", func() (bool, error) {
		if err := s.edge.ended(); err != nil {
			return false, err
		}
		status, err := s.admin.Status(ctx)
		if err != nil || len(status.Listeners) != 1 || len(status.Services) != 1 {
			return false, nil // not yet
		}
		s.address = status.Listeners[0].Address
		for _, g := range status.Services[0].Groups {
			for _, t := range g.Targets {
				if t.State != "healthy" {
					return false, nil
				}
			}
		}
		return true, nil
	})
}

// repair ships a green without the fault in place of the other: a new target, put in force by a reload.
func (s *stage) repair(ctx context.Context) error {
	green, err := s.serve(ctx, "green")
	if err != nil {
		return err
	}
	if err := s.configure(green); err != nil {
		return err
	}
	if _, err := s.admin.Reload(ctx, 0); err != nil {
		return err
	}
	return s.ready(ctx)
}

// typed runs a verb of weir as an operator types it, and gives what it says.
func (s *stage) typed(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.options.weir, append(args, "--admin", s.at())...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("weir %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// close ends everything, weir first: what is in flight needs the others.
func (s *stage) close() {
	if s.edge != nil {
		s.edge.end()
	}
	for _, c := range s.children {
		c.end()
	}
	_ = os.RemoveAll(s.dir) // ours alone, and temporary
}

// serve starts a valor-api on a port that it picks, and gives the address.
func (s *stage) serve(ctx context.Context, colour string, environment ...string) (address string, err error) {
	cmd := exec.Command(s.options.api)
	cmd.Env = append(append(os.Environ(), "VALOR_ENV=demo", "VALOR_COLOR="+colour, "VALOR_ADDRESS=127.0.0.1:0",
		"VALOR_DATABASE=file:"+filepath.Join(s.dir, "valor.db"), "VALOR_JWT_SECRET="+s.secret+s.secret), environment...)
	c, err := s.start(cmd)
	if err != nil {
		return "", err
	}
	err = await(ctx, colour+" listens", func() (ok bool, err error) {
		address, ok = c.voice.listening()
		return ok, c.ended()
	})
	return address, err
}

// child is a process of ours.
type child struct {
	cmd   *exec.Cmd
	voice voice
	done  chan struct{} // closed once it has ended
}

func (s *stage) start(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, done: make(chan struct{})}
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = &c.voice, &c.voice
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w (make build)", cmd.Path, err)
	}
	s.children = append(s.children, c)
	go func() { // ends with the process
		_ = cmd.Wait() // ended says what there is to say
		close(c.done)
	}()
	return c, nil
}

// ended is an error when the process is no more.
func (c *child) ended() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s has ended: %s\n%s", filepath.Base(c.cmd.Path), c.cmd.ProcessState, c.voice.last())
	default:
		return nil
	}
}

// patience is how long a child may take to end.
const patience = 15 * time.Second

func (c *child) end() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.done
	}
}

// voice is what a child writes: its end, and the lines that say where it listens.
type voice struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// mostSaid bounds what is kept; what matters is said at the start, and what went wrong at the end.
const mostSaid = 1 << 20

// Write implements io.Writer.
func (v *voice) Write(p []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.b.Len()+len(p) > mostSaid {
		v.b.Reset()
	}
	return v.b.Write(p)
}

func (v *voice) last() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	b := v.b.Bytes()
	return string(b[max(0, len(b)-2000):])
}

// listening is the address that valor-api logs when it serves.
func (v *voice) listening() (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for line := range bytes.Lines(v.b.Bytes()) {
		var entry struct{ Msg, Address string }
		if err := json.Unmarshal(line, &entry); err == nil && entry.Msg == "listening" {
			return entry.Address, true
		}
	}
	return "", false
}
