package files

import "golang.org/x/sys/unix"

// beneath opens a name under a folder in one call, links included, as long as they stay under it (openat2(2) with RESOLVE_BENEATH). It says false where that cannot be told: the kernel
// is older than 5.6, a sandbox forbids the call, or a folder was renamed meanwhile. os.Root then walks from segment to segment: two calls for each.
func beneath(folder int, name string) (fd int, err error, told bool) {
	how := unix.OpenHow{Flags: openFlags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	err = again(func() (err error) {
		fd, err = unix.Openat2(folder, name, &how)
		return err
	})
	switch err {
	case unix.ENOSYS, unix.EPERM, unix.EAGAIN, unix.EINVAL, unix.E2BIG:
		return 0, nil, false
	}
	return fd, err, true
}
