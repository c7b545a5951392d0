package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/handover"
	"github.com/valor-ivx/weir/proxy/observe"
)

// takeOverTimeout is how long a new process may take from the last word of this one to its own: it then has everything, and only begins.
const takeOverTimeout = 10 * time.Second

// busy refuses what comes during an upgrade, another one too.
func busy() error {
	return &admin.BusyError{Detail: "an upgrade is under way: nothing else can be changed until it has ended"}
}

// upgrade starts the program anew with every socket of this process and returns when the new process alone accepts: this one has then been told to drain. After an error nothing has
// changed: this process has served all the time, and goes on.
func (s *Server) upgrade(ctx context.Context, by string) (admin.UpgradeResult, error) {
	err := s.upgradable()
	if err == nil && !s.upgrading.CompareAndSwap(false, true) {
		err = busy()
	}
	if err != nil {
		s.log.Warn("upgrade refused", zap.String("weir.by", by), observe.Err(err))
		return admin.UpgradeResult{}, refusedUpgrade(err)
	}
	s.reloading.Lock() // what changes meanwhile is read after it, here or there
	defer s.reloading.Unlock()
	if err := s.upgradable(); err != nil { // it may have come between; from here on whatever else wants to change something waits for us
		s.upgrading.Store(false)
		s.log.Warn("upgrade refused", zap.String("weir.by", by), observe.Err(err))
		return admin.UpgradeResult{}, refusedUpgrade(err)
	}
	s.log.Info("upgrade begins", zap.String("weir.by", by), zap.Strings("weir.command", s.options.Command))
	s.tell(s.options.Notify.Reloading("upgrading"))
	result, err := s.replaceProcess(ctx)
	if err != nil {
		s.upgrades[1]++
		s.metrics.SetUpgrades(s.upgrades[0], s.upgrades[1])
		s.upgrading.Store(false)
		s.tell(s.options.Notify.Ready(os.Getpid()))
		s.log.Error("upgrade failed, this process goes on", observe.Err(err))
		return result, refusedUpgrade(err)
	}
	s.tell(s.options.Notify.Ready(result.PID))
	s.log.Info("upgraded", zap.Int("weir.pid", result.PID), zap.String("weir.version", result.Version))
	s.handed.Store(true)
	s.followLogs()
	s.handAdminOver()
	s.stopping.Store(true)
	close(s.replaced)
	return result, nil
}

// upgradable says why this process cannot be replaced.
func (s *Server) upgradable() error {
	switch {
	case s.stopping.Load():
		return errStopping
	case s.options.Command == nil:
		return errors.New("this weir runs inside another program: start that one anew")
	case os.Getpid() == 1:
		return errors.New("weir is process 1 here, whose end is the end of its container: run the new image in a container of its own and stop this one, as deployments do")
	}
	// The new process begins with the file, which is what nobody has confirmed, and knows of nothing to take back.
	if u := s.unconfirmed.Load(); u != nil {
		return &admin.BusyError{Detail: fmt.Sprintf("a reload waits to be confirmed, until %s: first weir reload confirm, or revert", u.until.Format(time.TimeOnly))}
	}
	return nil
}

// refusedUpgrade is why an upgrade was not done, for the admin API: the new process's own words where it had some.
func refusedUpgrade(err error) error {
	var busy *admin.BusyError
	switch {
	case errors.Is(err, errStopping):
		return admin.ErrStopping
	case errors.As(err, &busy):
		return err
	}
	invalid := &admin.InvalidError{Title: "upgrade failed"}
	var refused *handover.RefusedError
	if errors.As(err, &refused) {
		for _, reason := range refused.Reasons {
			invalid.Details = append(invalid.Details, admin.Detail{Message: reason})
		}
		return invalid
	}
	invalid.Details = []admin.Detail{{Message: err.Error()}}
	return invalid
}

// replaceProcess is the upgrade itself.
func (s *Server) replaceProcess(ctx context.Context) (result admin.UpgradeResult, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.options.UpgradeTimeout, fmt.Errorf("the new process was not ready within %s (--upgrade-timeout) and was ended", s.options.UpgradeTimeout))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(s.ending, func() { stop(errStopping) })()
	estate, given, err := s.estate()
	if err != nil {
		return result, err
	}
	heir, err := handover.Start(ctx, s.options.Command, estate)
	for _, g := range given {
		_ = g.Close() // the heir has its own
	}
	if err != nil {
		return result, err
	}
	version, err := heir.AwaitReady(ctx)
	if err != nil {
		return result, err
	}
	memory, err := s.remember() // before anything waits for it; what requests teach from here on is lost
	if err != nil {
		heir.Kill()
		return result, err
	}
	speak := s.muteAdmin()
	state := s.freeze()
	state.Memory = memory
	// Not bounded by ctx: from here on the new process may serve any moment, and ending it would cut what it has accepted.
	taking, cancel := context.WithTimeoutCause(context.Background(), takeOverTimeout, fmt.Errorf("the new process did not take over within %s and was ended", takeOverTimeout))
	defer cancel()
	if err := heir.Go(taking, state); err != nil {
		s.thaw()
		speak()
		return result, err
	}
	s.yield()
	heir.Release()
	return admin.UpgradeResult{Before: os.Getpid(), PID: heir.PID(), Version: version}, nil
}

// estate is every socket that this process listens on, and those by which packets come to the connections of this process and of those before it. given are to be closed once they are handed over.
func (s *Server) estate() (list []handover.Estate, given []*net.UnixConn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add := func(network, name, address string, foreign bool, l any) {
		if d, ok := l.(handover.Descriptor); ok {
			list = append(list, handover.Estate{Socket: handover.Socket{Network: network, Name: name, Address: address, Foreign: foreign}, Descriptor: d})
		}
	}
	for _, l := range s.listeners {
		add("tcp", l.config.Name, l.config.Address, false, l.socket)
		if l.quic == nil {
			continue
		}
		add("udp", l.config.Name, l.socket.Addr().String(), false, l.quic.socket.UDPConn)
		feed, err := l.quic.socket.heirloom()
		if err != nil {
			for _, g := range given {
				_ = g.Close()
			}
			return nil, nil, fmt.Errorf("hand over h3 of listener %s: %w", l.config.Name, err)
		}
		given = append(given, feed)
		add("unixpacket", l.quic.tag.String(), "", false, feed)
	}
	for t, to := range s.elders.all() {
		add("unixpacket", t.String(), "", false, to)
	}
	a := s.current.Load().plan.config.Admin.Address
	add(a.Network, adminName, a.Address, s.foreign, s.control)
	return list, given, nil
}

// yield leaves what comes from now on to the process that serves beside this one. The sockets stay open, so that nothing in a backlog is lost.
func (s *Server) yield() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.handOver()
	}
}

// turnPackets makes the packets of every endpoint come from somewhere else.
func (s *Server) turnPackets(to source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.quic != nil {
			l.quic.socket.turn(to)
		}
	}
}

// freeze ends what this process steers, and stores it: the rollouts. From here on one process at most does.
func (s *Server) freeze() legacy {
	s.turnPackets(fromFeed)
	s.keepRollouts()
	s.lock.release()
	return legacy{Upgrades: s.upgrades[0] + 1, Failures: s.upgrades[1]}
}

// thaw goes on after freeze, where the new process did not.
func (s *Server) thaw() {
	if err := s.lock.take(); err != nil {
		s.log.Error("state folder", observe.Err(err))
	}
	if err := s.writePID(); err != nil { // it may have written its own
		s.log.Error("pid file", observe.Err(err))
	}
	s.turnPackets(fromSocket)
	s.resumeRollouts()
}

// muteAdmin makes this process answer nobody new on the admin API, so that no two do, and gives what begins it again. What has been asked is answered.
func (s *Server) muteAdmin() (speak func()) {
	again := func() {}
	if l, ok := s.control.(interface{ File() (*os.File, error) }); ok {
		if spare, err := l.File(); err == nil {
			again = func() { s.unmuteAdmin(spare) }
			s.spare = spare
		}
	}
	if u, ok := s.control.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	_ = s.control.Close() // the socket lives on, in the new process and in spare
	return again
}

// unmuteAdmin serves on the socket that muteAdmin left alone.
func (s *Server) unmuteAdmin(spare *os.File) {
	l, err := net.FileListener(spare)
	_ = spare.Close() // l is a duplicate
	if err != nil {
		s.log.Error("admin API ended", observe.Err(err))
		return
	}
	if u, ok := l.(*net.UnixListener); ok && !s.foreign {
		u.SetUnlinkOnClose(true)
	}
	s.control = l
	s.serveAdmin()
}

// handAdminOver ends the admin API, which the new process answers now, as soon as it has answered what it was asked. Its goroutine ends with that.
func (s *Server) handAdminOver() {
	if s.spare != nil {
		_ = s.spare.Close()
	}
	go func() {
		defer close(s.answered)
		ctx, cancel := context.WithTimeout(context.Background(), takeOverTimeout)
		defer cancel()
		if s.admin.Shutdown(ctx) != nil {
			_ = s.admin.Close()
		}
	}()
}

// removePID removes the pid file unless it names another process by now.
func (s *Server) removePID() {
	if s.options.PIDFile == "" {
		return
	}
	text, err := os.ReadFile(s.options.PIDFile)
	if err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(os.Getpid()) {
		_ = os.Remove(s.options.PIDFile) // somebody else may have removed it
	}
}

func (s *Server) tell(err error) {
	if err != nil {
		s.log.Warn("systemd was not told", observe.Err(err))
	}
}

// Upgrade implements admin.Control.
func (c control) Upgrade(ctx context.Context, ch admin.Change) (admin.UpgradeResult, error) {
	return c.s.upgrade(ctx, ch.By)
}
