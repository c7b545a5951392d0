package server

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/clientip"
	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	// proxyHeaderTimeout bounds the wait for a PROXY header. Senders write it with the connection's first packet; two seconds are one that was lost.
	proxyHeaderTimeout = 2 * time.Second

	lineLongest   = 107     // bytes of a v1 header with its CRLF, by the specification (§2.1)
	fixedV2       = 16      // bytes of a v2 header before what its length counts (§2.2)
	payloadV2Most = 4 << 10 // bytes of addresses and TLVs that are taken; a client certificate, the largest TLV in use, has 1 to 2 KiB
)

// introduced reads the PROXY header of a connection from one of the senders: whom it is for, the zero address if for the sender itself. Nothing behind the header is
// read, so the connection stays what it is, a plain socket that can be spliced. false: close it. A sender without a header is refused instead of taken
// for a client, because a sender that was misconfigured would make all its clients one (HAProxy's accept-proxy does the same).
func (l *listener) introduced(conn net.Conn) (from netip.Addr, ok bool) {
	socket, isTCP := conn.(*net.TCPConn)
	if l.senders.Empty() || !isTCP {
		return netip.Addr{}, true
	}
	peer := clientip.Of(conn.RemoteAddr())
	if !l.senders.Trusts(peer) {
		return netip.Addr{}, true
	}
	l.begin(conn)
	defer l.begun(conn)
	from, err := readProxyHeader(socket)
	if err == nil {
		return from, true
	}
	l.data.Metrics.Refused(observe.RefusedProxyProtocol)
	level := zap.DebugLevel
	if !l.muttered.Swap(true) {
		level = zap.WarnLevel // once: it is most likely a setting of the sender's, and then it is every connection
	}
	l.server.log.Log(level, "connection without a valid PROXY header closed", zap.String(observe.KeyListener, l.config.Name),
		zap.String(observe.KeySourceIP, peer.String()), observe.Err(err))
	return netip.Addr{}, false
}

// claimed is conn as it came, or as a client's whom somebody else connected.
func claimed(conn net.Conn, from netip.Addr) net.Conn {
	if !from.IsValid() {
		return conn
	}
	return &proxy.Claimed{Conn: conn, From: from}
}

// readProxyHeader takes exactly the header off the connection.
func readProxyHeader(conn *net.TCPConn) (from netip.Addr, err error) {
	if err = conn.SetReadDeadline(time.Now().Add(proxyHeaderTimeout)); err != nil {
		return netip.Addr{}, fmt.Errorf("bound PROXY header: %w", err)
	}
	header, err := takeProxyHeader(conn)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("read PROXY header: %w", err)
	}
	if err = conn.SetReadDeadline(time.Time{}); err != nil {
		return netip.Addr{}, fmt.Errorf("unbound PROXY header: %w", err)
	}
	return parseProxyHeader(header)
}

var (
	errNoProxyHeader  = errors.New("no PROXY signature")
	errProxyLineLong  = errors.New("line longer than 107 bytes")
	errProxyBlockLong = errors.New("more than 4 KiB of addresses and TLVs")
)

// takeProxyHeader reads the bytes of a header and none behind it.
func takeProxyHeader(conn *net.TCPConn) ([]byte, error) {
	var fixed [lineLongest]byte
	const signature = 12 // bytes of v2's; the shortest v1 line has 15
	if _, err := io.ReadFull(conn, fixed[:signature]); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(fixed[:], []byte("PROXY ")) {
		return takeLine(conn, fixed[:], signature)
	}
	if !bytes.Equal(fixed[:signature], proxyproto.SIGV2) {
		return nil, errNoProxyHeader
	}
	if _, err := io.ReadFull(conn, fixed[signature:fixedV2]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(fixed[14:]))
	if length > payloadV2Most {
		return nil, errProxyBlockLong
	}
	header := append(make([]byte, 0, fixedV2+length), fixed[:fixedV2]...)[:fixedV2+length]
	_, err := io.ReadFull(conn, header[fixedV2:])
	return header, err
}

// takeLine goes on with a v1 line of which n bytes are there. How long it is shows only at its end, so what has arrived is looked at before it is taken.
func takeLine(conn *net.TCPConn, line []byte, n int) ([]byte, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	for n < len(line) {
		here, err := peek(raw, line[n:])
		if err != nil {
			return nil, err
		}
		end := bytes.IndexByte(line[n:n+here], '\n')
		if end >= 0 {
			here = end + 1
		}
		if _, err := io.ReadFull(conn, line[n:n+here]); err != nil {
			return nil, err
		}
		if n += here; end >= 0 {
			return line[:n], nil
		}
	}
	return nil, errProxyLineLong
}

// peek waits for bytes and copies them without taking them.
func peek(raw syscall.RawConn, p []byte) (n int, err error) {
	waited := raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	switch {
	case waited != nil:
		return 0, waited
	case err == nil && n == 0:
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

const (
	commandProxy = 0x21 // version 2, PROXY
	commandLocal = 0x20 // version 2, LOCAL
)

// parseProxyHeader gives the address that a header states, IPv4 as IPv4: none for LOCAL, UNKNOWN and families that no TCP client has, whose connections are the
// sender's own (specification §2.2: "the receiver should … use the real connection endpoints").
func parseProxyHeader(header []byte) (netip.Addr, error) {
	if len(header) >= fixedV2 && header[12] == commandProxy && header[13] == 0 {
		header[12] = commandLocal // UNSPEC: the library refuses it with PROXY, senders in use write it
	}
	in := bytes.NewReader(header)
	buffered := bufio.NewReaderSize(in, fixedV2+payloadV2Most)
	h, err := proxyproto.Read(buffered)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("parse PROXY header: %w", err)
	}
	source, _, ok := h.TCPAddrs()
	if h.Command.IsLocal() || !ok {
		return netip.Addr{}, nil
	}
	return clientip.Of(source), nil
}
