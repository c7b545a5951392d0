package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pair of pseudo-terminal ends: what a program sees as its terminal, and the hands and eyes in front of it.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("skipped: no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 100}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

// TestE2ETop: what goes through the edge is on the screen of `weir top`; keys sort and quit; the terminal is left as it was found. The edge's stop ends no `top`: it says so and waits.
func TestE2ETop(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	e := run(t, dir, newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address))
	person, program := terminal(t)
	was, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	var screen text
	go func() { // ends when the terminal is closed
		b := make([]byte, 4096)
		for {
			n, err := person.Read(b)
			_, _ = screen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	cmd := exec.Command(filepath.Join(programs(t), "weir"), "top", "--admin", "unix://"+e.socket)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	if err := begin(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	shows := func(what string, parts ...string) {
		t.Helper()
		eventually(t, time.Minute, what, func() bool {
			frames := strings.Split(screen.String(), "\x1b[H")
			for _, frame := range frames {
				all := true
				for _, part := range parts {
					all = all && strings.Contains(frame, part)
				}
				if all {
					return true
				}
			}
			return false
		})
	}
	shows("a first frame", "SERVICE", "blue", "ROUTE", "by name")
	press := func(key string) {
		t.Helper()
		if _, err := person.WriteString(key); err != nil {
			t.Fatal(err)
		}
	}
	press("x") // means nothing
	press("s")
	shows("another order", "by requests")
	res, err := http.Get("http://" + e.address("http") + "/")
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	rates := regexp.MustCompile(`\nall +\d+\.\d `)
	eventually(t, time.Minute, "what the route does", func() bool { return rates.MatchString(screen.String()) })
	eventually(t, time.Minute, "a latency", func() bool { return strings.Contains(screen.String(), " ms  ") })
	e.signal(syscall.SIGTERM)
	if code := e.wait(time.Minute); code != 0 {
		t.Errorf("exit %d of the edge under watch", code)
	}
	shows("that weir is gone", "connection lost, trying again")
	press("q")
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("q does not quit")
	}
	eventually(t, time.Minute, "the screen is given back", func() bool { return strings.HasSuffix(screen.String(), "\x1b[?25h\x1b[?1049l") })
	now, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil || *now != *was {
		t.Errorf("the terminal is %+v %v, was %+v", now, err, was)
	}
}
