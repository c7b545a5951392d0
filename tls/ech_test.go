package edgetls_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	edgetls "github.com/valor-ivx/weir/tls"
)

// TestECH: a client that knows the key is served the hidden host; one with a stale key is too while that is kept, and is told the newest one when it is not;
// one without is served as ever.
func TestECH(t *testing.T) {
	a := newAuthority(t)
	m := manager(t, a.leaf("cover", ecKey(t), now.AddDate(0, 0, 60), "cover.test"), a.leaf("secret", ecKey(t), now.AddDate(0, 0, 60), "secret.test"))
	address := serve(t, m.Config(nil, 0))
	client := func(list string) *tls.Config {
		raw, err := base64.StdEncoding.DecodeString(list)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{ServerName: "secret.test", RootCAs: a.pool(), Time: func() time.Time { return now }, EncryptedClientHelloConfigList: raw}
	}
	file := filepath.Join(t.TempDir(), "ech.json")
	const month = 30 * 24 * time.Hour
	open := func(at time.Time) *edgetls.ECH {
		e, err := edgetls.OpenECH(file, "cover.test", month, at)
		if err != nil {
			t.Fatal(err)
		}
		m.UseECH(e)
		return e
	}
	first := open(now).ConfigList()
	check := func(name, list string) {
		t.Helper()
		c, err := dial(t, address, client(list))
		if err != nil || !c.ConnectionState().ECHAccepted || served(c) != "secret" {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("the key", first)
	if again := open(now.Add(month / 2)).ConfigList(); again != first {
		t.Error("another key after a restart")
	}
	e := open(now.Add(month))
	second := e.ConfigList()
	if second == first {
		t.Error("no rotation")
	}
	check("the next key", second)
	check("the key before", first)
	for i := range 2 {
		if err := e.Rotate("cover.test", month, now.Add(time.Duration(i+2)*month)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := dial(t, address, client(first))
	var rejected *tls.ECHRejectionError
	if !errors.As(err, &rejected) || base64.StdEncoding.EncodeToString(rejected.RetryConfigList) != e.ConfigList() {
		t.Errorf("a key that is not kept: %v", err)
	}
	plain := client(first)
	plain.EncryptedClientHelloConfigList = nil
	if c, err := dial(t, address, plain); err != nil || c.ConnectionState().ECHAccepted {
		t.Errorf("without ECH: %v", err)
	}
	if err := e.Rotate("other.test", month, now.Add(3*month)); err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(e.ConfigList())
	if !strings.Contains(string(raw), "other.test") {
		t.Error("another public name did not make another key")
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	m.UseECH(nil)
	if _, err := dial(t, address, client(e.ConfigList())); err == nil {
		t.Error("accepted though it is off")
	}
	for _, broken := range []string{"{", `[{"private":"AA=="}]`} {
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := edgetls.OpenECH(file, "cover.test", month, now); err == nil {
			t.Errorf("%s is taken for keys", broken)
		}
	}
}
