package server

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/quic-go/quic-go"

	"github.com/valor-ivx/weir/configs"
)

// adminName is what the admin API's socket is called where sockets come from outside.
const adminName = "admin"

// legacy is what the process before this one leaves in its last word, beside what it keeps in the state folder.
type legacy struct {
	// Upgrades and Failures are how many there have been since the first process of the line.
	Upgrades uint64 `json:"upgrades"`
	Failures uint64 `json:"failures"`
	// Memory is a memory, for whoever understands it.
	Memory json.RawMessage `json:"memory,omitempty"`
}

// listen is the inherited socket for a listener, or a new one.
func (s *Server) listen(c *configs.Listener) (net.Listener, error) {
	if l, _ := s.options.Inherited.Listener("tcp", c.Name, c.Address); l != nil {
		return l, nil
	}
	return net.Listen("tcp", c.Address)
}

// listenAdmin is the same for the admin API.
func (s *Server) listenAdmin(a configs.AdminAddress) (l net.Listener, err error) {
	if l, s.foreign = s.options.Inherited.Listener(a.Network, adminName, a.Address); l != nil {
		return l, nil
	}
	if a.Network == "unix" {
		removeStaleSocket(a.Address)
	}
	if l, err = net.Listen(a.Network, a.Address); err != nil {
		return nil, fmt.Errorf("open admin address: %w", err)
	}
	if a.Network == "unix" {
		if err := keepOthersOut(a.Address); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// keepOthersOut: who may write to the socket is an operator, without a token too. With a umask of 0, as some containers have, that would be everybody.
func keepOthersOut(socket string) error {
	info, err := os.Stat(socket)
	if err == nil {
		err = os.Chmod(socket, info.Mode().Perm()&^0o007)
	}
	if err != nil {
		return fmt.Errorf("protect admin socket: %w", err)
	}
	return nil
}

// quicTokens is the key of address validation tokens (RFC 9000 §8.1): the same in every process of this state folder, so that a client who has one need not prove itself again to the next.
func (s *Server) quicTokens() *quic.TokenGeneratorKey {
	var key quic.TokenGeneratorKey
	s.derive("weir quic tokens", key[:])
	return &key
}

// derive fills key with what follows from this state folder's secret, for one purpose.
func (s *Server) derive(purpose string, key []byte) {
	b, err := hkdf.Key(sha256.New, s.secret, nil, purpose, len(key))
	if err != nil {
		panic("derive key of " + purpose + ": " + err.Error()) // only for a length that SHA-256 cannot give
	}
	copy(key, b)
}

// strangers refuses sockets of systemd's that the file has no use for: whoever configured them expects somebody to answer there. What a process before this one listened on
// and the file does not name any more is closed, as by a reload.
func (s *Server) strangers() error {
	in := s.options.Inherited
	if left := in.Left(); left != nil && in.Predecessor() == nil {
		return fmt.Errorf("systemd gives sockets that neither a [[listener]] nor admin.address of %s is at, nor named as: %s", s.options.ConfigPath, strings.Join(left, ", "))
	}
	return nil
}

// succeed waits until the process before lets this one serve, and takes over what it leaves. Nothing of this process has been seen from outside before.
func (s *Server) succeed() error {
	p := s.options.Inherited.Predecessor()
	if p == nil {
		return nil
	}
	text, err := p.Ready(s.options.Version)
	if err != nil {
		return err
	}
	if err := s.lock.inherit(); err != nil {
		return err
	}
	var left legacy
	if text != nil {
		if err := json.Unmarshal(text, &left); err != nil {
			return fmt.Errorf("read the last state of the process before: %w", err)
		}
	}
	runtime, err := s.overlay.load() // what it has changed since this process read it
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.put(runtime)
	if l := s.cluster.Load(); l != nil {
		s.meet(l)
	}
	s.mu.Unlock()
	s.upgrades = [2]uint64{left.Upgrades, left.Failures}
	s.metrics.SetUpgrades(left.Upgrades, left.Failures)
	s.recall(left.Memory)
	return nil
}

// serve lets every listener accept: those that waited for the process before, which commit does not start.
func (s *Server) serve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = false
	for name, to := range s.options.Inherited.Feeds() {
		s.elders.add(name, to)
	}
	for _, l := range s.listeners {
		l.start()
	}
}

// begun is the end of a start: from here on this process is the one that answers.
func (s *Server) begun() {
	if s.options.Inherited.Predecessor() != nil {
		if u, ok := s.control.(*net.UnixListener); ok && !s.foreign {
			u.SetUnlinkOnClose(true) // it is ours now
		}
		s.serve()
		s.options.Inherited.Serving()
		s.serveAdmin() // last: whoever hears that this one is ready finds no other
		s.log.Info("took over from the process before")
	} else {
		s.serveAdmin()
	}
	s.options.Inherited.Close()
	s.tell(s.options.Notify.Ready(os.Getpid()))
}
