package server

import (
	"bytes"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"pgregory.net/rapid"
)

// TestPacketsPassed: what is written for another process comes out there as the kernel gave it, and what is none is refused.
func TestPacketsPassed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ip := net.IP(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"))
		if rapid.Bool().Draw(t, "v6") {
			ip = append(net.IP{0x20}, rapid.SliceOfN(rapid.Byte(), 15, 15).Draw(t, "v6 rest")...)
		}
		in := ipv4.Message{
			Addr: &net.UDPAddr{IP: ip, Port: rapid.IntRange(0, 65535).Draw(t, "port")}, OOB: rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "said"),
			Buffers: [][]byte{rapid.SliceOfN(rapid.Byte(), 0, 1452).Draw(t, "packet")},
		}
		in.NN, in.N = len(in.OOB), len(in.Buffers[0])
		written := appendPacket(nil, &in)
		out := ipv4.Message{OOB: make([]byte, 64), Buffers: [][]byte{make([]byte, 1452)}}
		if !readPacket(written, &out) {
			t.Fatal("refused")
		}
		if out.Addr.String() != in.Addr.String() || !bytes.Equal(out.OOB[:out.NN], in.OOB) || !bytes.Equal(out.Buffers[0][:out.N], in.Buffers[0]) {
			t.Fatalf("%v %x %x became %v %x %x", in.Addr, in.OOB, in.Buffers[0], out.Addr, out.OOB[:out.NN], out.Buffers[0][:out.N])
		}
		short := ipv4.Message{OOB: make([]byte, 64), Buffers: [][]byte{make([]byte, 1452)}}
		_ = readPacket(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "anything"), &short) // must not panic
	})
}

// TestAddressee: both kinds of header lead to the endpoint whose tag they carry, and nothing else does.
func TestAddressee(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		own := newTag()
		id, err := connectionIDs(own).GenerateConnectionID()
		if err != nil || id.Len() != (connectionIDs(own)).ConnectionIDLen() {
			t.Fatalf("%v %v", id, err)
		}
		rest := rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "rest")
		short := append(append([]byte{rapid.Byte().Draw(t, "first") &^ 0x80}, id.Bytes()...), rest...)
		long := append(append([]byte{rapid.Byte().Draw(t, "first") | 0x80, 0, 0, 0, 1, connectionIDLen}, id.Bytes()...), rest...)
		for _, packet := range [][]byte{short, long} {
			if got, ok := addressee(packet); !ok || got != own {
				t.Fatalf("%x is for %v %v, not %v", packet, got, ok, own)
			}
		}
		long[5] = 8 // a client's own choice
		if got, ok := addressee(long); ok {
			t.Fatalf("%x is for %v", long, got)
		}
		for n := range connectionIDLen + 1 {
			if got, ok := addressee(short[:n]); ok {
				t.Fatalf("%x is for %v", short[:n], got)
			}
		}
	})
}

// TestPacketsTurn: a reader goes where packets come from, back and forth, passes on what is another's, and ends when it is told to, wherever it waits.
func TestPacketsTurn(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, socket.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var e elders
	defer e.close()
	p := newPackets(socket, fromNowhere, &e)
	defer p.close()
	read := make(chan string)
	ended := make(chan error, 1)
	go func() {
		ms := []ipv4.Message{{OOB: make([]byte, 128), Buffers: [][]byte{make([]byte, 1452)}}}
		for {
			n, err := p.ReadBatch(ms, 0)
			if err != nil {
				ended <- err
				return
			}
			if n == 1 {
				read <- string(ms[0].Buffers[0][:ms[0].N])
			}
		}
	}()
	say := func(text []byte) {
		t.Helper()
		if _, err := client.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		select {
		case got := <-read:
			if got != want {
				t.Fatalf("read %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing came, want %q", want)
		}
	}
	say([]byte("early"))
	p.begin()
	hear("early")
	end, err := p.heirloom()
	if err != nil {
		t.Fatal(err)
	}
	var next elders
	own := newTag()
	next.add(own.String(), end)
	next.add("no tag", mustPair(t))
	p.turn(fromFeed)
	packet := append(append([]byte{0x40}, own[:]...), "12345678 for the elder"...)
	for _, m := range [][]byte{packet, []byte("short"), append([]byte{0x40}, "another one's, by its tag"...)} {
		got := next.pass(&ipv4.Message{Addr: client.LocalAddr(), Buffers: [][]byte{m}, N: len(m)})
		if got != (&m[0] == &packet[0]) {
			t.Errorf("%q passed: %v", m, got)
		}
	}
	hear(string(packet))
	p.turn(fromSocket)
	say([]byte("back"))
	hear("back")
	p.turn(fromFeed)
	next.close() // the process after this one ends
	other := newTag()
	e.add(other.String(), mustPair(t)) // nobody is at its other end
	p.turn(fromSocket)
	say(append(append([]byte{0x40}, other[:]...), "12345678 lost"...))
	say([]byte("ours"))
	hear("ours")
	if len(e.all()) != 0 {
		t.Error("an elder that has ended is not forgotten")
	}
	_ = p.SetReadDeadline(time.Now())
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the reader does not end")
	}
}

// TestPacketsOrphanedTooLate: a reader that hears of the end of the process after this one when the socket is read again already, or another process reads, does not turn packets away from there.
func TestPacketsOrphanedTooLate(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := newPackets(socket, fromSocket, new(elders))
	defer p.close()
	heir := func() *net.UnixConn {
		end, err := p.heirloom()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = end.Close() })
		p.turn(fromFeed)
		return p.feed
	}
	first := heir()
	p.turn(fromSocket) // it was missed
	p.orphan(first)    // and its reader comes to say so
	if p.source != fromSocket {
		t.Fatal("nobody reads the socket")
	}
	second := heir()
	p.orphan(first)
	if p.source != fromFeed {
		t.Fatal("what the second process passes on is not read")
	}
	p.orphan(second)
	if p.source != fromNowhere {
		t.Fatal("what has ended is read on")
	}
	p.begin()
	if p.source != fromSocket {
		t.Fatal("nobody reads the socket")
	}
}

// mustPair is a socket whose other end is closed.
func mustPair(t *testing.T) *net.UnixConn {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := newPackets(socket, fromNowhere, new(elders))
	end, err := p.heirloom()
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	return end
}
