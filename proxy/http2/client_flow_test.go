package http2_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/http2"
	"github.com/valor-ivx/weir/proxy/message"
)

// flowPlan is how a miserly upstream deals with windows: it gives as little as it can, late, takes some back, and never gives up.
type flowPlan struct {
	initial uint32   // SETTINGS_INITIAL_WINDOW_SIZE
	later   uint32   // the same, after some DATA
	least   int64    // a window is filled when it is at most this
	grants  []uint32 // by how much, in turn; smaller ones would be a flood
	frame   int      // bytes of its own DATA frames
	streams int
	up      []int // bytes of each request
	down    []int // bytes of each answer
}

// miser is such an upstream. It holds the client to the windows it gave, and itself to those it was given.
type miser struct {
	plan flowPlan
	conn net.Conn
	fr   *xhttp2.Framer

	recv, send         map[uint32]int64 // windows by stream, 0 for the connection
	initial, theirs    int64
	got, sent          map[uint32]int
	ended              map[uint32]bool
	grants, seen, done int
	unacked            int // SETTINGS: until the client has heard of a smaller window it may use the larger one
}

func (m *miser) run() error {
	m.recv, m.send = map[uint32]int64{0: 65535}, map[uint32]int64{0: 65535}
	m.got, m.sent, m.ended = map[uint32]int{}, map[uint32]int{}, map[uint32]bool{}
	m.initial, m.theirs, m.unacked = int64(m.plan.initial), 65535, 1
	if _, err := io.ReadFull(m.conn, make([]byte, len(http2.Preface))); err != nil {
		return err
	}
	if err := m.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: m.plan.initial}); err != nil {
		return err
	}
	for m.done < m.plan.streams {
		f, err := m.fr.ReadFrame()
		if err != nil {
			return fmt.Errorf("after %d answers: %w", m.done, err)
		}
		if err := m.take(f); err != nil {
			return err
		}
		if err := m.answer(); err != nil {
			return err
		}
	}
	return nil
}

func (m *miser) take(f xhttp2.Frame) error {
	id := f.Header().StreamID
	switch f := f.(type) {
	case *xhttp2.SettingsFrame:
		if f.IsAck() {
			m.unacked--
			return nil
		}
		if v, ok := f.Value(xhttp2.SettingInitialWindowSize); ok {
			m.theirs = int64(v)
		}
		return m.fr.WriteSettingsAck()
	case *xhttp2.HeadersFrame:
		m.recv[id], m.send[id] = m.initial, m.theirs
		m.ended[id] = f.StreamEnded()
		return m.fill(id)
	case *xhttp2.WindowUpdateFrame:
		m.send[id] += int64(f.Increment)
	case *xhttp2.PingFrame:
		if !f.IsAck() {
			return m.fr.WritePing(true, f.Data)
		}
	case *xhttp2.DataFrame:
		return m.data(id, f)
	case *xhttp2.RSTStreamFrame, *xhttp2.GoAwayFrame:
		return fmt.Errorf("%v", f)
	}
	return nil
}

func (m *miser) data(id uint32, f *xhttp2.DataFrame) error {
	n := int64(len(f.Data()))
	m.got[id] += int(n)
	m.recv[id] -= n
	m.recv[0] -= n
	if n > 0 && (m.recv[id] < 0 && m.unacked == 0 || m.recv[0] < 0) {
		return fmt.Errorf("window overrun: stream %d %d, connection %d", id, m.recv[id], m.recv[0])
	}
	m.ended[id] = m.ended[id] || f.StreamEnded()
	if m.seen++; m.seen == 3 {
		m.unacked++
		if err := m.fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: m.plan.later}); err != nil {
			return err
		}
		for s := range m.recv {
			if s == 0 {
				continue
			}
			m.recv[s] += int64(m.plan.later) - m.initial
		}
		m.initial = int64(m.plan.later)
	}
	if err := m.fill(0); err != nil {
		return err
	}
	for s := range m.recv {
		if s != 0 && !m.ended[s] {
			if err := m.fill(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill gives a window that is low the next grant, or more until it is open.
func (m *miser) fill(id uint32) error {
	for m.recv[id] <= m.plan.least {
		n := m.plan.grants[m.grants%len(m.plan.grants)]
		n += uint32(max(0, -m.recv[id])) // what was taken back is given back at once: in small change it would be a flood
		m.grants++
		m.recv[id] += int64(n)
		if err := m.fr.WriteWindowUpdate(id, n); err != nil {
			return err
		}
	}
	return nil
}

// answer sends of every answer what its windows let through.
func (m *miser) answer() error {
	for id, ended := range m.ended {
		want := m.plan.down[int(id)/2]
		if !ended || m.sent[id] > want {
			continue
		}
		if m.sent[id] == 0 && m.got[id] >= 0 {
			if m.got[id] != m.plan.up[int(id)/2] {
				return fmt.Errorf("stream %d: %d bytes of %d", id, m.got[id], m.plan.up[int(id)/2])
			}
			var b bytes.Buffer
			_ = hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			if err := m.fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: b.Bytes(), EndHeaders: true}); err != nil {
				return err
			}
			m.got[id] = -1 // answered
		}
		for m.sent[id] <= want {
			n := min(int64(want-m.sent[id]), int64(m.plan.frame), m.send[id], m.send[0])
			last := int64(want-m.sent[id]) == n
			if n <= 0 && !last {
				break
			}
			if err := m.fr.WriteData(id, last, make([]byte, n)); err != nil {
				return err
			}
			m.sent[id] += int(n)
			m.send[id] -= n
			m.send[0] -= n
			if last {
				m.sent[id] = want + 1
				m.done++
			}
		}
	}
	return nil
}

// TestFlowControl draws misers, and readers and writers of several streams on one connection: every byte arrives, no window is overrun, nothing stands still.
func TestFlowControl(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := flowPlan{
			initial: rapid.SampledFrom([]uint32{0, 1, 100, 65535, 1 << 20}).Draw(rt, "initial"),
			later:   rapid.SampledFrom([]uint32{0, 1, 5000, 65535}).Draw(rt, "later"),
			least:   rapid.Int64Range(0, 1500).Draw(rt, "least"),
			grants:  rapid.SliceOfN(rapid.Uint32Range(1500, 20000), 1, 5).Draw(rt, "grants"),
			frame:   rapid.IntRange(1, 16<<10).Draw(rt, "frame"),
			streams: rapid.IntRange(1, 5).Draw(rt, "streams"),
		}
		p.frame = max(p.frame, 200)
		size := rapid.SampledFrom([]int{0, 1, 1000, 70000, 200000})
		for range p.streams {
			p.up, p.down = append(p.up, size.Draw(rt, "up")), append(p.down, size.Draw(rt, "down"))
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		verdict := make(chan error, 1)
		go func() {
			conn, err := l.Accept()
			if err == nil {
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(patience))
				err = (&miser{plan: p, conn: conn, fr: xhttp2.NewFramer(conn, conn)}).run()
			}
			verdict <- err
			if err == nil {
				_, _ = io.Copy(io.Discard, conn) // what is still said is not to be reset under the reader
			}
		}()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			rt.Fatal(err)
		}
		c := http2.NewClientConn(conn, http2.ClientOptions{Scheme: "http", Authority: "a"})
		over := make(chan struct{})
		go func() {
			_ = c.Serve()
			close(over)
		}()
		errs := exchangeAll(c, p)
		if err := <-verdict; err != nil {
			rt.Errorf("upstream: %v", err)
		}
		for _, err := range errs {
			rt.Error(err)
		}
		_ = c.Close()
		<-over
	})
}

// exchangeAll opens the streams in turn, so that the n-th has identifier 2n+1, and carries all exchanges at once.
func exchangeAll(c *http2.ClientConn, p flowPlan) (errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	<-c.Ready()
	for i := range p.streams {
		s := c.Open()
		framing := message.Chunked
		if i%2 == 1 && p.up[i] > 0 {
			framing = message.Length
		}
		r := request("POST", "/", framing, int64(p.up[i]))
		s.WriteHead(r, r.Path, nil)
		wg.Go(func() {
			defer s.Release(false)
			for left := p.up[i]; left > 0; left -= min(left, 30000) {
				s.Write(make([]byte, min(left, 30000)))
			}
			s.Finish(nil)
			got, err := hear(s, message.POST)
			if err == nil && len(got.body) != p.down[i] {
				err = fmt.Errorf("%d bytes of %d", len(got.body), p.down[i])
			}
			if err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("stream %d: %w", 2*i+1, err))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errs
}
