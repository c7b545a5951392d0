package websocket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/websocket"
)

// guest is a client that keeps what it is told.
type guest struct {
	told    bytes.Buffer
	stopped time.Time // when StopReading was called
	deaf    bool
}

var errDeaf = errors.New("deaf")

func (g *guest) Write(b []byte) (int, error) {
	if g.deaf {
		return 0, errDeaf
	}
	return g.told.Write(b)
}

func (g *guest) StopReading() error { g.stopped = time.Now(); return nil }

// open is a WebSocket whose upstream's far end reads whatever it is told.
func open(g *guest) (s *websocket.Socket, near net.Conn, end func()) {
	near, far := net.Pipe()
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(io.Discard, far) }()
	return websocket.New(g, near), near, func() { _ = near.Close(); <-read }
}

var (
	text       = []byte{0x81, 2, 'h', 'i'}
	fromServer = []byte{0x88, 2, 0x03, 0xe8}
	fromClient = []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}
)

// However the upstream's bytes come, seen or not, and wherever among them the wish: the client gets whole frames, one close frame, and nothing more.
func TestPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		ends := map[int]bool{0: true}
		for range rapid.IntRange(1, 8).Draw(t, "frames") {
			length := rapid.SampledFrom([]int{0, 1, 125, 300}).Draw(t, "length")
			if all = append(all, 0x82, 126, byte(length>>8), byte(length)); length < 126 {
				all = append(all[:len(all)-3], byte(length))
			}
			all = append(all, bytes.Repeat([]byte{0x88}, length)...)
			ends[len(all)] = true
		}
		g := &guest{}
		s, _, end := open(g)
		defer end()
		defer s.End()
		client := websocket.ToClient{Socket: s}
		wish := rapid.IntRange(0, len(all)).Draw(t, "wish")
		passed := 0 // past Deliver
		for at := 0; at < len(all); {
			if at == wish {
				s.Part(websocket.ServiceRestart)
			}
			n := rapid.IntRange(1, len(all)-at).Draw(t, "piece")
			if at < wish {
				n = min(n, wish-at)
			}
			if inside := client.Inside(); inside > 0 && rapid.Bool().Draw(t, "unseen") {
				n = min(n, int(inside))
				g.told.Write(all[at : at+n])
				if err := client.Skip(uint64(n)); err != nil {
					t.Fatal(err)
				}
			} else if k, err := client.Deliver(all[at : at+n]); err != nil || k > n {
				t.Fatal(k, err)
			} else {
				passed += k
			}
			at += n
		}
		if wish == len(all) {
			s.Part(websocket.ServiceRestart)
		}
		last := wish
		for !ends[last] {
			last++
		}
		if want := append(all[:last:last], 0x88, 2, 0x03, 0xf4); !bytes.Equal(g.told.Bytes(), want) || !s.Parted() {
			t.Fatalf("of % x with the wish at %d the client got % x", all, wish, g.told.Bytes())
		}
		if _, err := client.Deliver(fromServer); err != io.EOF {
			t.Fatalf("the upstream's close frame: %v", err)
		}
	})
}

// TestFarewell: a client that says nothing for its time is waited for no longer, one that goes on talking is; once it has answered, the upstream has as long.
func TestFarewell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &guest{}
		s, near, end := open(g)
		defer end()
		from := time.Now()
		s.Part(websocket.GoingAway)
		up := websocket.ToUpstream{Socket: s}
		for range 3 {
			time.Sleep(websocket.Farewell - time.Second)
			if _, err := up.Deliver(text); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(websocket.Farewell + time.Second)
		synctest.Wait()
		if want := 4*websocket.Farewell - 3*time.Second; g.stopped.Sub(from) != want {
			t.Errorf("given up after %v, want %v", g.stopped.Sub(from), want)
		}
		if _, err := up.Deliver(fromClient); err != nil {
			t.Fatal(err)
		}
		from = time.Now()
		if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(from) != websocket.Farewell {
			t.Errorf("the upstream was waited for %v: %v", time.Since(from), err)
		}
		s.End()
	})
}

// TestEnd: nobody is touched any more after the end, whatever was wished before or after.
func TestEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parted, late := &guest{}, &guest{}
		s, _, end := open(parted)
		defer end()
		s.Part(websocket.GoingAway)
		s.End()
		time.Sleep(2 * websocket.Farewell)
		s, _, end = open(late)
		defer end()
		s.End()
		s.Part(websocket.GoingAway)
		synctest.Wait()
		if late.told.Len() != 0 || !parted.stopped.IsZero() {
			t.Errorf("told % x, stopped %v", late.told.Bytes(), parted.stopped)
		}
	})
}

// TestPartOfTheDeaf: what cannot be said is an error of the client's where somebody listens to it, and everything else ends as usual.
func TestPartOfTheDeaf(t *testing.T) {
	g := &guest{deaf: true}
	s, _, end := open(g)
	defer end()
	defer s.End()
	client := websocket.ToClient{Socket: s}
	g.deaf = false
	if _, err := client.Deliver(text[:3]); err != nil {
		t.Fatal(err)
	}
	g.deaf = true
	s.Part(websocket.GoingAway)
	if err := client.Skip(1); err != errDeaf {
		t.Errorf("%v", err)
	}
}

// Frames of a socket that nobody parts cost no memory.
func TestFramesAllocateNothing(t *testing.T) {
	s := websocket.New(&still{}, nil)
	client := websocket.ToClient{Socket: s}
	if n := testing.AllocsPerRun(1000, func() { _, _ = client.Deliver(text) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// still is a client that forgets what it is told.
type still struct{}

func (still) Write(b []byte) (int, error) { return len(b), nil }

func (still) StopReading() error { return nil }
