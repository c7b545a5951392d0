package server

import (
	"strings"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// TestNotReadySaysWhy: before there is a configuration, and with a listener whose loop has ended.
func TestNotReadySaysWhy(t *testing.T) {
	s := &Server{}
	tell := func() (ok bool, told string) {
		ok = true
		for _, c := range (control{s}).Ready() {
			ok = ok && c.OK
			told += c.Name + ": " + c.Detail + "; "
		}
		return ok, told
	}
	if ok, told := tell(); ok || !strings.Contains(told, "config: no configuration is in force yet") {
		t.Errorf("before the first configuration: %t %q", ok, told)
	}
	well, deaf := &listener{config: configs.Listener{Name: "http"}, done: make(chan struct{})}, &listener{config: configs.Listener{Name: "https"}, done: make(chan struct{})}
	s.current.Store(&generation{number: 7, sockets: []*listener{well, deaf}})
	if ok, told := tell(); !ok || told != "config: generation 7; listeners: 2 open; not_draining: ; " {
		t.Errorf("with two listeners: %t %q", ok, told)
	}
	close(deaf.done)
	if ok, told := tell(); ok || !strings.Contains(told, "listeners: 1 of 2 accept no connections: https;") {
		t.Errorf("with one that has ended: %t %q", ok, told)
	}
	s.stopping.Store(true)
	if ok, told := tell(); ok || !strings.Contains(told, "listeners: closed; not_draining: stopping;") {
		t.Errorf("stopping: %t %q", ok, told)
	}
}
