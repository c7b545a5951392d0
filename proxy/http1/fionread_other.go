//go:build !linux

package http1

// fionread asks how many bytes stand at a socket: FIONREAD, as the BSDs number it.
const fionread = 0x4004667f
