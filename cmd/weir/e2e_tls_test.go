package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tlsClient is a kept-alive connection over TLS. Certificates are not verified: the demo scenario does that.
type tlsClient struct {
	*keptAlive
	state tls.ConnectionState
}

func dialTLS(t *testing.T, address string, c *tls.Config) *tlsClient {
	t.Helper()
	if c == nil {
		c = &tls.Config{}
	}
	c.InsecureSkipVerify, c.ServerName = true, "localhost"
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 60 * time.Second}, "tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &tlsClient{&keptAlive{conn, bufio.NewReader(conn)}, conn.ConnectionState()}
}

func (c *tlsClient) serial() string { return c.state.PeerCertificates[0].SerialNumber.String() }

func secureEdge(t *testing.T) *edge {
	t.Helper()
	dir := folder(t)
	r := twoFiles(t, dir)
	save(t, dir+"/pair.pem", r.pairs[0])
	return runFile(t, dir, r.files[0])
}

func TestE2ETLS(t *testing.T) {
	t.Parallel()
	e := secureEdge(t)
	address := e.address("tls")
	for _, c := range []struct {
		name    string
		version uint16
		offer   []string
		agreed  string
	}{
		{"1.2", tls.VersionTLS12, nil, ""},
		{"1.3", tls.VersionTLS13, []string{"http/1.1"}, "http/1.1"},
	} {
		k := dialTLS(t, address, &tls.Config{MinVersion: c.version, MaxVersion: c.version, NextProtos: c.offer})
		if k.state.Version != c.version || k.state.NegotiatedProtocol != c.agreed {
			t.Errorf("%s: version %x, protocol %q", c.name, k.state.Version, k.state.NegotiatedProtocol)
		}
		for range 3 {
			if res, _, err := k.do("POST", "/", "over TLS"); err != nil || res.StatusCode != 200 {
				t.Errorf("%s: %v %v", c.name, res, err)
			}
		}
	}
	h2 := &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer h2.CloseIdleConnections()
	for range 3 {
		res, err := h2.Post("https://"+address+"/", "text/plain", strings.NewReader("over HTTP/2"))
		if err != nil {
			t.Fatal(err)
		}
		if _ = res.Body.Close(); res.StatusCode != 200 || res.ProtoMajor != 2 {
			t.Errorf("h2 offered: %s %s", res.Proto, res.Status)
		}
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"smtp"}}); err == nil {
		t.Error("a client that speaks something else only was accepted")
	}
	for _, hello := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff\x01\x00", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "\x80\x2e\x01\x00\x02"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, hello)
		_ = conn.(*net.TCPConn).CloseWrite() // what is malformed only by being short ends here
		_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		answer, err := io.ReadAll(conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("hello %q: the connection stays open", hello)
		}
		if len(answer) > 200 {
			t.Errorf("hello %q: answered with %d bytes", hello, len(answer))
		}
		_ = conn.Close()
	}
	if res, _, err := dialTLS(t, address, nil).do("GET", "/", ""); err != nil || res.StatusCode != 200 {
		t.Errorf("after malformed hellos: %v %v", res, err)
	}
	e.stop()
	measured(t, "TLS listener", "1.2 and 1.3, ALPN http/1.1 and h2, 1.1 and foreign ALPN refused, 4 malformed hellos survived")
}

// TestE2ETLSDrain: handshakes that never end do not hold a drain: it ends them, and does not wait until their time is over.
func TestE2ETLSDrain(t *testing.T) {
	t.Parallel()
	dir, b := folder(t), newBackend(t, "blue")
	c := upgradeConf(t, dir)
	c.blues = []string{b.address}
	e := run(t, dir, c)
	address := e.address("tls")
	var begun []net.Conn
	for range 5 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		begun = append(begun, conn)
	}
	idle := dialTLS(t, address, nil)
	eventually(t, 5*time.Second, "six connections are seen", func() bool {
		for _, l := range e.status().Listeners {
			if l.Name == "tls" {
				return l.Connections == 6
			}
		}
		return false
	})
	slow := slowRequest(t, e, b, held) // so that weir can be asked what it has done
	from := time.Now()
	e.signal(syscall.SIGTERM)
	for _, conn := range append(begun, idle.conn) {
		_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second)) // a guard
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("a connection that rests or has not begun ended with %v, not with a close", err)
		}
	}
	took := time.Since(from)
	result := func(name string) string {
		return e.metric(`weir_tls_handshakes_total{listener="tls",result="` + name + `",version="none"}`)
	}
	eventually(t, time.Minute, "every handshake has ended", func() bool { return result("gone") == "5" || result("timeout") != "0" })
	if n := result("timeout"); n != "0" {
		t.Errorf("%s handshakes were waited for", n)
	}
	b.letGo()
	if a := <-slow; a.err != nil || a.status != http.StatusOK {
		t.Errorf("the request under way: %+v", a)
	}
	if code := e.wait(time.Minute); code != 0 {
		t.Errorf("exit %d", code)
	}
	measured(t, "TERM with 5 unfinished handshakes and an idle connection", "they are closed after %s, exit 0", took.Round(10*time.Millisecond))
}
