package http2

import (
	"encoding/binary"
	"net"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/valor-ivx/weir/proxy/message"
)

// ClientOptions are what a connection to an upstream needs to know. Zero durations and numbers take the default named beside them.
type ClientOptions struct {
	Scheme    string // :scheme, "http" or "https"
	Authority string // :authority of requests that name none

	MaxStreams  int           // streams at once, whatever more the upstream allows; 128
	IdleTimeout time.Duration // without a stream; 60 s

	// Window is the receive window of a stream at first (64 KiB) and MaxWindow what it grows to while its reader keeps up (1 MiB): a stream whose client reads
	// slowly holds no more than that. The connection's own window is given back as data arrives, so that such a stream stops no other.
	Window, MaxWindow int

	Counters *Counters // nil: not counted
}

const (
	// clientWindow is the connection's receive window. It is given back at arrival, so it bounds only what is under way: 10 Gbit/s over 3 ms.
	clientWindow = 4 << 20
	// The bounds of a response head, http1's: an upstream is trusted more than a client, but not without end.
	responseHead   = 64 << 10
	responseFields = 256
	// frameTime is for a frame to become whole, and for SETTINGS to be acknowledged. Longer than for clients: an upstream that is busy is not an attacker, and the
	// timeouts of the exchanges on it are at work too.
	frameTime = 30 * time.Second
	// pingWait is for the answer to a PING. An upstream that reads nothing for that long is replaced; a request under way on it would have to wait longer than for a new connection.
	pingWait = 10 * time.Second
	// pingPause is between two PINGs while streams are open and nothing arrives. gRPC servers call pings more often than every five minutes abuse (gRFC A8).
	pingPause = 5*time.Minute + 10*time.Second
	// lastStream is the highest identifier used: the last thousands are left, because a connection that runs out of them cannot be told from one that is stuck.
	lastStream = maxWindow - 1<<14
)

// ClientConn is one connection to an upstream, shared by the streams of many requests: a resource, owned by whoever calls Serve. It starts no goroutine but
// short ones that write.
type ClientConn struct {
	c Conn
	o ClientOptions

	// Guarded by c.mu.
	ready   chan struct{} // closed once the upstream's SETTINGS have come, or the connection has ended
	greeted bool          // it is closed
	used    bool          // a stream was opened on it
	slots   int           // streams handed out by Open and not released
	limit   int           // what the upstream allows at once
	leaving bool          // no further streams: either side said so
	pinged  int64         // when the PING under way was sent, 0: none
	quietAt int64         // when the last PING was sent or a frame arrived last
	taken   int64         // bytes that were read and acted on
	scratch []byte        // a path with its query
}

// NewClientConn takes ownership of a connection to an upstream that speaks HTTP/2, TLS handshake done with "h2", or plain with prior knowledge. Serve must be called.
func NewClientConn(conn net.Conn, o ClientOptions) *ClientConn {
	cc := &ClientConn{o: o}
	c := &cc.c
	options := Options{
		Limits: Limits{Head: responseHead, Fields: responseFields}, MaxStreams: o.MaxStreams, IdleTimeout: o.IdleTimeout, HeaderTimeout: frameTime,
		SettingsTimeout: frameTime, Window: o.Window, MaxWindow: o.MaxWindow, Counters: o.Counters,
	}
	c.conn, c.o, c.base, c.client = conn, options.withDefaults(), time.Now(), cc
	cc.limit, cc.ready = maxWindow, make(chan struct{})
	c.in.conn = c
	c.ended.L = &c.mu
	c.head.Limits, c.head.Proto, c.head.Responses = c.o.Limits, message.HTTP2, true
	c.decoder = hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { c.head.Field(f.Name, f.Value) })
	c.sendWin, c.recvWin = defaultWindow, defaultWindow
	c.peer = peerSettings{window: defaultWindow, frame: frameSize}
	c.flow.target = int64(c.o.Window)
	c.out.init(c)
	c.watcher.init(c)
	cc.greet()
	return cc
}

// greet gathers the preface and our SETTINGS (RFC 9113 §3.4). They leave with the first request.
func (cc *ClientConn) greet() {
	c := &cc.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.ready()
	c.out.buf = append(c.out.buf, Preface...)
	b := c.out.frame(0, frameSettings, 0, 0)
	b = appendSetting(b, settingPush, 0)
	b = appendSetting(b, settingWindow, uint32(c.o.Window))
	b = appendSetting(b, settingMaxHeads, responseHead)
	c.out.close(b)
	c.recvWin += clientWindow - defaultWindow
	c.out.windowUpdate(0, clientWindow-defaultWindow)
	now := c.now()
	c.unacked, c.askedAt, c.lastUsed, cc.quietAt = 1, now, now, now
	c.watcher.arm()
}

// Serve reads frames until the connection ends and closes it. It is nil when the connection was idle, retired, or ended by the upstream between two frames; else the
// error is what its streams fail with.
func (cc *ClientConn) Serve() error {
	c := &cc.c
	c.o.Counters.Connections.Add(1)
	c.in.prime(nil)
	err := c.frames()
	c.finish(err)
	if err == errStopped {
		return nil
	}
	return err
}

// Ready is closed once the upstream has said its SETTINGS, or the connection has ended: until then nobody knows whether it speaks HTTP/2, nor how many streams it takes.
func (cc *ClientConn) Ready() <-chan struct{} { return cc.ready }

// heard closes ready. mu is held.
func (cc *ClientConn) heard() {
	if !cc.greeted {
		cc.greeted = true
		close(cc.ready)
	}
}

// Err is why the connection takes no requests, nil if it does as far as is known.
func (cc *ClientConn) Err() error {
	cc.c.mu.Lock()
	defer cc.c.mu.Unlock()
	return cc.c.err
}

// Open hands out a stream for one request; nil: the connection takes no more, for now or for ever. The stream must be released.
func (cc *ClientConn) Open() *ClientStream {
	c := &cc.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.drain.broken || cc.leaving || cc.pinged > 0 || cc.slots >= min(cc.limit, c.o.MaxStreams) {
		return nil
	}
	cc.slots++
	s := borrowClientStream(cc)
	s.reused = cc.used
	cc.used = true
	return s
}

// Over reports a connection that will take no further stream.
func (cc *ClientConn) Over() bool {
	cc.c.mu.Lock()
	defer cc.c.mu.Unlock()
	return cc.c.err != nil || cc.leaving || cc.c.drain.broken
}

// Streams is the number of streams handed out and not released.
func (cc *ClientConn) Streams() int {
	cc.c.mu.Lock()
	defer cc.c.mu.Unlock()
	return cc.slots
}

// Retire lets running streams end and then closes the connection; new ones are refused at once.
func (cc *ClientConn) Retire() {
	cc.c.mu.Lock()
	defer cc.c.mu.Unlock()
	cc.leave()
}

// Close ends the connection at once; its streams fail.
func (cc *ClientConn) Close() error { return cc.c.Close() }

// leave takes no further streams, and stops the reader once there are none. mu is held.
func (cc *ClientConn) leave() {
	cc.leaving = true
	c := &cc.c
	if cc.slots == 0 && c.err == nil && c.drain.why == nil {
		c.out.goAway(0, NoError, "") // no stream of the upstream's was ever taken: there is no push
		c.stop(errStopped)
	}
}

// take acts on what only a client is sent. mu is held.
func (cc *ClientConn) takeGoAway(f *frame) *connError {
	c := &cc.c
	switch {
	case f.stream != 0:
		return failStreamZero
	case len(f.payload) < 8:
		return failFrameSize
	}
	last := binary.BigEndian.Uint32(f.payload) & maxWindow
	code := Code(binary.BigEndian.Uint32(f.payload[4:]))
	for _, s := range c.live {
		if s.id > last && s.fault == nil { // RFC 9113 §6.8: not processed, safe to be said again
			s.client.refused = true
			s.gone(&GoneError{Code: code, Remote: true, Text: "upstream is going away"})
		}
	}
	cc.leave()
	return c.spend(FloodUnknown)
}

// takeReset is a stream ended by the upstream.
func (cc *ClientConn) takeReset(s *Stream, code Code) *connError {
	if s.recvDone { // the answer is whole, the rest of the request is not wanted (RFC 9113 §8.1)
		s.sentEnd, s.client.quit = true, true
		s.canSend.Signal()
		return nil
	}
	s.client.refused = code == RefusedStream
	s.gone(&GoneError{Code: code, Remote: true, Text: "stream reset by the upstream"})
	return nil
}

// watch looks after the connection as a whole: idle ones are closed, silent ones asked whether anybody is there. mu is held.
func (cc *ClientConn) watch(now int64) {
	c := &cc.c
	switch {
	case cc.pinged > 0 && now-cc.pinged > int64(pingWait) && unread(c.conn) == 0: // else it is us who have not come to read
		c.abort(&GoneError{Text: "upstream does not answer a ping"})
		c.stop(errSilent)
	case cc.slots == 0 && now-c.lastUsed >= int64(c.o.IdleTimeout):
		c.o.Counters.Idle.Add(1)
		cc.leave()
	case cc.pinged > 0:
	case now-cc.quietAt >= int64(pingPause), cc.slots == 0 && now-cc.quietAt >= int64(c.o.IdleTimeout)/2:
		cc.ask()
	}
}

// ask sends a PING, on which no new stream waits: until it is answered others go elsewhere. mu is held.
func (cc *ClientConn) ask() {
	c := &cc.c
	now := c.now()
	if cc.pinged > 0 || c.err != nil || now-cc.quietAt < int64(pingWait)/2 { // what arrived a moment ago is answer enough
		return
	}
	cc.pinged, cc.quietAt = now, now
	c.out.ping(false, alivePing)
	c.out.soon(0)
}

var alivePing = []byte("weir-ok?")
