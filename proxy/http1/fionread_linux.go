package http1

import "golang.org/x/sys/unix"

// fionread asks how many bytes stand at a socket (tcp(7), SIOCINQ).
const fionread = unix.SIOCINQ
