package server

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// An upgrade gives the UDP socket of an endpoint to another process, but its connections stay: what belongs to them must come here all the same. One process reads the socket at a time, the
// last one; both write to it. Connection IDs begin with a tag of the endpoint that made them, so whoever reads a packet with the tag of an older endpoint passes it on, through a pair of sockets that
// was handed over with the rest.

// tag is what the connection IDs of one endpoint begin with. Random: a packet of a new connection, whose ID its client has chosen, is taken for another endpoint's once in 2³² divided by those that drain.
type tag [4]byte

func newTag() (t tag) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

// String is the tag as a socket that is handed over is called.
func (t tag) String() string { return hex.EncodeToString(t[:]) }

// connectionIDs implements quic.ConnectionIDGenerator.
type connectionIDs tag

// connectionIDLen is the tag and 64 random bits.
const connectionIDLen = 12

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (c connectionIDs) GenerateConnectionID() (quic.ConnectionID, error) {
	var id [connectionIDLen]byte
	copy(id[:], c[:])
	_, _ = rand.Read(id[len(c):]) // never fails
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (connectionIDs) ConnectionIDLen() int { return connectionIDLen }

// addressee is the tag that a packet's destination connection ID begins with, if it can be one of ours (RFC 8999 §5.1, RFC 9000 §17.3.1: a short header does not say how long it is).
func addressee(packet []byte) (t tag, ok bool) {
	switch {
	case len(packet) > 1+connectionIDLen && packet[0]&0x80 == 0:
		return tag(packet[1:5]), true
	case len(packet) > 6+connectionIDLen && packet[0]&0x80 != 0 && packet[5] == connectionIDLen:
		return tag(packet[6:10]), true
	}
	return t, false
}

// elders are the endpoints of processes before this one whose connections go on, with where their packets go. It is a resource of the server.
type elders struct {
	any atomic.Bool // set once there is one: who has none looks at no packet

	mu sync.Mutex // guards to; held for a look-up
	to map[tag]*net.UnixConn
}

// add takes over a socket by its name.
func (e *elders) add(name string, to *net.UnixConn) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != len(tag{}) {
		_ = to.Close() // another weir's idea of a name; what would go there is lost
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.to == nil {
		e.to = map[tag]*net.UnixConn{}
	}
	e.to[tag(b)] = to
	e.any.Store(true)
}

// all are those that have not ended, as far as is known.
func (e *elders) all() map[tag]*net.UnixConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make(map[tag]*net.UnixConn, len(e.to))
	for t, to := range e.to {
		list[t] = to
	}
	return list
}

// pass gives a packet to the elder whose it is, and reports whether there is one. Like a network it loses what nobody has room for: QUIC repeats it.
func (e *elders) pass(m *ipv4.Message) bool {
	t, ok := addressee(m.Buffers[0][:m.N])
	if !ok {
		return false
	}
	e.mu.Lock()
	to := e.to[t]
	e.mu.Unlock()
	if to == nil {
		return false
	}
	b := appendPacket(make([]byte, 0, 64+m.N), m)
	raw, err := to.SyscallConn()
	if err == nil {
		var sent error
		err = raw.Write(func(fd uintptr) bool {
			sent = unix.Sendto(int(fd), b, dontWait, nil)
			return true // whatever came of it: nobody waits here
		})
		if err == nil && !errors.Is(sent, unix.EAGAIN) {
			err = sent
		}
	}
	if err != nil { // it has ended
		e.mu.Lock()
		delete(e.to, t)
		e.mu.Unlock()
		_ = to.Close()
	}
	return true
}

func (e *elders) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for t, to := range e.to {
		_ = to.Close() // nothing is read from it
		delete(e.to, t)
	}
}

// appendPacket writes a packet with whom it came from and what the kernel said of it: IP, port, length of that, that, the packet. The zone of a link-local address is in what the kernel said.
func appendPacket(b []byte, m *ipv4.Message) []byte {
	from, _ := m.Addr.(*net.UDPAddr)
	if from == nil {
		from = &net.UDPAddr{}
	}
	var ip [16]byte
	copy(ip[:], from.IP.To16())
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(from.Port))
	b = binary.BigEndian.AppendUint16(b, uint16(m.NN))
	b = append(b, m.OOB[:m.NN]...)
	return append(b, m.Buffers[0][:m.N]...)
}

// readPacket is the way back. false: it is none, or does not fit.
func readPacket(b []byte, m *ipv4.Message) bool {
	const head = 16 + 2 + 2
	if len(b) < head {
		return false
	}
	ip := append(net.IP(nil), b[:16]...)
	if four := ip.To4(); four != nil {
		ip = four
	}
	m.Addr = &net.UDPAddr{IP: ip, Port: int(binary.BigEndian.Uint16(b[16:]))}
	said := int(binary.BigEndian.Uint16(b[18:]))
	b = b[head:]
	if said > len(b) || said > len(m.OOB) || len(b)-said > len(m.Buffers[0]) {
		return false
	}
	m.NN = copy(m.OOB, b[:said])
	m.N = copy(m.Buffers[0], b[said:])
	m.Flags = 0
	return true
}

// packets is the UDP socket of an endpoint as quic-go reads it: one goroutine calls ReadBatch. Where the packets come from is changed by others.
type packets struct {
	*net.UDPConn
	batch  *ipv4.PacketConn
	elders *elders
	large  [2048]byte // what came through feed last; the reader's own

	mu     sync.Mutex    // guards the rest; held for a look
	source source        // of what is read next
	feed   *net.UnixConn // from the process after this one; nil until an upgrade
	moved  chan struct{} // closed when source has changed, and replaced
	ended  bool          // quic-go wants to read no more
}

// source is where packets come from.
type source uint8

const (
	fromNowhere source = iota // the process before reads, or nobody does for a moment
	fromSocket
	fromFeed // the process after this one reads
)

func newPackets(socket *net.UDPConn, from source, e *elders) *packets {
	return &packets{UDPConn: socket, batch: ipv4.NewPacketConn(socket), elders: e, source: from, moved: make(chan struct{})}
}

// turn makes packets come from somewhere else. A read that waits for one goes there.
func (p *packets) turn(to source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.source = to
	p.wake()
	if to == fromSocket {
		_ = p.UDPConn.SetReadDeadline(time.Time{}) // fails only when closed
	}
}

// orphan is the end of a feed: the process after this one has ended without another, and nobody reads for us. Unless packets come from elsewhere by now: that process may have been missed, and the
// socket read again, before the reader comes to say so.
func (p *packets) orphan(feed *net.UnixConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.source == fromFeed && p.feed == feed {
		p.source = fromNowhere
		p.wake()
	}
}

// begin makes packets come from the socket, where the process before has read it until now.
func (p *packets) begin() {
	p.mu.Lock()
	waits := p.source == fromNowhere
	p.mu.Unlock()
	if waits {
		p.turn(fromSocket)
	}
}

// wake ends a wait for a packet. Under mu.
func (p *packets) wake() {
	_ = p.UDPConn.SetReadDeadline(time.Unix(1, 0))
	if p.feed != nil {
		_ = p.feed.SetReadDeadline(time.Time{})
		if p.source != fromFeed || p.ended {
			_ = p.feed.SetReadDeadline(time.Unix(1, 0))
		}
	}
	close(p.moved)
	p.moved = make(chan struct{})
}

// SetReadDeadline implements net.Conn: quic-go sets one to end its reading, for ever.
func (p *packets) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.wake()
	return nil
}

// ReadBatch is what quic-go reads by.
func (p *packets) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		p.mu.Lock()
		from, feed, moved, ended := p.source, p.feed, p.moved, p.ended
		p.mu.Unlock()
		if ended {
			return 0, os.ErrDeadlineExceeded
		}
		var n int
		var err error
		switch from {
		case fromNowhere:
			<-moved
			continue
		case fromFeed:
			n, err = p.readFeed(feed, ms)
		default:
			if n, err = p.batch.ReadBatch(ms, flags); err == nil && p.elders.any.Load() {
				n = p.own(ms[:n])
			}
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // woken
		case err != nil && from == fromFeed:
			p.orphan(feed)
		case err != nil || n > 0:
			return n, err
		}
	}
}

// own passes on what is not ours, and gives how many are left, at the front.
func (p *packets) own(ms []ipv4.Message) (n int) {
	for i := range ms {
		if p.elders.pass(&ms[i]) {
			continue
		}
		ms[n], ms[i] = ms[i], ms[n]
		n++
	}
	return n
}

func (p *packets) readFeed(feed *net.UnixConn, ms []ipv4.Message) (int, error) {
	n, err := feed.Read(p.large[:])
	if err != nil || !readPacket(p.large[:n], &ms[0]) {
		return 0, err
	}
	return 1, nil
}

// heirloom makes the pair of sockets by which the next process passes on what is ours, and gives its end. What there was before for one that did not take over is closed.
func (p *packets) heirloom() (*net.UnixConn, error) {
	fds, err := packetPair()
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "packets")
		conn, bad := net.FileConn(f)
		_ = f.Close() // conn is a duplicate
		err = errors.Join(err, bad)
		ends[i], _ = conn.(*net.UnixConn)
	}
	if err != nil {
		for _, end := range ends {
			if end != nil {
				_ = end.Close()
			}
		}
		return nil, err
	}
	_ = ends[0].SetReadBuffer(wantedBuffer) // as much as the kernel allows
	_ = ends[1].SetWriteBuffer(wantedBuffer)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.feed != nil {
		_ = p.feed.Close()
	}
	p.feed = ends[0]
	return ends[1], nil
}

// close closes the socket and what an upgrade has left.
func (p *packets) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.feed != nil {
		_ = p.feed.Close()
	}
	_ = p.UDPConn.Close() // fails only when closed already
}
