package handover_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/valor-ivx/weir/proxy/handover"
	"github.com/valor-ivx/weir/proxy/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// given is a duplicate of a socket as it comes from outside, named.
func given(t *testing.T, name string, socket interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	fd, err := dup(f)
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(fd, name)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

type filer interface{ File() (*os.File, error) }

// TestTake: a socket is found by where it is, where that says too little by its name, each once, and what nobody takes is told of.
func TestTake(t *testing.T) {
	dir := t.TempDir()
	one, two, every := listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp4", "0.0.0.0:0")
	admin := listen(t, "unix", filepath.Join(dir, "a"))
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = packets.Close() }()
	_, port, _ := net.SplitHostPort(every.Addr().String())
	in, err := handover.FromSystemd([]*os.File{
		given(t, "weir.socket", one.(filer)), given(t, "web", two.(filer)), given(t, "weir.socket", every.(filer)), given(t, "weir.socket", admin.(filer)), given(t, "web", packets.(filer)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if in.Predecessor() != nil {
		t.Error("systemd is no process before")
	}
	for _, c := range []struct{ network, name, address, want string }{
		{"tcp", "x", "127.0.0.1:1", ""},
		{"tcp", "x", "127.0.0.2:0", ""},
		{"tcp", "x", "127.0.0.1:0", ""}, // any port is asked for by name
		{"tcp", "x", "10.0.0.1:" + port, ""},
		{"unix", "admin", filepath.Join(dir, "b"), ""},
		{"tcp", "http", one.Addr().String(), one.Addr().String()},
		{"tcp", "http", one.Addr().String(), ""}, // it is taken
		{"tcp", "web", "127.0.0.1:0", two.Addr().String()},
		{"tcp", "https", ":" + port, every.Addr().String()},
		{"unix", "admin", filepath.Join(dir, "a"), admin.Addr().String()},
	} {
		l, foreign := in.Listener(c.network, c.name, c.address)
		got := ""
		if l != nil {
			got = l.Addr().String()
			_ = l.Close()
		}
		if got != c.want || foreign != (l != nil) {
			t.Errorf("%s %s %s: %q, want %q", c.network, c.name, c.address, got, c.want)
		}
	}
	if got := in.Left(); len(got) != 1 || got[0] != "web (udp "+packets.LocalAddr().String()+")" {
		t.Errorf("left: %q", got)
	}
	if u := in.Packets("x", packets.LocalAddr().String()); u == nil || in.Left() != nil {
		t.Errorf("packets %v, left %q", u, in.Left())
	} else {
		_ = u.Close()
	}
	if _, err := os.Lstat(filepath.Join(dir, "a")); err != nil {
		t.Errorf("a socket's file that is systemd's: %v", err)
	}
}

// TestNothing: a process that was given nothing finds nothing.
func TestNothing(t *testing.T) {
	var in *handover.Inheritance
	if l, _ := in.Listener("tcp", "x", ":1"); l != nil || in.Packets("x", ":1") != nil || in.Left() != nil || in.Predecessor() != nil {
		t.Error("something was found")
	}
	in.Serving()
	in.Close()
}

// before plays the process before: it says what it is told to, and gives what it hears.
type before struct {
	to   *os.File
	from *bufio.Scanner
}

func conversation(t *testing.T) (b *before, from, to *os.File) {
	t.Helper()
	theirs, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r, ours, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close(); _ = r.Close() })
	return &before{w, bufio.NewScanner(r)}, theirs, ours
}

func (b *before) say(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(b.to, text+"\n"); err != nil {
		t.Fatal(err)
	}
}

func (b *before) hear() string {
	b.from.Scan()
	return b.from.Text()
}

// TestConversation holds the heir to its words and their order, with every end that the process before can come to.
func TestConversation(t *testing.T) {
	hello := func(address string) string {
		return fmt.Sprintf(`{"word":"hello","protocol":1,"sockets":[{"network":"tcp","name":"web","address":%q}],"later":"ignored"}`, address)
	}
	for _, c := range []struct {
		name, last  string // what the process before says after ready; "": it ends
		state, fail string
	}{
		{"go", `{"word":"go","state":{"a":1}}`, `{"a":1}`, ""},
		{"it has ended", "", "", ""},
		{"half a word", `{"word":"g`, "", ""},
		{"another word", `{"word":"hello"}`, "", `says "hello"`},
		{"nonsense", `]`, "", "invalid character"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, from, to := conversation(t)
			l := listen(t, "tcp", "127.0.0.1:0")
			b.say(t, hello("127.0.0.1:0"))
			in, err := handover.FromPredecessor(from, to, []*os.File{given(t, "", l.(filer))})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			if got, _ := in.Listener("tcp", "other", "127.0.0.1:0"); got != nil {
				t.Error("of two on port 0 the other one")
			}
			got, foreign := in.Listener("tcp", "web", "127.0.0.1:0")
			if got == nil || foreign || got.Addr().String() != l.Addr().String() {
				t.Fatalf("taken: %v", got)
			}
			defer func() { _ = got.Close() }()
			ready := make(chan string, 1)
			go func() {
				ready <- b.hear()
				if c.last != "" {
					_, _ = io.WriteString(b.to, c.last)
				}
				_ = b.to.Close()
			}()
			state, err := in.Predecessor().Ready("v2")
			if word := <-ready; word != `{"word":"ready","version":"v2"}` {
				t.Errorf("said %s", word)
			}
			if c.fail != "" {
				if err == nil || !strings.Contains(err.Error(), c.fail) {
					t.Errorf("error %v, want %s", err, c.fail)
				}
				in.Predecessor().Refuse([]string{"no"})
				if word := b.hear(); word != `{"word":"refused","errors":["no"]}` {
					t.Errorf("said %s", word)
				}
				return
			}
			if err != nil || string(state) != c.state {
				t.Errorf("state %s %v, want %s", state, err, c.state)
			}
			in.Serving()
			if word := b.hear(); word != `{"word":"serving"}` {
				t.Errorf("said %s", word)
			}
		})
	}
}

// TestServingWaits: a process that serves goes on when the one before has closed its end, which it does when it accepts no more.
func TestServingWaits(t *testing.T) {
	b, from, to := conversation(t)
	l := listen(t, "tcp", "127.0.0.1:0")
	b.say(t, `{"word":"hello","protocol":1,"sockets":[{"network":"tcp","name":"web","address":"127.0.0.1:0"}]}`)
	in, err := handover.FromPredecessor(from, to, []*os.File{given(t, "", l.(filer))})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var released atomic.Bool
	said := make(chan string, 1)
	go func() {
		said <- b.hear()
		released.Store(true)
		_ = b.to.Close()
	}()
	in.Serving()
	if !released.Load() {
		t.Error("it went on beside the process before")
	}
	if word := <-said; word != `{"word":"serving"}` {
		t.Errorf("said %s", word)
	}
}

// TestHelloRefused: a process before that speaks otherwise is told so.
func TestHelloRefused(t *testing.T) {
	for _, c := range []struct{ name, hello, says string }{
		{"newer", `{"word":"hello","protocol":2}`, "version 2"},
		{"another word", `{"word":"go","protocol":1}`, "version 1"},
		{"sockets missing", `{"word":"hello","protocol":1,"sockets":[{"name":"a"},{"name":"b"}]}`, "2 sockets and gives 1"},
		{"nothing", "", "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, from, to := conversation(t)
			if c.hello != "" {
				b.say(t, c.hello)
			}
			_ = b.to.Close()
			l := listen(t, "tcp", "127.0.0.1:0")
			_, err := handover.FromPredecessor(from, to, []*os.File{given(t, "", l.(filer))})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("error %v, want %s", err, c.says)
			}
			var said struct {
				Word   string
				Errors []string
			}
			if err := json.Unmarshal([]byte(b.hear()), &said); err != nil || said.Word != "refused" || len(said.Errors) != 1 {
				t.Errorf("said %+v %v", said, err)
			}
			if b.from.Scan() || b.from.Err() != nil && !errors.Is(b.from.Err(), os.ErrClosed) {
				t.Error("it goes on after it refused")
			}
		})
	}
}
func dup(f *os.File) (uintptr, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return uintptr(fd), err
}
