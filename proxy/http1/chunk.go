package http1

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// chunks is the state of a chunked body being read (RFC 9112 §7.1): pure, fed with the bytes at hand.
type chunks struct {
	left       int64 // bytes of the current chunk still to come
	dataEnd    bool  // a chunk's data is complete, its CRLF is not
	last       bool  // the last chunk was seen: trailers follow
	extensions int   // bytes of extensions so far
}

// line reads what stands between data: the CRLF behind a chunk and the next size line. It returns how many bytes it used; 0 means more are needed.
func (c *chunks) line(b []byte) (int, *Error) {
	used := 0
	if c.dataEnd {
		if len(b) < 2 {
			if len(b) == 1 && b[0] != '\r' {
				return 0, errChunk
			}
			return 0, nil
		}
		if b[0] != '\r' || b[1] != '\n' {
			return 0, errChunk
		}
		c.dataEnd = false
		used = 2
		b = b[2:]
	}
	// A size line that can no longer become one is refused at its first byte: an attacker's "zz" is not waited for.
	if len(b) > 0 && class[b[0]]&hexByte == 0 {
		return used, errChunk
	}
	end := bytes.IndexByte(b, '\n')
	if end > chunkLineLimit || end < 0 && len(b) > chunkLineLimit {
		return used, errExtensions
	}
	if end < 0 {
		return used, nil
	}
	if end < 2 || b[end-1] != '\r' {
		return used, errChunk
	}
	if err := c.size(b[:end-1]); err != nil {
		return used, err
	}
	return used + end + 1, nil
}

// size reads "HEX[;extensions]". No white space anywhere before the semicolon: a recipient that trims and one that does not would disagree.
func (c *chunks) size(b []byte) *Error {
	n := 0
	var v int64
	for n < len(b) && class[b[n]]&hexByte != 0 {
		if n == 15 { // 60 bits: fits, and no sane chunk is larger
			return errChunkLarge
		}
		v = v<<4 | int64(hexValue(b[n]))
		n++
	}
	if n == 0 {
		return errChunk
	}
	if ext := b[n:]; len(ext) > 0 {
		if ext[0] != ';' || !all(ext, valueByte) {
			return errChunk
		}
		if c.extensions += len(ext); c.extensions > extensionLimit {
			return errExtensions
		}
	}
	c.left, c.last = v, v == 0
	return nil
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// parseTrailers reads the trailer section at the front of b into h. It returns the bytes used, 0 when the section is not complete.
// Fields that frame, route or authenticate are dropped (RFC 9110 §6.5.1).
func parseTrailers(h *message.Header, b []byte, fields int) (int, *Error) {
	if len(b) >= 2 && b[0] == '\r' && b[1] == '\n' {
		return 2, nil
	}
	end := bytes.Index(b, headEnd)
	if end < 0 || end+4 > trailerLimit {
		if err := bareLF(b[:min(len(b), trailerLimit)], 0); err != nil || len(b) <= trailerLimit {
			return 0, err
		}
		return 0, errTrailerLarge
	}
	var all message.Header
	if err := parseFields(&all, b[:end+4], fields); err != nil {
		return 0, lfFirst(b[:end+4], err)
	}
	for i := range all.Len() {
		f := all.At(i)
		switch id := f.ID(); {
		case id.HopByHop(), id == message.ContentLength, id == message.Host, id == message.Expect, id == message.Authorization, id == message.Cookie, id == message.Trailer:
		case id >= message.Forwarded && id <= message.XRequestID:
		default:
			h.Add(string(f.Name()), string(f.Value()))
		}
	}
	return end + 4, nil
}
