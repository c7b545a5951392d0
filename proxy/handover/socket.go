package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Socket says what one descriptor is for.
type Socket struct {
	// Network is tcp, udp or unix; unixpacket is no socket to listen on, but one by which something goes to the process before.
	Network string `json:"network"`
	// Name is the listener's, or what systemd calls it (FileDescriptorName=).
	Name string `json:"name"`
	// Address is what the configuration said, such as ":443"; empty from systemd.
	Address string `json:"address,omitempty"`
	// Foreign says that somebody else made a unix socket's file and removes it.
	Foreign bool `json:"foreign,omitempty"`
}

// inherited is a Socket with what its descriptor has become: one of the three.
type inherited struct {
	Socket
	listener net.Listener
	packets  *net.UDPConn
	feed     *net.UnixConn
	taken    bool
}

// adopt makes a descriptor one of this process, which its children do not get. It closes file.
func adopt(file *os.File, s Socket) (*inherited, error) {
	defer func() { _ = file.Close() }() // net works with a duplicate
	fd := int(file.Fd())
	kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("socket %s: %w", s.Name, err)
	}
	i := &inherited{Socket: s}
	switch kind {
	case syscall.SOCK_STREAM:
		if listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err != nil || listens == 0 {
			return nil, fmt.Errorf("socket %s does not listen: in a unit of systemd it wants Accept=no", s.Name)
		}
		if i.listener, err = net.FileListener(file); err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Name, err)
		}
		i.Network = i.listener.Addr().Network()
	case syscall.SOCK_DGRAM:
		conn, err := net.FilePacketConn(file)
		if err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Name, err)
		}
		udp, ok := conn.(*net.UDPConn)
		if !ok {
			return nil, errors.Join(fmt.Errorf("socket %s: weir has no use for datagrams of %s", s.Name, conn.LocalAddr().Network()), conn.Close())
		}
		i.packets, i.Network = udp, "udp"
	case syscall.SOCK_SEQPACKET:
		conn, err := net.FileConn(file)
		if err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Name, err)
		}
		i.feed, _ = conn.(*net.UnixConn) // the only kind that Go knows
		i.Network = "unixpacket"
	default:
		return nil, fmt.Errorf("socket %s is neither a stream nor one of datagrams", s.Name)
	}
	return i, nil
}

func (i *inherited) address() net.Addr {
	switch {
	case i.listener != nil:
		return i.listener.Addr()
	case i.feed != nil:
		return i.feed.LocalAddr()
	}
	return i.packets.LocalAddr()
}

func (i *inherited) close() {
	switch { // nothing of ours is lost with them
	case i.listener != nil:
		_ = i.listener.Close()
	case i.feed != nil:
		_ = i.feed.Close()
	default:
		_ = i.packets.Close()
	}
}

// fit is how well a socket is what name asks for at address: 0 not at all.
func (i *inherited) fit(network, name, address string) int {
	if i.taken || i.Network != network {
		return 0
	}
	ephemeral := strings.HasSuffix(address, ":0") // the kernel's choice of port: nothing but the name tells two of them apart
	level := 0
	switch {
	case i.Address == address:
		level = 3
	case i.Address == "" || !strings.HasSuffix(i.Address, ":0"):
		level = i.at(address, ephemeral)
	}
	if level == 0 || ephemeral && i.Name != name {
		return 0
	}
	if i.Name == name {
		level++
	}
	return level
}

// at compares where the socket listens with an address as a configuration writes it: 1 for the same.
func (i *inherited) at(address string, anyPort bool) int {
	if i.Network == "unix" {
		if i.address().String() == address {
			return 1
		}
		return 0
	}
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return 0
	}
	var ip net.IP
	var port int
	switch a := i.address().(type) {
	case *net.TCPAddr:
		ip, port = a.IP, a.Port
	case *net.UDPAddr:
		ip, port = a.IP, a.Port
	}
	unset := func(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }
	if !anyPort && port != want.Port || !ip.Equal(want.IP) && !(unset(ip) && unset(want.IP)) {
		return 0
	}
	return 1
}
