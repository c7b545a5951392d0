package http1

import "syscall"

// sendfile moves count bytes at most from offset, which it moves on.
func sendfile(dst, src int, offset *int64, count int) (int, error) {
	return syscall.Sendfile(dst, src, offset, count)
}
