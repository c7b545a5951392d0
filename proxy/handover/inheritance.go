package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Inheritance is what a process was given at its start. A nil one is that of a process that was given nothing. It is a resource: what nobody takes is closed by
// Close.
type Inheritance struct {
	predecessor *Predecessor // nil: from systemd

	mu      sync.Mutex // guards the rest; held for a look-up
	sockets []*inherited
	serving bool // Serving was called
}

const (
	variable = "WEIR_UPGRADE_FDS" // how many sockets the process before gives: LISTEN_FDS wants a process id that nobody knows before there is a process
	firstFD  = 3                  // sd_listen_fds(3): after standard error. An upgrade has its two pipes there, then sockets
)

// variables are the environment's part of it. They are for this process alone and leave the environment with FromEnvironment.
func variables() []string {
	return []string{variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}
}

// FromEnvironment takes what systemd or the process before has announced; nil when it was neither. After an error nothing is open.
func FromEnvironment() (*Inheritance, error) {
	said := map[string]string{}
	for _, name := range variables() {
		said[name] = os.Getenv(name)
		_ = os.Unsetenv(name) // fails for malformed names only
	}
	if n := said[variable]; n != "" {
		count, err := strconv.Atoi(n)
		if err != nil || count < 0 || count > 1<<16 {
			return nil, fmt.Errorf("%s is %q: only weir sets it, for the process that replaces it", variable, n)
		}
		return FromPredecessor(open(firstFD, "from the process before"), open(firstFD+1, "to the process before"), files(firstFD+2, count, nil))
	}
	if said["LISTEN_FDS"] == "" || said["LISTEN_PID"] != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	count, err := strconv.Atoi(said["LISTEN_FDS"])
	if err != nil || count < 1 || count > 1<<16 {
		return nil, fmt.Errorf("LISTEN_FDS is %q: systemd gives a number of sockets", said["LISTEN_FDS"])
	}
	var names []string
	if said["LISTEN_FDNAMES"] != "" {
		names = strings.Split(said["LISTEN_FDNAMES"], ":")
	}
	return FromSystemd(files(firstFD, count, names))
}

// open is the inherited descriptor fd, which this process's own children do not get.
func open(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

func files(first, count int, names []string) []*os.File {
	list := make([]*os.File, count)
	for i := range list {
		name := fmt.Sprintf("number %d", i+1)
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		list[i] = open(first+i, name)
	}
	return list
}

// FromSystemd is an Inheritance of listening sockets that are called as their files are. It closes them.
func FromSystemd(list []*os.File) (*Inheritance, error) {
	sockets := make([]Socket, len(list))
	for i, f := range list {
		sockets[i] = Socket{Name: f.Name(), Foreign: true}
	}
	return adoptAll(list, sockets)
}

func adoptAll(list []*os.File, sockets []Socket) (*Inheritance, error) {
	in := &Inheritance{}
	var bad []error
	for i, f := range list {
		s, err := adopt(f, sockets[i])
		if err != nil {
			bad = append(bad, err)
			continue
		}
		in.sockets = append(in.sockets, s)
	}
	if bad != nil {
		in.Close()
		return nil, fmt.Errorf("sockets from outside: %w", errors.Join(bad...))
	}
	return in, nil
}

// Predecessor is the process that this one replaces; nil: none.
func (in *Inheritance) Predecessor() *Predecessor {
	if in == nil {
		return nil
	}
	return in.predecessor
}

// Listener takes the socket that fits what the configuration calls name and says listens at address (of network tcp or unix); nil: there is none. foreign tells of a unix
// socket whose file is not ours to remove.
func (in *Inheritance) Listener(network, name, address string) (l net.Listener, foreign bool) {
	s := in.take(network, name, address)
	if s == nil {
		return nil, false
	}
	return s.listener, s.Foreign
}

// Packets is the same for datagrams: of network udp.
func (in *Inheritance) Packets(name, address string) *net.UDPConn {
	s := in.take("udp", name, address)
	if s == nil {
		return nil
	}
	return s.packets
}

// Feeds takes the sockets by which something goes to processes before this one, by their names.
func (in *Inheritance) Feeds() map[string]*net.UnixConn {
	if in == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	list := map[string]*net.UnixConn{}
	for _, s := range in.sockets {
		if s.feed != nil && !s.taken {
			s.taken = true
			list[s.Name] = s.feed
		}
	}
	return list
}

// take finds the socket that fits best.
func (in *Inheritance) take(network, name, address string) (best *inherited) {
	if in == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	level := 0
	for _, s := range in.sockets {
		if fit := s.fit(network, name, address); fit > level {
			best, level = s, fit
		}
	}
	if best != nil {
		best.taken = true
	}
	return best
}

// Left describes what nobody has taken.
func (in *Inheritance) Left() (list []string) {
	if in == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.sockets {
		if !s.taken {
			list = append(list, fmt.Sprintf("%s (%s %s)", s.Name, s.Network, s.address()))
		}
	}
	return list
}

// Serving tells the process before that this one has taken over, and returns when that one accepts no more; at once, if there is none.
func (in *Inheritance) Serving() {
	if in.Predecessor() == nil {
		return
	}
	in.mu.Lock()
	in.serving = true
	in.mu.Unlock()
	in.predecessor.serving()
}

// Close closes what nobody has taken, and, after Serving, removes the files of unix sockets among it that the process before made: nobody listens there any more.
func (in *Inheritance) Close() {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.sockets = slices.DeleteFunc(in.sockets, func(s *inherited) bool {
		if s.taken {
			return false
		}
		if u, ok := s.listener.(*net.UnixListener); ok && in.serving && !s.Foreign {
			u.SetUnlinkOnClose(true)
		}
		s.close()
		return true
	})
}
