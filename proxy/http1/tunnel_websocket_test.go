package http1_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/websocket"
)

const (
	openSocket   = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	openedSocket = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// tunnel is a WebSocket that is open: both far ends, and what joins the near ones.
type tunnel struct {
	client, up net.Conn
	socket     *websocket.Socket
	join       func() // Tunnel, and what its callers do then
}

// told is a websocket.Client.
type told struct {
	io.Writer
	stop func() error
}

func (c told) StopReading() error { return c.stop() }

// openTunnel asks for a WebSocket and gets it; the upstream has read the request.
func openTunnel(t *testing.T, clientTLS, upTLS bool) tunnel {
	t.Helper()
	near, far := ends(t, clientTLS)
	upFar, upNear := ends(t, upTLS)
	s, u := http1.NewServerConn(near, &http1.ServerOptions{Limits: http1.DefaultLimits()}), http1.NewClientConn(upNear)
	ask(t, far, upFar, s, u, openSocket, openedSocket)
	for head := []byte(nil); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		var b [1]byte
		if _, err := io.ReadFull(upFar, b[:]); err != nil {
			t.Fatal(err)
		}
		head = append(head, b[0])
	}
	socket := websocket.New(told{near, s.StopReading}, upNear)
	return tunnel{far, upFar, socket, func() {
		http1.Tunnel(s, u, socket)
		socket.End()
		_, _ = s.Close(), u.Close()
	}}
}

// ends are those of a connection: its server's and its client's.
func ends(t *testing.T, secure bool) (server, client net.Conn) {
	t.Helper()
	s, c := pair(t)
	for _, conn := range []net.Conn{s, c} {
		_ = conn.SetDeadline(time.Now().Add(time.Minute)) // of those that the tunnel has, nothing else sets one
	}
	if !secure {
		return s, c
	}
	source := httptest.NewTLSServer(nil)
	defer source.Close()
	far, near := tls.Server(s, &tls.Config{Certificates: source.TLS.Certificates}), tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- far.Handshake() }()
	if err := errors.Join(near.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return far, near
}

// messageFrame is the frame of that number: its length and contents follow from it. Those to the server are masked, by zeroes.
func messageFrame(n int, mask byte) []byte {
	length := []int{0, 1, 125, 126, 4096, 9000, 70000, 300000}[rand.New(rand.NewPCG(uint64(n), 1)).IntN(8)]
	b := binary.BigEndian.AppendUint64([]byte{0x82, 127 | mask}, uint64(length))
	if mask != 0 {
		b = append(b, 0, 0, 0, 0)
	}
	return append(b, bytes.Repeat([]byte{byte(n)}, length)...)
}

// readMessages holds what comes to be the frames of these numbers until a close frame, whose code it gives. each is called after each.
func readMessages(r *bufio.Reader, mask byte, each func(n int)) (code int, err error) {
	for n := 0; ; n++ {
		head, err := r.Peek(2)
		if err != nil {
			return 0, fmt.Errorf("before frame %d: %w", n, err)
		}
		if head[0] == 0x88 {
			b := make([]byte, 4+4*int(mask>>7))
			if _, err := io.ReadFull(r, b); err != nil || b[1] != 2|mask {
				return 0, fmt.Errorf("close frame % x: %w", b, err)
			}
			return int(binary.BigEndian.Uint16(b[len(b)-2:])), nil
		}
		want := messageFrame(n, mask)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
			return 0, fmt.Errorf("frame %d is another: %w", n, err)
		}
		each(n)
	}
}

// sendMessages sends frames in pieces until told to stop, and then last.
func sendMessages(w net.Conn, mask byte, stop <-chan struct{}, seed uint64, last []byte) error {
	random := rand.New(rand.NewPCG(seed, 2))
	for n := 0; ; n++ {
		select {
		case <-stop:
			_, err := w.Write(last)
			return err
		default:
		}
		for b := messageFrame(n, mask); len(b) > 0; {
			k := min(len(b), 1+random.IntN(40000))
			if _, err := w.Write(b[:k]); err != nil {
				return err
			}
			b = b[k:]
		}
	}
}

var (
	fromServer = []byte{0x88, 2, 0x03, 0xe8}
	fromClient = []byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8}
	ours       = []byte{0x88, 2, 0x03, 0xe9}
)

// TestTunnelParts: while both sides talk as fast as they can, over TLS or not, a wish to part puts one close frame between two of the upstream's, after which nothing comes; all that the client says
// until its answer to that reaches the upstream, the answer too.
func TestTunnelParts(t *testing.T) {
	for seed := range uint64(4) {
		x := openTunnel(t, seed&1 != 0, seed&2 != 0)
		var sides sync.WaitGroup
		hasHeard, isAnswered := make(chan struct{}), make(chan struct{})
		sides.Go(func() {
			r := bufio.NewReader(x.client)
			code, err := readMessages(r, 0, func(n int) {
				if n == int(seed)*5 {
					sides.Go(func() { x.socket.Part(websocket.ServiceRestart) })
				}
			})
			if close(hasHeard); err != nil || code != websocket.ServiceRestart {
				t.Errorf("%d: the client got code %d, %v", seed, code, err)
			}
			if rest, err := io.ReadAll(r); len(rest) != 0 || err != nil {
				t.Errorf("%d: behind the close frame: %d bytes, %v", seed, len(rest), err)
			}
			_ = x.client.Close()
		})
		sides.Go(func() {
			if err := sendMessages(x.client, 0x80, hasHeard, seed, fromClient); err != nil {
				t.Errorf("%d: the client says: %v", seed, err)
			}
		})
		sides.Go(func() {
			defer close(isAnswered)
			if code, err := readMessages(bufio.NewReader(x.up), 0x80, func(int) {}); err != nil || code != 1000 {
				t.Errorf("%d: the upstream got code %d, %v", seed, code, err)
			}
		})
		sides.Go(func() {
			if err := sendMessages(x.up, 0, isAnswered, seed, fromServer); err != nil {
				t.Errorf("%d: the upstream says: %v", seed, err)
			}
		})
		x.join()
		sides.Wait()
	}
}

// TestTunnelPartsBetweenMessages: a message that has begun ends before a close frame, however long its rest takes; a side that closes by itself is not talked into.
func TestTunnelPartsBetweenMessages(t *testing.T) {
	for _, first := range []string{"upstream is in a message", "client has closed", "upstream has closed"} {
		t.Run(first, func(t *testing.T) {
			x := openTunnel(t, false, false)
			ended := make(chan struct{})
			go func() { defer close(ended); x.join() }()
			send := func(c net.Conn, b ...byte) {
				t.Helper()
				if _, err := c.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			expect := func(c net.Conn, want ...byte) {
				t.Helper()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("got % x, %v, want % x", got, err, want)
				}
			}
			switch first {
			case "upstream is in a message":
				send(x.up, 0x01, 3, 'a')
				expect(x.client, 0x01, 3, 'a')
				x.socket.Part(websocket.GoingAway)
				send(x.up, 'b', 'c', 0x80, 0, 0x81, 1, 'd') // the last message is never delivered: it would follow the close frame
				expect(x.client, append([]byte{'b', 'c', 0x80, 0}, ours...)...)
				send(x.client, fromClient...)
				expect(x.up, fromClient...)
				send(x.up, fromServer...)
				if rest, err := io.ReadAll(x.client); len(rest) != 0 || err != nil {
					t.Errorf("then % x, %v", rest, err)
				}
			case "client has closed":
				send(x.client, fromClient...)
				expect(x.up, fromClient...)
				x.socket.Part(websocket.GoingAway)
				send(x.up, 0x81, 1, 'd')
				send(x.up, fromServer...)
				expect(x.client, append([]byte{0x81, 1, 'd'}, fromServer...)...)
			case "upstream has closed":
				send(x.up, fromServer...)
				expect(x.client, fromServer...)
				x.socket.Part(websocket.GoingAway)
				send(x.client, fromClient...)
				expect(x.up, fromClient...)
			}
			_ = x.up.Close()
			_ = x.client.(*net.TCPConn).CloseWrite()
			<-ended
			if rest, err := io.ReadAll(x.client); len(rest) != 0 || err != nil {
				t.Errorf("at last % x, %v", rest, err)
			}
		})
	}
}
