package proxy

import (
	"crypto/rand"
	"errors"
	"strconv"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// served is the file that an exchange is answered with. Its slices are kept for the next.
type served struct {
	files.Found
	disk  *files.Disk
	spans []files.Span
	lines []byte // of a part, being put together
}

// serve answers from the route's files. What it waits for, the disk, has turns of its own (files.Disk): a slot of a service it needs none.
func (x *Exchange) serve(site *files.Site) *Error {
	if x.req.Method != message.GET && x.req.Method != message.HEAD || x.socket.stream != nil {
		return errMethod
	}
	now := time.Now() // file times are the wall clock's
	found, err := site.Find(x.path, &x.req.Header, now)
	if err != nil {
		return FileError(err)
	}
	f := &x.file
	f.Found, f.disk = found, site.Disk()
	defer f.Close() // whatever happens: nobody else knows of the file
	if found.File == nil {
		return x.toFolder()
	}
	verdict, spans := found.Judge(&x.req.Header, x.req.Method == message.GET, now, f.spans)
	switch verdict {
	case files.Unmet:
		return &Error{412, PreconditionFailed, nil}
	case files.Unsatisfiable:
		return &Error{416, RangeUnsatisfiable, nil}
	case files.NotModified:
		return x.sendHead(304, now, 0)
	case files.Part:
		f.spans = spans
		return x.sendParts(now)
	}
	return x.sendWhole(now)
}

// fileErrors are the answers where there is no file, by why.
var fileErrors = [files.Whys]Error{
	files.Missing: {404, FileNotFound, nil}, files.Refused: {404, FileRefused, nil}, // not 403: that would say that there is something
	files.Busy: {503, DiskBusy, nil}, files.Failed: {503, FileFailed, nil},
}

// FileError is the answer to an error of files.Site.Find.
func FileError(err error) *Error {
	e := fileErrors[files.Failed]
	var why *files.Error
	if errors.As(err, &why) {
		e = fileErrors[why.Why]
	}
	e.Err = err
	return &e
}

// toFolder sends the client to the folder's own address, where relative links lead to what is in it. The path has no empty segment, so that no host can be read into it.
func (x *Exchange) toFolder() *Error {
	own := append(append(x.lines[:0], x.path...), '/')
	if x.req.Query != nil {
		own = append(append(own, '?'), x.req.Query...)
	}
	x.lines = own
	x.resp.Reset()
	x.resp.Header.AddBytes("Location", own)
	x.resp.Header.Add("Cache-Control", x.file.Keep)
	return x.reply(308, nil)
}

// sendHead begins the answer, of length bytes.
func (x *Exchange) sendHead(status int, now time.Time, length int64) *Error {
	f := &x.file
	x.resp.Reset()
	h := &x.resp.Header
	switch status {
	case 304: // RFC 9110 §15.4.5: what a 200 would have said about keeping it
	case 206:
		if len(f.spans) > 1 {
			h.AddBytes("Content-Type", f.lines)
			break
		}
		s := f.spans[0]
		h.AddBytes("Content-Range", strconv.AppendInt(append(appendSpan(f.lines[:0], s), '/'), f.Size, 10))
		fallthrough
	default:
		h.Add("Content-Type", f.Type)
	}
	if f.Coding != "" && status != 304 {
		h.Add("Content-Encoding", f.Coding)
	}
	if tag := f.Tag(); len(tag) > 0 {
		h.AddBytes("ETag", tag)
	}
	if at, ok := f.LastModified(now); ok {
		x.scratchKey = at.AppendFormat(x.scratchKey[:0], imfFixdate)
		h.AddBytes("Last-Modified", x.scratchKey)
	}
	h.Add("Cache-Control", f.Keep)
	switch {
	case f.Fallback:
		h.Add("Vary", "Accept, Accept-Encoding")
	case f.Varies:
		h.Add("Vary", "Accept-Encoding")
	}
	x.resp.Framing, x.resp.ContentLength = message.None, -1
	if status != 304 {
		h.Add("Accept-Ranges", "bytes")
		h.Add("Content-Length", strconv.FormatInt(length, 10))
		x.resp.Framing, x.resp.ContentLength = message.Length, length
	}
	x.ours = true
	x.resp.Status, x.resp.Reason = status, []byte(http1.StatusText(status))
	if x.route.Compress != nil {
		x.encode(x.route.Compress)
	}
	x.writeHead(&x.resp, nil, !x.down.DiscardBody())
	if status == 304 || x.req.Method == message.HEAD {
		return x.endFile()
	}
	return nil
}

func (x *Exchange) endFile() *Error {
	x.down.Finish(nil)
	if err := x.down.Err(); err != nil {
		return unwritten(err)
	}
	return nil
}

func (x *Exchange) sendWhole(now time.Time) *Error {
	size := x.file.Size
	if err := x.sendHead(200, now, size); err != nil || x.req.Method == message.HEAD {
		return err
	}
	err := x.sendSpan(files.Span{First: 0, Length: size})
	if err == nil {
		err = x.endBody()
	}
	if err != nil {
		return err
	}
	return x.endFile()
}

// sendParts sends one span as it is, several as multipart/byteranges (RFC 9110 §14.6).
func (x *Exchange) sendParts(now time.Time) *Error {
	f := &x.file
	if len(f.spans) == 1 {
		if err := x.sendHead(206, now, f.spans[0].Length); err != nil {
			return err
		}
		if err := x.sendSpan(f.spans[0]); err != nil {
			return err
		}
		return x.endFile()
	}
	boundary := rand.Text() // 128 bits and more: no file has it
	total := int64(len("\r\n--") + len(boundary) + len("--\r\n"))
	for _, s := range f.spans {
		f.lines = x.appendPartHead(f.lines[:0], boundary, s)
		total += int64(len(f.lines)) + s.Length
	}
	f.lines = append(append(f.lines[:0], "multipart/byteranges; boundary="...), boundary...)
	if err := x.sendHead(206, now, total); err != nil {
		return err
	}
	for _, s := range f.spans {
		f.lines = x.appendPartHead(f.lines[:0], boundary, s)
		x.down.AwaitWrite(x.proxy.wall(x.proxy.options.Now()))
		x.down.Write(f.lines)
		x.sent += int64(len(f.lines))
		if err := x.sendSpan(s); err != nil {
			return err
		}
	}
	f.lines = append(append(append(f.lines[:0], "\r\n--"...), boundary...), "--\r\n"...)
	x.down.Write(f.lines)
	x.sent += int64(len(f.lines))
	return x.endFile()
}

func (x *Exchange) appendPartHead(b []byte, boundary string, s files.Span) []byte {
	b = append(append(append(b, "\r\n--"...), boundary...), "\r\nContent-Type: "...)
	b = append(append(b, x.file.Type...), "\r\nContent-Range: "...)
	return append(strconv.AppendInt(append(appendSpan(b, s), '/'), x.file.Size, 10), "\r\n\r\n"...)
}

func appendSpan(b []byte, s files.Span) []byte {
	b = strconv.AppendInt(append(b, "bytes "...), s.First, 10)
	return strconv.AppendInt(append(b, '-'), s.Last(), 10)
}
