package server

import (
	"net"
	"testing"
	"time"
)

// TestUpgradedAcceptsNoMore: when an upgrade is reported nobody but the new process accepts, and what comes to the sockets is for it.
func TestUpgradedAcceptsNoMore(t *testing.T) {
	u := newUnsure(t)
	u.options.UpgradeTimeout = time.Minute // a guard
	u.options.Command = []string{"/bin/sh", "-c", `read -r hello <&3; echo '{"word":"ready","version":"x"}' >&4; read -r go <&3; echo '{"word":"serving"}' >&4; read -r end <&3`}
	if _, err := u.upgrade(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	for _, l := range u.listeners {
		select {
		case <-l.done:
		default:
			t.Errorf("listener %s accepts beside the new process", l.config.Name)
		}
	}
	conn, err := net.Dial("tcp", u.Address(0))
	if err != nil {
		t.Fatalf("the socket that both have is closed: %v", err)
	}
	_ = conn.Close()
}
