package main

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
)

// backend is an upstream server in this process.
type backend struct {
	address string
	served  atomic.Int64
	release chan struct{} // closed by letGo: what asked to be held is answered
	letGo   func()
	end     func(context.Context) error // answers what it was asked, and is no more
}

// newBackend serves one colour on a free port until the test ends.
func newBackend(t *testing.T, colour string) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: l.Addr().String(), release: make(chan struct{})}
	b.letGo = sync.OnceFunc(func() { close(b.release) })
	srv := &http.Server{Handler: colourHandler(colour, &b.served, b.release)}
	b.end = srv.Shutdown
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close() // streams are still open, and may be cut now
		<-ended
	})
	return b
}

// held is a number of milliseconds that lasts until letGo.
const held = 0

// colourHandler answers everything with its colour and the body it was sent; some paths do more.
func colourHandler(colour string, served *atomic.Int64, release <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /sse", events)
	mux.HandleFunc("GET /ws", echoSocket)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		served.Add(1)
		if ms, err := strconv.Atoi(r.URL.Query().Get("ms")); err == nil {
			over := make(<-chan time.Time)
			if ms > held {
				over = time.After(time.Duration(ms) * time.Millisecond)
			}
			select {
			case <-over:
			case <-release:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("X-Color", colour)
		fmt.Fprintf(w, "%s %s", colour, body)
	})
	return mux
}

// events sends one event every 20 ms for as long as somebody listens.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		fmt.Fprintf(w, "data: %d\n\n", i)
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
}

// echoSocket is a WebSocket (RFC 6455) that sends back text frames of at most 125 bytes.
func echoSocket(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		acceptKey(r.Header.Get("Sec-WebSocket-Key")))
	for rw.Flush() == nil {
		payload, err := readFrame(rw.Reader)
		if err != nil {
			return
		}
		_, _ = rw.Write(append([]byte{0x81, byte(len(payload))}, payload...)) // the flush tells
	}
}

func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// readFrame reads one short frame and takes its mask off.
func readFrame(r *bufio.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	var mask [4]byte
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, mask[:]); err != nil {
			return nil, err
		}
	}
	payload := make([]byte, head[1]&0x7f)
	_, err := io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return payload, err
}

// backendMain makes this test binary a backend that can be killed.
func backendMain(colour string) int {
	l, err := net.Listen("tcp", os.Getenv("WEIR_E2E_LISTEN"))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("listening")
	fmt.Println(http.Serve(l, colourHandler(colour, new(atomic.Int64), nil)))
	return 1
}

// colourProcess starts a backend of its own process on an address.
func colourProcess(t *testing.T, colour, address string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "WEIR_E2E_BACKEND="+colour, "WEIR_E2E_LISTEN="+address)
	p := start(t, cmd)
	eventually(t, 10*time.Second, colour+" listens", func() bool {
		if !p.running() {
			t.Fatalf("%s ended: %s", colour, p.out.String())
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return p
}

// freeAddress is the test's own, for whoever binds it, as often as they like.
func freeAddress(t *testing.T) string { return porttest.Reserve(t) }
