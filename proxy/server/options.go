package server

import (
	"io"
	"time"
)

// Options are what the command line decides.
type Options struct {
	ConfigPath   string
	PIDFile      string // written once the edge is ready; empty: none
	Version      string
	DrainTimeout time.Duration // how long requests in flight may take after TERM; 0: for ever
	Stdout       io.Writer
	Stderr       io.Writer
	Ready        func(*Server) // called once, when every listener accepts; may be nil
}

// Exit codes of Run, as contract.md fixes them.
const (
	exitClean   = 0
	exitFailed  = 1
	exitExpired = 3
)
