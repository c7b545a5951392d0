package edgetls_test

import (
	"strings"
	"testing"

	edgetls "github.com/valor-ivx/weir/tls"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// TestExternalAccount: a CA that gives certificates to accounts it knows only gives one with the binding; without, or with another, what is wrong is told and the
// next CA is asked.
func TestExternalAccount(t *testing.T) {
	const kid, key = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	s := newSite(t)
	bound := pebbletest.New(t, pebbletest.Options{HTTPPort: port(s.http), TLSPort: port(s.tls), ExternalAccounts: map[string]string{kid: key}})
	open := s.pebble()
	o := s.options(bound)
	o.CAs[0].KeyID, o.CAs[0].Key = kid, key
	s.start(o, "a.example.test")
	s.await("certificate", s.isValid("a.example.test"))
	s.mustServe("a.example.test", bound.Issued)
	s.stop()
	for _, c := range []struct{ kid, key, want string }{
		{"", "", "to accounts that are known to it only: name it in a [[tls.acme.ca]] with eab_kid"},
		{"kid-2", key, "does not accept the account: "},
	} {
		s.folder = t.TempDir()
		o := s.options(bound)
		o.CAs[0].KeyID, o.CAs[0].Key = c.kid, c.key
		s.start(o, "b.example.test")
		s.await("failure", s.hasFailed("b.example.test"))
		if i := s.info("b.example.test"); !strings.Contains(i.Error, c.want) || bound.Orders.Load() != 1 {
			t.Errorf("kid %q: tells %q after %d orders", c.kid, i.Error, bound.Orders.Load())
		}
		s.stop()
		o.CAs = append(o.CAs, edgetls.CA{Directory: open.Directory, Roots: open.Trust})
		s.start(o, "b.example.test")
		s.await("certificate of the next CA", s.isValid("b.example.test"))
		s.mustServe("b.example.test", open.Issued)
		s.stop()
	}
}
