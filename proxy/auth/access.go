package auth

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/gaissmai/bart"
)

// AccessOptions say who may pass. Networks of both sources count together.
type AccessOptions struct {
	Name                string
	Allow, Deny         []netip.Prefix // masked, IPv4 as IPv4
	AllowFile, DenyFile string         // "": none
}

// AccessList lets client addresses pass or not. What is denied is denied, however exactly something else allows it; where anything at all is allowed,
// what is not is denied too. An allow file without a line allows nobody.
//
// It is safe for concurrent use. It has no goroutine and nothing to close.
type AccessList struct {
	options AccessOptions
	current atomic.Pointer[rules] // written by Reload, read by Permits

	mu  sync.Mutex // guards sum; held by one Reload at a time
	sum [sha256.Size]byte
}

// rules never change once they are in force.
type rules struct {
	allow, deny *bart.Lite // nil: nothing is said
}

// OpenAccessList reads the files.
func OpenAccessList(o AccessOptions) (*AccessList, error) {
	l := &AccessList{options: o}
	return l, l.Reload()
}

// Permits reports whether a client at ip, unmapped and without zone, may pass. No address (of a peer that is no IP's) may not.
func (l *AccessList) Permits(ip netip.Addr) bool {
	r := l.current.Load()
	if !ip.IsValid() || r.deny != nil && r.deny.Contains(ip) {
		return false
	}
	return r.allow == nil || r.allow.Contains(ip)
}

// Name is the list's name in the configuration.
func (l *AccessList) Name() string { return l.options.Name }

// Networks counts what is allowed and denied, each network once.
func (l *AccessList) Networks() (allow, deny int) {
	r := l.current.Load()
	if r.allow != nil {
		allow = r.allow.Size()
	}
	if r.deny != nil {
		deny = r.deny.Size()
	}
	return allow, deny
}

// Reload reads the files again. With an error, which names file and line, the list stays as it is.
func (l *AccessList) Reload() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := sha256.New()
	allow, err := table(l.options.Allow, l.options.AllowFile, h)
	if err != nil {
		return fmt.Errorf("read access list %s: %w", l.options.Name, err)
	}
	h.Write([]byte{0})
	deny, err := table(l.options.Deny, l.options.DenyFile, h)
	if err != nil {
		return fmt.Errorf("read access list %s: %w", l.options.Name, err)
	}
	if sum := [sha256.Size]byte(h.Sum(nil)); l.current.Load() == nil || sum != l.sum {
		l.current.Store(&rules{allow, deny})
		l.sum = sum
	}
	return nil
}

// table holds the networks of a list and a file, nil where there is neither. What is read goes to seen too.
func table(list []netip.Prefix, file string, seen io.Writer) (*bart.Lite, error) {
	if len(list) == 0 && file == "" {
		return nil, nil
	}
	t := new(bart.Lite)
	for _, p := range list {
		t.Insert(p)
	}
	if file == "" {
		return t, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only: nothing is lost
	return t, readNetworks(t, filepath.Base(file), io.TeeReader(f, seen))
}
