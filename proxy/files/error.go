package files

import (
	"errors"
	"io/fs"
	"syscall"
)

// Why says why there is no file.
type Why uint8

// The reasons. Whys is their number.
const (
	Missing Why = iota
	Refused     // there may be one, and it is not for the public: hidden, outside of the folder, no regular file, not readable, or a name that is none
	Busy        // the disk did not take the request in time
	Failed      // the disk or the process failed: too many open files, an input error
	Whys
)

// Error is why there is no file.
type Error struct {
	Why Why
	Err error // nil where Why says it all
}

// Error makes it an error.
func (e *Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return [Whys]string{"no such file", "file refused", "the disk is busy", "the disk failed"}[e.Why]
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errBusy    = &Error{Busy, nil}
	errMissing = &Error{Missing, nil}
	errRefused = &Error{Refused, nil}
)

// because tells what an error of opening a file means.
func because(err error) *Error {
	var number syscall.Errno
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return errMissing
	case !errors.As(err, &number), errors.Is(err, fs.ErrPermission), number == syscall.ELOOP, number == syscall.EXDEV, number == syscall.ENXIO: // os.Root's own refusals have no number, the kernel's is EXDEV; ENXIO is a socket's
		return &Error{Refused, err}
	}
	return &Error{Failed, err}
}
