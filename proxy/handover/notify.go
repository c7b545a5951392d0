package handover

import (
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells systemd what becomes of this process (sd_notify(3)): NOTIFY_SOCKET of the environment. An empty one tells nobody.
type Notifier string

// notifyTimeout is how long systemd may take to make room for a datagram: it has a queue for them, and hangs when it does not.
const notifyTimeout = time.Second

// Ready says that the service is up, and in which process: for a start, after a reload, and for one that has taken over.
func (n Notifier) Ready(pid int) error {
	return n.tell(fmt.Sprintf("READY=1\nMAINPID=%d\nSTATUS=serving", pid))
}

// Reloading says that a reload or an upgrade is under way: Ready follows. The time is what Type=notify-reload tells an old message from this one by.
func (n Notifier) Reloading(what string) error {
	if n == "" {
		return nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=%s", now.Nano()/1000, what))
}

// Stopping says that the process is about to end.
func (n Notifier) Stopping() error { return n.tell("STOPPING=1\nSTATUS=draining") }

func (n Notifier) tell(state string) error {
	if n == "" {
		return nil
	}
	name := string(n)
	if rest, abstract := strings.CutPrefix(name, "@"); abstract {
		name = "\x00" + rest
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(notifyTimeout))
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
