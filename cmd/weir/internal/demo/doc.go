// Package demo is `weir demo`: the edge in this process, two colours of the bundled API as children, one
// folder of state.
//
// It exists so that a newcomer sees the real thing within a minute: the real server, a real configuration
// file to break and mend, real processes to kill. It refuses to be a deployment: everything is on loopback,
// and a colour that was killed stays down until somebody starts it, because watching the edge cope is the
// point.
package demo
