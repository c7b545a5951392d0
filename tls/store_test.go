package edgetls_test

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

func TestPrepareFailsWhole(t *testing.T) {
	a := newAuthority(t)
	good := a.leaf("good", ecKey(t), now.AddDate(0, 0, 60), "a.test")
	other := a.leaf("other", ecKey(t), now.AddDate(0, 0, 60), "a.test")
	fifo := filepath.Join(a.dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	m := manager(t, good)
	before := m.Store()
	cases := []struct {
		name string
		pair edgetls.Pair
		want string
	}{
		{"missing certificate", edgetls.Pair{Cert: a.dir + "/none.crt", Key: good.Key}, "read certificate: stat " + a.dir + "/none.crt"},
		{"missing key", edgetls.Pair{Cert: good.Cert, Key: a.dir + "/none.key"}, "read key: stat"},
		{"key of another", edgetls.Pair{Cert: good.Cert, Key: other.Key}, "private key does not match public key"},
		{"swapped", edgetls.Pair{Cert: good.Key, Key: good.Cert}, "load certificate"},
		{"empty", edgetls.Pair{Cert: a.write("empty", nil), Key: good.Key}, "load certificate"},
		{"no PEM", edgetls.Pair{Cert: a.write("text", []byte("hello")), Key: good.Key}, "failed to find any PEM data"},
		{"broken DER", edgetls.Pair{Cert: a.write("der", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), Key: good.Key}, "x509"},
		{"too large", edgetls.Pair{Cert: a.write("large", make([]byte, 1<<20+1)), Key: good.Key}, "larger than 1 MiB"},
		{"folder", edgetls.Pair{Cert: a.dir, Key: good.Key}, "not a regular file"},
		{"FIFO", edgetls.Pair{Cert: fifo, Key: good.Key}, "not a regular file"},
	}
	for _, c := range cases {
		s, err := m.Prepare([]edgetls.Pair{good, c.pair}, now)
		if s != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
	_, err := m.Prepare([]edgetls.Pair{cases[0].pair, cases[2].pair}, now)
	if err == nil || !strings.Contains(err.Error(), cases[0].want) || !strings.Contains(err.Error(), cases[2].want) {
		t.Errorf("not every broken pair is reported: %v", err)
	}
	if m.Store() != before {
		t.Error("a failed Prepare changed the store in force")
	}
}

func TestWarnings(t *testing.T) {
	a := newAuthority(t)
	later := now.AddDate(0, 0, 60)
	disordered := a.leaf("disordered", ecKey(t), later, "d.test")
	unrelated := newAuthority(t)
	chain, err := os.ReadFile(disordered.Cert)
	if err != nil {
		t.Fatal(err)
	}
	end := strings.Index(string(chain), "-----END CERTIFICATE-----\n") + len("-----END CERTIFICATE-----\n")
	a.write("disordered.crt", append(chain[:end:end], chainPEM(unrelated.cert)...))
	cases := []struct {
		want  string // "" for none
		pairs []edgetls.Pair
	}{
		{"", []edgetls.Pair{a.leaf("fine", ecKey(t), later, "a.test")}},
		{"expired.crt: expired on 2026-11-21T12:00:00Z", []edgetls.Pair{a.leaf("expired", ecKey(t), now.AddDate(0, 0, -1), "a.test")}},
		{"future.crt: is not valid before", []edgetls.Pair{a.leaf("future", ecKey(t), now.AddDate(0, 0, 91), "a.test")}},
		{"nameless.crt: has no subject alternative name", []edgetls.Pair{a.leaf("nameless", ecKey(t), now.AddDate(0, 0, 60))}},
		{"weak.crt: has an RSA key of 1024 bits", []edgetls.Pair{a.leaf("weak", rsaKey(t, 1024), now.AddDate(0, 0, 60), "a.test")}},
		{"disordered.crt: certificate 2 of the chain did not issue number 1", []edgetls.Pair{disordered}},
		{"twin.crt: is never used for a.test, ", []edgetls.Pair{
			a.leaf("one", ecKey(t), now.AddDate(0, 0, 60), "a.test"), a.leaf("twin", ecKey(t), now.AddDate(0, 0, 60), "a.test"),
		}},
	}
	for _, c := range cases {
		s := load(t, c.pairs...)
		got := strings.Join(s.Warnings(), "\n")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("warnings %q, want %q", got, c.want)
		}
		if len(s.List(now)) != len(c.pairs) {
			t.Errorf("%q: what is warned of is not served: %+v", c.want, s.List(now))
		}
	}
}

func TestListAndNotAfter(t *testing.T) {
	a := newAuthority(t)
	soon, late := now.AddDate(0, 0, 10), now.AddDate(0, 0, 60)
	s := load(t,
		a.leaf("ec", ecKey(t), late, "B.test", "*.b.test", "10.0.0.1"),
		a.leaf("rsa", rsaKey(t, 2048), soon, "b.test"),
		a.leaf("ip", ecKey(t), late, "::1"),
		a.leaf("nameless", ecKey(t), soon),
	)
	list := s.List(now)
	first := list[0]
	if first.Subject != "b.test" || !reflect.DeepEqual(first.Names, []string{"b.test", "*.b.test", "10.0.0.1"}) || first.KeyType != "ECDSA P-256" ||
		first.Issuer != "CN=test CA" || first.Serial != "2" || len(first.Fingerprint) != 64 || !first.NotAfter.Equal(late) ||
		filepath.Base(first.File) != "ec.crt" || list[1].KeyType != "RSA 2048" {
		t.Errorf("list: %+v", list)
	}
	begin := func(end time.Time) time.Time { return end.AddDate(0, 0, -90) }
	want := []edgetls.Expiry{{"::1", begin(late), late}, {"b.test", begin(soon), soon}, {"nameless", begin(soon), soon}}
	if got := s.NotAfter(); !reflect.DeepEqual(got, want) {
		t.Errorf("NotAfter = %v, want %v", got, want)
	}
}

func TestCovers(t *testing.T) {
	a := newAuthority(t)
	s := load(t,
		a.leaf("first", ecKey(t), now.AddDate(0, 0, 60), "first.test", "10.0.0.1"),
		a.leaf("two", ecKey(t), now.AddDate(0, 0, 60), "a.test", "*.a.test"),
	)
	cases := []struct {
		sni, host string
		want      bool
	}{
		{"a.test", "a.test", true},
		{"a.test", "x.a.test", true},
		{"x.a.test", "A.test", true},
		{"a.test", "x.y.a.test", false},
		{"a.test", "first.test", false},
		{"", "first.test", true},
		{"", net.IPv4(10, 0, 0, 1).String(), true},
		{"unknown.test", "unknown.test", false},
	}
	for _, c := range cases {
		if got := s.Covers(c.sni, c.host); got != c.want {
			t.Errorf("Covers(%q, %q) = %v", c.sni, c.host, got)
		}
	}
}
