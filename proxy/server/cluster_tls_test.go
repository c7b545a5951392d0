package server_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/proxy/redistest"
	edgetls "github.com/valor-ivx/weir/tls"
)

const clusterSecret = "tSdXkhEzHA0jDPs1X0fJlPPFsqmyT9IlkEcl6sNoIuY="

// join adds a [cluster] to what write wrote.
func (i *instance) join(redis string) {
	i.t.Helper()
	text, err := os.ReadFile(i.file)
	if err != nil {
		i.t.Fatal(err)
	}
	text = append(text, "\n[cluster]\nredis = \"redis://"+redis+"\"\nsecret = \""+clusterSecret+"\"\ntimeout = \"10s\"\n"...)
	if err := os.WriteFile(i.file, text, 0o600); err != nil {
		i.t.Fatal(err)
	}
}

// offered is the serial of the certificate served for host, "" for none.
func (i *instance) offered(host string) string {
	c, err := tls.Dial("tcp", i.https, &tls.Config{ServerName: host, RootCAs: i.ca.Issued})
	if err != nil {
		return ""
	}
	defer func() { _ = c.Close() }()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// replica is another weir for the same CA, which validates at i's listeners.
func (i *instance) replica() *instance {
	i.t.Helper()
	dir := i.t.TempDir()
	r := &instance{t: i.t, ca: i.ca, file: filepath.Join(dir, "weir.toml"), state: filepath.Join(dir, "state"), backend: i.backend,
		http: porttest.Reserve(i.t), https: porttest.Reserve(i.t), admin: porttest.Reserve(i.t)}
	root, err := os.ReadFile(filepath.Join(filepath.Dir(i.file), "ca.pem"))
	if err != nil {
		i.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), root, 0o600); err != nil {
		i.t.Fatal(err)
	}
	i.t.Cleanup(func() { r.stop() })
	return r
}

// TestReplicasShareCertificates: the CA validates at a replica that orders nothing, which answers, by either challenge, what another one has ordered;
// both serve the one certificate. Redis killed, they go on and start; back, what could not be ordered is.
func TestReplicasShareCertificates(t *testing.T) {
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			redis := redistest.New(t)
			answers := newInstance(t)
			orders := answers.replica()
			acme := fmt.Sprintf("challenges = [%q]", challenge)
			answers.resolver = porttest.Reserve(t) // nobody answers there, so it orders nothing
			for _, i := range []*instance{answers, orders} {
				i.write(acme, "one.example.test")
				i.join(redis.Address)
			}
			answers.run()
			orders.run()
			first := ""
			eventually(t, "the certificate is there", func() bool { first = orders.offered("one.example.test"); return first != "" })
			if challenge == "tls-alpn-01" {
				return // the rest has nothing to do with how it was answered
			}
			answers.stop()
			answers.resolver = ""
			answers.write(acme, "one.example.test")
			answers.join(redis.Address)
			answers.run()
			if got := answers.offered("one.example.test"); got != first {
				t.Fatalf("one serves %s, the other %q", first, got)
			}
			redis.Kill()
			orders.stop()
			orders.write(acme, "one.example.test", "two.example.test")
			orders.join(redis.Address)
			orders.run()
			for _, i := range []*instance{answers, orders} {
				if got := i.offered("one.example.test"); got != first {
					t.Errorf("without Redis %q is served, not %s", got, first)
				}
			}
			answers.write(acme, "one.example.test", "two.example.test")
			answers.join(redis.Address)
			answers.signals <- syscall.SIGHUP
			redis.Start()
			second := ""
			eventually(t, "the second host is served once Redis is back", func() bool { second = orders.offered("two.example.test"); return second != "" })
			eventually(t, "by both", func() bool { return answers.offered("two.example.test") == second })
		})
	}
}

// TestReplicasResumeSessions: a session of one replica is resumed on another, and after both were started anew.
func TestReplicasResumeSessions(t *testing.T) {
	redis := redistest.New(t)
	ca, err := edgetls.OpenLocalCA(filepath.Join(t.TempDir(), "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"x.test"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text := func(dir, upstream string) string {
		return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[tls.certificate]]\ncert = \"" + pair.Cert + "\"\nkey = \"" + pair.Key +
			"\"\n[cluster]\nredis = \"redis://" + redis.Address + "\"\nsecret = \"" + clusterSecret + "\"\ntimeout = \"10s\"\n[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:0\"\ntls = true\nprotocols = [\"http/1.1\"]\n" +
			"[[route]]\nname = \"all\"\nservice = \"api\"\n[service.api.group.blue]\ntargets = [\"" + upstream + "\"]\n"
	}
	cache := tls.NewLRUClientSessionCache(10)
	resumed := func(address string) bool {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: "x.test", InsecureSkipVerify: true, ClientSessionCache: cache, MaxVersion: tls.VersionTLS13})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x.test\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		var b [4096]byte
		for { // the ticket comes after the handshake
			if _, err := c.Read(b[:]); err != nil {
				break
			}
		}
		return c.ConnectionState().DidResume
	}
	var dirs []string
	blue := newColour(t, "blue")
	t.Cleanup(blue.kill)
	round := func(n int) {
		var replicas []*running
		for i := range 2 {
			if len(dirs) <= i {
				dirs = append(dirs, shortDir(t))
			}
			replicas = append(replicas, run(t, dirs[i], text(dirs[i], blue.address)))
		}
		a, b := replicas[0], replicas[1]
		if n > 0 && (!resumed(a.address) || !resumed(b.address)) {
			t.Errorf("round %d: a session from before was not resumed", n)
		}
		eventually(t, fmt.Sprintf("round %d: a session of one resumed on the other", n), func() bool { resumed(a.address); return resumed(b.address) })
		a.stop()
		b.stop()
	}
	round(0)
	round(1)
	for _, d := range dirs {
		_ = os.RemoveAll(d)
	}
}
