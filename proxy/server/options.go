package server

import (
	"io"
	"time"

	"github.com/valor-ivx/weir/proxy/handover"
)

// Options are what the command line decides.
type Options struct {
	ConfigPath string
	PIDFile    string // written once the edge is ready; empty: none
	Version    string
	// DrainDelay is how long the edge goes on serving everybody after TERM, but not as ready: until whoever sends it traffic has noticed. 0: not at all.
	DrainDelay   time.Duration
	DrainTimeout time.Duration // how long requests in flight may take after TERM; 0: for ever
	// Inherited are sockets from outside, which listeners and the admin API take before they bind their own; nil: none.
	Inherited *handover.Inheritance
	// Notify is whom to tell that the edge is ready; empty: nobody.
	Notify handover.Notifier
	// Command starts this program anew as it was started, for an upgrade; nil: there is none. UpgradeTimeout is how long that may take until it could serve.
	Command        []string
	UpgradeTimeout time.Duration
	Stdout         io.Writer
	Stderr         io.Writer
	Ready          func(*Server) // called once, when every listener accepts; may be nil
}

// Exit codes of Run, as contract.md fixes them.
const (
	exitClean   = 0
	exitFailed  = 1
	exitExpired = 3
)
