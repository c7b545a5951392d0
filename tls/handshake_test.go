package edgetls_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

func TestChoice(t *testing.T) {
	a := newAuthority(t)
	later := now.AddDate(0, 0, 60)
	rsaPair := rsaKey(t, 2048)
	m := manager(t,
		a.leaf("first", ecKey(t), later, "first.test", "10.0.0.1"),
		a.leaf("both-rsa", rsaPair, later, "both.test"), // before the ECDSA one, and still second choice
		a.leaf("both-ec", ecKey(t), later, "both.test"),
		a.leaf("rsa", rsaPair, later, "rsa.test"),
		a.leaf("wild", ecKey(t), later, "*.both.test", "*.Wild.test"),
		a.leaf("exact", ecKey(t), later, "exact.wild.test"),
		a.leaf("expired", ecKey(t), now.AddDate(0, 0, -1), "renewed.test"),
		a.leaf("renewed", rsaPair, later, "renewed.test"),
	)
	address := serve(t, m.Config([]string{"http/1.1"}, 0))
	ecdsaOnly := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}
	cases := []struct {
		sni    string
		suites []uint16
		want   string
	}{
		{sni: "first.test", want: "first"},
		{sni: "both.test", want: "both-ec"},
		{sni: "BOTH.test", want: "both-ec"},
		{sni: "both.test", suites: ecdsaOnly, want: "both-ec"},
		{sni: "both.test", suites: rsaOnly, want: "both-rsa"},
		{sni: "rsa.test", want: "rsa"},
		{sni: "rsa.test", suites: rsaOnly, want: "rsa"},
		{sni: "a.both.test", want: "wild"},
		{sni: "x.wild.test", want: "wild"},
		{sni: "exact.wild.test", want: "exact"},
		{sni: "a.b.wild.test", want: "first"}, // a wildcard stands for one label
		{sni: "wild.test", want: "first"},
		{sni: "unknown.test", want: "first"},
		{sni: "", want: "first"},
		{sni: "renewed.test", want: "renewed"},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range cases {
			if c.suites != nil && version == tls.VersionTLS13 {
				continue // suites say nothing about keys there; TestChoiceByScheme does that
			}
			conn, err := dial(t, address, &tls.Config{
				ServerName: c.sni, MinVersion: version, MaxVersion: version, CipherSuites: c.suites, InsecureSkipVerify: true,
			})
			if err != nil {
				t.Errorf("%s, server name %q, suites %v: %v", tls.VersionName(version), c.sni, c.suites, err)
				continue
			}
			if got := served(conn); got != c.want || conn.ConnectionState().Version != version {
				t.Errorf("%s, server name %q, suites %v: served %s, want %s", tls.VersionName(version), c.sni, c.suites, got, c.want)
			}
		}
	}
	// A client that checks, as users' do.
	checks := &tls.Config{ServerName: "both.test", RootCAs: a.pool(), Time: func() time.Time { return now }}
	if _, err := dial(t, address, checks); err != nil {
		t.Errorf("a client that trusts the CA: %v", err)
	}
	checks.ServerName = "unknown.test"
	if _, err := dial(t, address, checks); err == nil {
		t.Error("a client took a certificate of another host")
	}
}

// TestChoiceByScheme asks as clients of TLS 1.3 that know only one kind of signature: crypto/tls has no such client.
func TestChoiceByScheme(t *testing.T) {
	a := newAuthority(t)
	m := manager(t,
		a.leaf("ec", ecKey(t), now.AddDate(0, 0, 60), "both.test"),
		a.leaf("rsa", rsaKey(t, 2048), now.AddDate(0, 0, 60), "both.test"),
	)
	choose := m.Config(nil, 0).GetCertificate
	for _, sni := range []string{"both.test", "unknown.test", ""} {
		for scheme, want := range map[tls.SignatureScheme]string{
			tls.PSSWithSHA256:          "rsa",
			tls.ECDSAWithP256AndSHA256: "ec",
			tls.Ed25519:                "ec", // none fits: the best is sent and the handshake says why it fails
		} {
			cert, err := choose(&tls.ClientHelloInfo{
				ServerName: sni, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{scheme},
			})
			if err != nil || cert.Leaf.Subject.CommonName != want {
				t.Errorf("server name %q, %v: %v, %v; want %s", sni, scheme, cert.Leaf.Subject, err, want)
			}
		}
	}
}

func TestConfigRefuses(t *testing.T) {
	a := newAuthority(t)
	m := manager(t, a.leaf("rsa", rsaKey(t, 2048), now.AddDate(0, 0, 60), "a.test"))
	modern := serve(t, m.Config([]string{"h2", "http/1.1"}, tls.VersionTLS10)) // raised to 1.2
	strict := serve(t, m.Config(nil, tls.VersionTLS13))
	cases := []struct {
		name, address string
		client        tls.Config
		want          string
	}{
		{"TLS 1.1", modern, tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "protocol version"},
		{"TLS 1.2 where 1.3 is asked", strict, tls.Config{MaxVersion: tls.VersionTLS12}, "protocol version"},
		{"RSA key exchange", modern, tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}}, "handshake failure"},
		{"CBC", modern, tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}}, "handshake failure"},
		{"other ALPN", modern, tls.Config{NextProtos: []string{"smtp"}}, "no application protocol"},
		{"TLS 1.2 ECDHE", modern, tls.Config{MaxVersion: tls.VersionTLS12}, ""},
		{"ALPN", modern, tls.Config{NextProtos: []string{"http/1.1", "h2"}}, ""},
		{"no ALPN", modern, tls.Config{}, ""},
	}
	for i := range cases {
		c := &cases[i]
		c.client.InsecureSkipVerify = true
		conn, err := dial(t, c.address, &c.client)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if got := conn.ConnectionState().NegotiatedProtocol; len(c.client.NextProtos) > 0 && got != "h2" {
				t.Errorf("%s: chose %q, the server prefers h2", c.name, got)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	conn, err := dial(t, modern, &tls.Config{InsecureSkipVerify: true})
	if err != nil || conn.ConnectionState().CurveID != tls.X25519MLKEM768 {
		t.Errorf("key exchange with a current client is not X25519MLKEM768 (%v)", err)
	}
}

func TestNoCertificates(t *testing.T) {
	m := manager(t)
	if _, err := dial(t, serve(t, m.Config(nil, 0)), &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("a handshake without certificates")
	}
	if m.Store().Covers("a.test", "a.test") || len(m.Store().List(now))+len(m.Store().NotAfter()) != 0 {
		t.Error("an empty store claims something")
	}
}

func TestCommitUnderHandshakes(t *testing.T) {
	a := newAuthority(t)
	old := a.leaf("old", ecKey(t), now.AddDate(0, 0, 60), "a.test")
	next := a.leaf("next", ecKey(t), now.AddDate(0, 0, 60), "a.test")
	m := manager(t, old)
	address := serve(t, m.Config([]string{"http/1.1"}, 0))
	client := &tls.Config{ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }}
	before, err := dial(t, address, client)
	if err != nil {
		t.Fatal(err)
	}

	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 10 {
				c, err := dial(t, address, client)
				if err != nil {
					t.Errorf("handshake during reloads: %v", err)
					return
				}
				if got := served(c); got != "old" && got != "next" {
					t.Errorf("served %s", got)
				}
			}
		})
	}
	stores := []*edgetls.Store{load(t, old), load(t, next)}
	for i := range 2000 {
		m.Commit(stores[i%2])
	}
	clients.Wait()

	m.Commit(stores[1])
	after, err := dial(t, address, client)
	if err != nil || served(after) != "next" {
		t.Errorf("after the last commit: %v", err)
	}
	if err := echo(before); err != nil {
		t.Errorf("a connection from before the reloads: %v", err)
	}
}

func TestResumptionSurvivesCommit(t *testing.T) {
	a := newAuthority(t)
	m := manager(t, a.leaf("old", ecKey(t), now.AddDate(0, 0, 60), "a.test"))
	address := serve(t, m.Config(nil, 0))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{
			ServerName: "a.test", RootCAs: a.pool(), Time: func() time.Time { return now }, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(4),
		}
		first, err := dial(t, address, client)
		if err != nil || first.ConnectionState().DidResume {
			t.Fatalf("%s: first handshake: %v", tls.VersionName(version), err)
		}
		m.Commit(load(t, a.leaf("next", ecKey(t), now.AddDate(0, 0, 60), "a.test")))
		second, err := dial(t, address, client)
		if err != nil || !second.ConnectionState().DidResume {
			t.Errorf("%s: the session did not resume after a reload (%v)", tls.VersionName(version), err)
		}
	}
}

// TestMalformedHello sends what is no ClientHello; the listener must answer the next client.
func TestMalformedHello(t *testing.T) {
	a := newAuthority(t)
	address := serve(t, manager(t, a.leaf("a", ecKey(t), now.AddDate(0, 0, 60), "a.test")).Config([]string{"http/1.1"}, 0))
	for name, hello := range map[string]string{
		"nothing":                "",
		"plain HTTP":             "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"half a record header":   "\x16\x03",
		"record cut short":       "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"record too large":       "\x16\x03\x01\xff\xff" + strings.Repeat("A", 70_000),
		"length inside is wrong": "\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
		"huge handshake":         "\x16\x03\x01\x00\x04\x01\xff\xff\xff",
		"not a hello":            "\x16\x03\x01\x00\x04\x0b\x00\x00\x00",
		"alert":                  "\x15\x03\x01\x00\x02\x02\x28",
		"SSLv2":                  "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + strings.Repeat("\x01", 37),
		"zeroes":                 strings.Repeat("\x00", 1000),
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
		_, _ = conn.Write([]byte(hello)) // the server may have hung up on it already
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the server keeps the connection: %v", name, err)
		}
		conn.Close()
		if _, err := dial(t, address, &tls.Config{InsecureSkipVerify: true}); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}
