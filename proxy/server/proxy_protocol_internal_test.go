package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// v2 is a version 2 header with this command, family and payload.
func v2(command, family byte, payload string) string {
	return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{command, family, byte(len(payload) >> 8), byte(len(payload))}) + payload
}

// pair is a connection of the kind that a listener accepts, and its other end.
func pair(t testing.TB, l net.Listener) (accepted *net.TCPConn, sender net.Conn) {
	sender, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), sender
}

func loopback(t testing.TB) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

const (
	v4Addresses = "\xc0\x00\x02\x01\x7f\x00\x00\x01\x30\x39\x00\x50"                                      // 192.0.2.1:12345 to 127.0.0.1:80
	v6Addresses = "\x20\x01\x0d\xb8" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"                 // 2001:db8::7
	mapped      = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"                      // ::ffff:192.0.2.1
	loopback6   = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x30\x39\x01\xbb" // ::1, ports
)

// TestReadProxyHeader: what each header states, and that not one byte behind it is taken, however it arrives.
func TestReadProxyHeader(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{ // want "": the sender itself; "!": refused
		{"v1 TCP4", "PROXY TCP4 192.0.2.1 127.0.0.1 12345 80\r\n", "192.0.2.1"},
		{"v1 TCP6", "PROXY TCP6 2001:db8::7 ::1 12345 443\r\n", "2001:db8::7"},
		{"v1 TCP6 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:127.0.0.1 1 2\r\n", "192.0.2.1"},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", ""},
		{"v1 UNKNOWN with addresses", "PROXY UNKNOWN 192.0.2.1 127.0.0.1 1 2\r\n", ""},
		{"v2 TCP4", v2(0x21, 0x11, v4Addresses), "192.0.2.1"},
		{"v2 TCP4 with TLVs", v2(0x21, 0x11, v4Addresses+"\x02\x00\x04weir\x04\x00\x00"), "192.0.2.1"},
		{"v2 TCP4 with TLVs that are none", v2(0x21, 0x11, v4Addresses+"\xff\xff\xff\xff"), "192.0.2.1"},
		{"v2 TCP6", v2(0x21, 0x21, v6Addresses+loopback6), "2001:db8::7"},
		{"v2 TCP6 mapped", v2(0x21, 0x21, mapped+loopback6), "192.0.2.1"},
		{"v2 LOCAL", v2(0x20, 0x00, ""), ""},
		{"v2 LOCAL with an address", v2(0x20, 0x11, v4Addresses), ""},
		{"v2 UNSPEC", v2(0x21, 0x00, ""), ""},
		{"v2 unix", v2(0x21, 0x31, strings.Repeat("/", 216)), ""},
		{"v2 UDP", v2(0x21, 0x12, v4Addresses), ""},
		{"v2 longest", v2(0x21, 0x11, v4Addresses+strings.Repeat("\x04", payloadV2Most-12)), "192.0.2.1"},

		{"no header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "!"},
		{"v1 lower case", "proxy TCP4 192.0.2.1 127.0.0.1 1 2\r\n", "!"},
		{"v1 without a space", "PROXYTCP4 192.0.2.1 127.0.0.1 1 2\r\n", "!"},
		{"v1 bare LF", "PROXY TCP4 192.0.2.1 127.0.0.1 1 2\n", "!"},
		{"v1 two spaces", "PROXY TCP4  192.0.2.1 127.0.0.1 1 2\r\n", "!"},
		{"v1 family", "PROXY UDP4 192.0.2.1 127.0.0.1 1 2\r\n", "!"},
		{"v1 IPv4 as TCP6", "PROXY TCP6 192.0.2.1 127.0.0.1 1 2\r\n", "!"},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "!"},
		{"v1 port", "PROXY TCP4 192.0.2.1 127.0.0.1 1 65536\r\n", "!"},
		{"v1 octal", "PROXY TCP4 192.0.2.010 127.0.0.1 1 2\r\n", "!"},
		{"v1 more", "PROXY TCP4 192.0.2.1 127.0.0.1 1 2 3\r\n", "!"},
		{"v1 too long", "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", "!"},
		{"v2 command", v2(0x22, 0x11, v4Addresses), "!"},
		{"v2 version", v2(0x31, 0x11, v4Addresses), "!"},
		{"v2 family", v2(0x21, 0x13, v4Addresses), "!"},
		{"v2 short for its family", v2(0x21, 0x21, v4Addresses), "!"},
		{"v2 too long", v2(0x21, 0x11, v4Addresses+strings.Repeat("\x04", payloadV2Most-11)), "!"},
	} {
		for _, step := range []int{1, len(c.header) + 100} {
			t.Run(c.name, func(t *testing.T) {
				conn, sender := pair(t, loopback(t))
				defer conn.Close()
				const behind = "GET / HTTP/1.1\r\n"
				go func() {
					defer sender.Close()
					for text := c.header + behind; text != ""; {
						n := min(step, len(text))
						if _, err := io.WriteString(sender, text[:n]); err != nil {
							return
						}
						text = text[n:]
					}
				}()
				from, err := readProxyHeader(conn)
				if c.want == "!" {
					if err == nil {
						t.Fatalf("accepted: %v", from)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := from; got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want {
					t.Errorf("states %v, want %q", from, c.want)
				}
				if rest, _ := io.ReadAll(conn); string(rest) != behind {
					t.Errorf("behind it: %q", rest)
				}
			})
		}
	}
}

// TestTruncatedProxyHeader: a header that breaks off anywhere is refused as soon as it does.
func TestTruncatedProxyHeader(t *testing.T) {
	l := loopback(t)
	for _, header := range []string{"PROXY TCP4 192.0.2.1 127.0.0.1 12345 80\r\n", v2(0x21, 0x11, v4Addresses+"\x02\x00\x04weir")} {
		for n := range len(header) {
			conn, sender := pair(t, l)
			_, _ = io.WriteString(sender, header[:n])
			_ = sender.Close()
			if from, err := readProxyHeader(conn); err == nil {
				t.Errorf("%q: %v", header[:n], from)
			}
			_ = conn.Close()
		}
	}
}

// TestSlowProxyHeader: whoever does not come to the end of it in time is not waited for.
func TestSlowProxyHeader(t *testing.T) {
	t.Parallel()
	conn, sender := pair(t, loopback(t))
	defer sender.Close()
	defer conn.Close()
	_, _ = io.WriteString(sender, "PROXY TCP4 192")
	begin := time.Now()
	_, err := readProxyHeader(conn)
	if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took < proxyHeaderTimeout {
		t.Errorf("%v after %v", err, took)
	}
}

// FuzzProxyHeader: whatever a sender says, either it is refused, or what stands behind the header is all there, and the address is one that limits and logs can take.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range []string{
		"PROXY TCP4 192.0.2.1 127.0.0.1 12345 80\r\nGET", "PROXY UNKNOWN\r\n", "PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n", v2(0x21, 0x11, v4Addresses) + "x",
		v2(0x20, 0, "") + "\x16\x03\x01", v2(0x21, 0x21, mapped+loopback6), v2(0x21, 0x31, strings.Repeat("a", 216)), v2(0x21, 0, "12345"),
	} {
		f.Add([]byte(s))
	}
	l := loopback(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 16<<10 {
			return // the sender is not to wait for us
		}
		conn, sender := pair(t, l)
		defer conn.Close()
		_, _ = sender.Write(data)
		_ = sender.(*net.TCPConn).CloseWrite()
		from, err := readProxyHeader(conn)
		defer sender.Close()
		if err != nil {
			return
		}
		if from != (netip.Addr{}) && (from.Is4In6() || from.Zone() != "") {
			t.Errorf("%q: %v", data, from)
		}
		rest, _ := io.ReadAll(conn)
		if !bytes.HasSuffix(data, rest) || len(data)-len(rest) < 15 || len(data)-len(rest) > fixedV2+payloadV2Most {
			t.Errorf("%q: %q is left", data, rest)
		}
	})
}
