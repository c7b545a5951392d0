package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
	"github.com/valor-ivx/weir/proxy/http1"
)

// errChanged ends an answer whose file is no longer what its head has said: the connection breaks, because neither the length nor the tag is true any more.
var errChanged = &Error{500, FileChanged, nil}

// sendSpan sends a part of the file, inside the kernel where that can be done.
func (x *Exchange) sendSpan(s files.Span) *Error {
	if s.Length >= http1.SendfileMin && x.encoder == nil {
		part := http1.FilePart{FD: x.file.File.FD(), Offset: s.First, Length: s.Length, Disk: x.file.disk, Step: x.stepFile}
		moved, err := x.down.SendFile(&part)
		x.sent += part.Sent
		if moved {
			return x.sendError(err)
		}
	}
	return x.copySpan(s)
}

// sendError tells the client's part in a broken answer from the file's.
func (x *Exchange) sendError(err error) *Error {
	var ours *Error
	switch {
	case err == nil:
		return nil
	case x.down.Err() != nil:
		return unwritten(err)
	case errors.As(err, &ours): // stepFile's own
		return ours
	case errors.Is(err, io.EOF), errors.Is(err, http1.ErrTruncated):
		return errChanged
	}
	return FileError(err)
}

// stepFile comes before each step of a file: it moves the deadline, and before the last one it looks whether what was sent is still the file. A client that has not got the last byte takes
// nothing for whole.
func (x *Exchange) stepFile(_ time.Time, last bool) error {
	now := x.proxy.options.Now()
	if x.deadline > 0 && now >= x.deadline {
		return &Error{504, x.overdue, nil}
	}
	x.down.AwaitWrite(x.proxy.wall(now))
	if !last {
		return nil
	}
	if err := x.file.disk.Enter(); err != nil {
		return err
	}
	defer x.file.disk.Leave()
	if x.file.Changed() {
		return errChanged
	}
	return nil
}

// copySpan reads the part into a block and writes it, for connections whose bytes are made in this process and for what is not worth more.
func (x *Exchange) copySpan(s files.Span) *Error {
	block, _ := x.proxy.bodies.Get().(*[replayLimit]byte)
	if block == nil {
		block = new([replayLimit]byte)
	}
	defer x.proxy.bodies.Put(block)
	for s.Length > 0 {
		p := block[:min(s.Length, int64(len(block)))]
		err := x.readFile(p, s.First)
		if err == nil {
			err = x.stepFile(time.Time{}, int64(len(p)) == s.Length)
		}
		if err != nil {
			return x.sendError(err)
		}
		if err := x.write(p); err != nil {
			return err
		}
		if err := x.down.Err(); err != nil {
			return unwritten(err)
		}
		s.First += int64(len(p))
		s.Length -= int64(len(p))
	}
	return nil
}

func (x *Exchange) readFile(p []byte, from int64) error {
	if err := x.file.disk.Enter(); err != nil {
		return err
	}
	defer x.file.disk.Leave()
	_, err := x.file.File.ReadAt(p, from)
	return err
}
