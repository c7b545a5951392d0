package files

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// File is an open file or folder of a tree, a bare descriptor. An os.File is one too, which the runtime looks at twice and offers to the poller when it opens, and watches for being
// forgotten: half the calls of serving a small file. Whoever has a File closes it, once, when nobody reads it any more.
type File struct {
	fd int
	stat
}

// stat is what is served of what the kernel knows of a file.
type stat struct {
	size     int64
	modified time.Time
	folder   bool
}

// known takes over the descriptor of an open that may have failed, and closes it where it is neither a file nor a folder.
func known(fd int, err error) (*File, *Error) {
	if err != nil {
		return nil, because(err)
	}
	f := &File{fd: fd}
	regular, err := f.look(&f.stat)
	switch {
	case err != nil:
		_ = f.Close()
		return nil, because(err)
	case !regular && !f.folder:
		_ = f.Close()
		return nil, errRefused
	}
	return f, nil
}

// look asks the kernel for the file as it is now.
func (f *File) look(s *stat) (regular bool, err error) {
	var raw unix.Stat_t
	if err := again(func() error { return unix.Fstat(f.fd, &raw) }); err != nil {
		return false, err
	}
	kind := raw.Mode & unix.S_IFMT
	*s = stat{size: raw.Size, modified: time.Unix(raw.Mtim.Unix()), folder: kind == unix.S_IFDIR}
	return kind == unix.S_IFREG, nil
}

// ReadAt reads len(p) bytes from an offset, or says why not: io.EOF where the file ends before.
func (f *File) ReadAt(p []byte, from int64) (n int, err error) {
	for n < len(p) {
		var got int
		err := again(func() (err error) {
			got, err = unix.Pread(f.fd, p[n:], from+int64(n))
			return err
		})
		switch {
		case err != nil:
			return n, err
		case got == 0:
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

// FD is the descriptor, good until Close.
func (f *File) FD() int { return f.fd }

// Close gives the descriptor back. Of a file that was only read there is nothing to lose, and close(2) is never to be called again.
func (f *File) Close() error { return unix.Close(f.fd) }

// again does a call until no signal interrupts it: on network file systems they do, SA_RESTART or not.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
