package shadow_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/shadow"
	"github.com/valor-ivx/weir/upstream"
)

// patience is a guard, no measure.
const patience = 60 * time.Second

// colour is a target that answers each request with what speak writes. speak reports whether the connection goes on.
func colour(t *testing.T, speak func(conn net.Conn, r *http.Request) (more bool)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, speak)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// serve ends with its connection, which the registry's end closes at the latest.
func serve(conn net.Conn, speak func(conn net.Conn, r *http.Request) bool) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil || !speak(conn, r) {
			return
		}
	}
}

// says answers every request with the same text.
func says(text string) func(net.Conn, *http.Request) bool {
	return func(conn net.Conn, _ *http.Request) bool {
		_, err := io.WriteString(conn, text)
		return err == nil
	}
}

const jsonHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

// page is a JSON answer.
func page(body string) string {
	return jsonHead + "Transfer-Encoding: chunked\r\n\r\n" + chunk(body) + "0\r\n\r\n"
}

func chunk(body string) string {
	const hex = "0123456789abcdef"
	size := ""
	for n := len(body); n > 0; n /= 16 {
		size = string(hex[n%16]) + size
	}
	return size + "\r\n" + body + "\r\n"
}

// stage is a Mirror before two colours.
type stage struct {
	*shadow.Mirror
	t        *testing.T
	blue     *upstream.Pool
	obstacle atomic.Pointer[string]
}

func newStage(t *testing.T, blue, green string, change func(*shadow.Options)) *stage {
	t.Helper()
	return newStageBy(t, upstream.Transport{}, blue, green, change)
}

// newStageBy is newStage with targets that are spoken to in a certain way.
func newStageBy(t *testing.T, by upstream.Transport, blue, green string, change func(*shadow.Options)) *stage {
	t.Helper()
	registry := upstream.NewRegistry(upstream.Options{})
	pools := map[string]*upstream.Pool{}
	for group, address := range map[string]string{"blue": blue, "green": green} {
		pool, err := registry.Acquire(upstream.PoolOptions{Service: "api", Group: group, Targets: []upstream.Target{{Address: address, Weight: 1}}, ConnectTimeout: patience, Transport: by})
		if err != nil {
			t.Fatal(err)
		}
		pools[group] = pool
	}
	s := &stage{t: t, blue: pools["blue"]}
	o := shadow.Options{
		From: "blue", To: "green", Share: shadow.ShareWhole, Rate: 1e6, Concurrency: 1, Timeout: patience, MaxBody: 64 << 10,
		Rules: shadow.Rules{Headers: []string{"Content-Type"}}, Now: registry.Now,
		Live: func(group string) *upstream.LiveSet { return pools[group].Live() },
		Obstacle: func() string {
			if why := s.obstacle.Load(); why != nil {
				return *why
			}
			return ""
		},
		Panicked: func(bug any) { t.Errorf("panic: %v", bug) },
	}
	if change != nil {
		change(&o)
	}
	s.Mirror = shadow.Start(o)
	t.Cleanup(func() {
		s.Close()
		s.Wait()
		for _, pool := range pools {
			pool.Release()
		}
		registry.Close()
	})
	return s
}

// request is one that was answered.
func request(path string, fields ...string) shadow.Request {
	var head message.Request
	head.Method, head.MethodName, head.Host, head.Proto = message.GET, []byte("GET"), []byte("x"), message.HTTP11
	head.Header.Add("Host", "x")
	for i := 0; i < len(fields); i += 2 {
		head.Header.Add(fields[i], fields[i+1])
	}
	return shadow.Request{Head: &head, Path: []byte(path), Own: []byte("X-Request-ID: id-1\r\n"), ID: []byte("id-1")}
}

// until waits until a result was counted so often.
func (s *stage) until(result string, n uint64) {
	s.t.Helper()
	s.eventually(result, func() bool { return s.Stat().Results[result] >= n })
}

func (s *stage) eventually(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("not in time: %s; %+v", what, s.Stat())
		}
	}
}

// total is how many requests have come to something.
func (s *stage) total() (n uint64) {
	for _, count := range s.Stat().Results {
		n += count
	}
	return n
}

// only is the one difference that there is.
func (s *stage) only() shadow.Difference {
	s.t.Helper()
	r := s.Report()
	if len(r.Differences) != 1 {
		s.t.Fatalf("differences: %+v", r.Differences)
	}
	return r.Differences[0]
}
