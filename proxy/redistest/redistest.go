// Package redistest runs Debian's redis-server for the tests of several packages. Nothing but tests imports it (layers_test.go holds that).
package redistest

import (
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// Test is what a testing.T has of use here.
type Test interface {
	porttest.Test
	Fatal(args ...any)
	Skip(args ...any)
	TempDir() string
}

// Server can be killed and started again on its address. It keeps what it has in a folder, as one in production does.
type Server struct {
	Address string
	t       Test
	dir     string
	process *exec.Cmd
}

// New starts one that ends with the test, which is skipped, or with WEIR_TEST_ALL fails, where the program is missing.
func New(t Test) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs redis-server (make deps)")
		}
		t.Skip("skipped: needs redis-server (make deps)")
	}
	s := &Server{Address: porttest.Reserve(t), t: t, dir: t.TempDir()}
	s.Start()
	t.Cleanup(s.Kill)
	return s
}

// URL is where clients find it.
func (s *Server) URL() string { return "redis://" + s.Address }

// Start starts it, and waits until it answers.
func (s *Server) Start() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Address)
	s.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", s.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); !s.answers(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatal("redis-server does not answer")
		}
	}
}

func (s *Server) answers() bool {
	c, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("PING\r\n"))
	answer := make([]byte, 5)
	_, err = c.Read(answer)
	return err == nil && string(answer) == "+PONG"
}

// Kill ends it as a failing machine does, if it runs.
func (s *Server) Kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// Forget makes the next Start begin with nothing.
func (s *Server) Forget() { s.dir = s.t.TempDir() }
