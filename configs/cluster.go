package configs

import "time"

// Cluster is what this weir shares with its replicas through Redis or Valkey: shared limits, certificates of [tls.acme], the secrets of session tickets, and what operators
// set at run time: weights, drains, pauses and rollouts, whose evidence is that of all replicas. No request waits for it, and weir starts and serves without it.
type Cluster struct {
	// "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]", or rediss:// for TLS. One server or what fails over behind one name, not a Redis Cluster. Write
	// a password as ${VAR} or ${file:PATH}.
	Redis Secret `toml:"redis" required:"true"`
	// PEM file with the roots to trust for rediss:// instead of the system's.
	CA string `toml:"ca"`
	// What everything private is encrypted under before it leaves this machine, the same on all replicas: at least 32 characters, as
	// "openssl rand -base64 32" prints. Required as soon as a listener has tls = true. What was stored under another one is unreadable
	// without previous_secret.
	Secret Secret `toml:"secret"`
	// The secret before this one: what was encrypted under it is still read. Give it to every replica while they are given the new one, and take it away when
	// the certificates have been renewed.
	PreviousSecret Secret `toml:"previous_secret"`
	// Begins the name of everything stored, so that several edges can use one Redis.
	Prefix string `toml:"prefix" default:"weir:"`
	// How long an exchange with Redis may take before Redis counts as away.
	Timeout time.Duration `toml:"timeout" default:"250ms" min:"10ms" max:"10s"`

	CAPEM []byte `toml:"-"` // contents of CA as read at load
}
