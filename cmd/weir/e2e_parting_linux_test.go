package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// parting is a weir before a WebSocket server that echoes, and its clients.
type parting struct {
	t     *testing.T
	ctx   context.Context
	weir  *lineage
	http  *http.Client
	ended chan websocket.StatusCode // of each socket, as the upstream saw it
	half  chan struct{}             // closed: the rest of the long message comes
}

const longMessage = 10 << 20

// partingDrain is short for a drain, but leaves the last sockets to be closed, after 5 s, as many seconds to answer as a long one.
const partingDrain = "10s"

func newParting(t *testing.T) *parting {
	dir := folder(t)
	p := &parting{t: t, ended: make(chan websocket.StatusCode, 1000), half: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	p.ctx = ctx
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/other" {
			otherProtocol(w)
			return
		}
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		if r.URL.Path == "/long" {
			err = p.sendLong(c)
		}
		for err == nil {
			var kind websocket.MessageType
			var message []byte
			if kind, message, err = c.Read(ctx); err == nil {
				err = c.Write(ctx, kind, message)
			}
		}
		_ = c.CloseNow()
		p.ended <- websocket.CloseStatus(err)
	}))
	t.Cleanup(upstream.Close)
	t.Cleanup(cancel)
	c := upgradeConf(t, dir)
	c.blues, c.greens = []string{upstream.Listener.Addr().String()}, []string{upstream.Listener.Addr().String()}
	p.weir = founded(t, dir, c.String(), nil, "--drain-timeout", partingDrain).begin()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	p.http = &http.Client{Transport: transport}
	return p
}

// sendLong sends one message in two halves.
func (p *parting) sendLong(c *websocket.Conn) error {
	w, err := c.Writer(p.ctx, websocket.MessageBinary)
	if err != nil {
		return err
	}
	half := make([]byte, longMessage/2)
	_, err = w.Write(half)
	<-p.half
	if err == nil {
		_, err = w.Write(half)
	}
	if err == nil {
		err = w.Close()
	}
	return err
}

// otherProtocol switches to one that is no WebSocket, and says nothing in it.
func otherProtocol(w http.ResponseWriter) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
	_ = rw.Flush()
	_, _ = rw.ReadByte()
}

// dial opens a WebSocket; every second one over TLS.
func (p *parting) dial(i int, path string) *websocket.Conn {
	p.t.Helper()
	url := "ws://" + p.weir.address("http")
	if i%2 == 1 {
		url = "wss://" + p.weir.address("tls")
	}
	c, _, err := websocket.Dial(p.ctx, url+path, &websocket.DialOptions{HTTPClient: p.http})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = c.CloseNow() })
	c.SetReadLimit(2 * longMessage)
	return c
}

// echo holds a socket to be alive.
func (p *parting) echo(c *websocket.Conn, text string) {
	p.t.Helper()
	err := c.Write(p.ctx, websocket.MessageText, []byte(text))
	if err != nil {
		p.t.Fatal(err)
	}
	if _, got, err := c.Read(p.ctx); err != nil || string(got) != text {
		p.t.Fatalf("echo %q of %q: %v", got, text, err)
	}
}

// everyEnd holds n sockets to have ended with that code as the upstream sees it.
func (p *parting) everyEnd(n int, want websocket.StatusCode) {
	p.t.Helper()
	for range n {
		select {
		case got := <-p.ended:
			if got != want {
				p.t.Errorf("the upstream saw a socket end with %d, want %d", got, want)
			}
		case <-p.ctx.Done():
			p.t.Fatal("the upstream has not seen all of them end")
		}
	}
}

// TestE2EWebSocketsAreClosed: after TERM each WebSocket is closed with 1001 before the deadline, by a handshake that client and upstream see; also one in the middle of a message of 10 MB, whose rest comes
// first.
func TestE2EWebSocketsAreClosed(t *testing.T) {
	t.Parallel()
	p := newParting(t)
	sockets := make([]*websocket.Conn, count(40, 200))
	for i := range sockets {
		sockets[i] = p.dial(i, "/")
		p.echo(sockets[i], "before")
	}
	long := p.dial(0, "/long")
	_, body, err := long.Reader(p.ctx)
	if err != nil {
		t.Fatal(err)
	}
	p.weir.signal(syscall.SIGTERM)
	var all sync.WaitGroup
	for i, c := range sockets {
		all.Go(func() {
			if _, _, err := c.Read(p.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("socket %d ended with %v", i, err)
			}
		})
	}
	all.Wait()
	p.everyEnd(len(sockets), websocket.StatusGoingAway)
	close(p.half)
	if n, err := io.Copy(io.Discard, body); n != longMessage || err != nil {
		t.Errorf("of the long message came %d bytes, %v", n, err)
	}
	if _, _, err := long.Read(p.ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the one with the long message ended with %v", err)
	}
	p.everyEnd(1, websocket.StatusGoingAway)
	if code := p.weir.wait(eventuallyLong); code != 0 {
		t.Errorf("exit %d", code)
	}
	log, err := os.ReadFile(filepath.Join(p.weir.dir, "access.log"))
	if said := fmt.Sprintf(`"weir.websockets_closed":%d`, len(sockets)+1); err != nil || !strings.Contains(string(log), said) {
		t.Errorf("the log does not say %s: %v", said, err)
	}
	measured(t, "TERM with WebSockets open, over TLS and not, one of them in a message of 10 MB", "%d sockets, all closed with 1001 before the deadline, answered, and seen so by the upstream", len(sockets)+1)
}

// TestE2EUpgradeClosesWebSockets: those of a process that was replaced are closed with 1012, and find the new one when they come again.
func TestE2EUpgradeClosesWebSockets(t *testing.T) {
	t.Parallel()
	p := newParting(t)
	n := count(20, 200)
	sockets, others := make([]*websocket.Conn, n), make([]*websocket.Conn, n)
	for i := range sockets {
		sockets[i] = p.dial(i, "/")
		p.echo(sockets[i], "old")
	}
	p.weir.upgrade()
	var all sync.WaitGroup
	for i, c := range sockets {
		all.Go(func() { // none waits for another's turn to answer: the deadline does not
			if _, _, err := c.Read(p.ctx); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("socket %d ended with %v", i, err)
			}
		})
	}
	for i := range others {
		others[i] = p.dial(i, "/")
		p.echo(others[i], "new")
	}
	all.Wait()
	for i := range sockets {
		c := p.dial(i, "/")
		p.echo(c, "again")
		if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	got := map[websocket.StatusCode]int{}
	for range 2 * n {
		select {
		case code := <-p.ended:
			got[code]++
		case <-p.ctx.Done():
			t.Fatalf("the upstream saw ends of %v", got)
		}
	}
	if got[websocket.StatusServiceRestart] != n || got[websocket.StatusNormalClosure] != n {
		t.Errorf("the upstream saw ends of %v", got)
	}
	p.weir.over() // its sockets have ended, so has it
	for _, c := range others {
		p.echo(c, "still new")
		_ = c.CloseNow()
	}
	p.weir.end()
	measured(t, "WebSockets of a process that was replaced, over TLS and not", "%d sockets closed with 1012, each was served by the new process at once; its own %d stayed", n, n)
}

// TestE2EDeafWebSocket: neither a client that does not answer a close frame nor a tunnel of another protocol, which nobody can close, holds up the end beyond its deadline; the tunnel ends without a word.
func TestE2EDeafWebSocket(t *testing.T) {
	t.Parallel()
	p := newParting(t)
	address := p.weir.address("http")
	open := func(path, protocol string) *bufio.Reader {
		k := dialKept(t, address)
		_, err := fmt.Fprintf(k.conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, protocol)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.ReadResponse(k.r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v %v", res, err)
		}
		return k.r
	}
	deaf, other := open("/", "websocket"), open("/other", "other")
	p.weir.signal(syscall.SIGTERM)
	frame := make([]byte, 4)
	if _, err := io.ReadFull(deaf, frame); err != nil || !bytes.Equal(frame, binary.BigEndian.AppendUint16([]byte{0x88, 2}, uint16(websocket.StatusGoingAway))) {
		t.Errorf("the deaf one was told % x, %v", frame, err)
	}
	p.everyEnd(1, -1) // without an answer there is none to pass on
	if b, _ := io.ReadAll(other); len(b) != 0 {
		t.Errorf("the tunnel was told %q", b)
	}
	if code := p.weir.wait(eventuallyLong); code != 3 {
		t.Errorf("exit %d, want 3: the tunnel was cut", code)
	}
}
