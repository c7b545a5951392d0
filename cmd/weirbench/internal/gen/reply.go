package gen

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// maxHead bounds a response head; a proxy's answer to the bench's requests is a tenth of it.
const maxHead = 16 << 10

var (
	errNoLength = errors.New("read response: no Content-Length")
	errHead     = errors.New("read response: malformed head")
)

// Reply follows one HTTP/1.1 response through the pieces a socket delivers. The zero value waits
// for the first byte. It demands Content-Length framing: the bench's origins send nothing else, so
// a proxy that changes the framing is a finding, not a case to handle.
type Reply struct {
	head   []byte // the head's bytes so far, only when it came in pieces
	left   int64  // body bytes still to come
	status int    // of the final head, 0 while it is awaited
}

// Feed takes the next bytes. used is how many belong to this response; done says that it is
// complete, after which status is its code and the Reply is ready for the next one. After an error
// the connection is of no more use.
func (r *Reply) Feed(p []byte) (used, status int, done bool, err error) {
	for r.status == 0 {
		n, head := r.takeHead(p[used:])
		used += n
		if head == nil {
			if len(r.head) > maxHead {
				return used, 0, false, fmt.Errorf("%w: more than %d bytes", errHead, maxHead)
			}
			return used, 0, false, nil
		}
		code, length, err := parseHead(head)
		r.head = r.head[:0]
		if err != nil {
			return used, 0, false, err
		}
		if code >= 200 { // an interim answer (1xx) is only passed over
			r.status, r.left = code, length
		}
	}
	n := min(r.left, int64(len(p)-used))
	used += int(n)
	r.left -= n
	if r.left > 0 {
		return used, 0, false, nil
	}
	status, r.status = r.status, 0
	return used, status, true, nil
}

// takeHead returns the complete head once its empty line has come, and how many bytes of p it used.
func (r *Reply) takeHead(p []byte) (int, []byte) {
	end := []byte("\r\n\r\n")
	if len(r.head) == 0 {
		if at := bytes.Index(p, end); at >= 0 {
			return at + len(end), p[:at+len(end)]
		}
		r.head = append(r.head, p...)
		return len(p), nil
	}
	before := len(r.head)
	r.head = append(r.head, p...)
	from := max(0, before-len(end)+1) // the empty line may straddle the two pieces
	at := bytes.Index(r.head[from:], end)
	if at < 0 {
		return len(p), nil
	}
	stop := from + at + len(end)
	return stop - before, r.head[:stop]
}

// parseHead returns the status code and the body's length.
func parseHead(head []byte) (status int, length int64, err error) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return 0, 0, fmt.Errorf("%w: status line %.40q", errHead, line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil || status < 100 {
		return 0, 0, fmt.Errorf("%w: status line %.40q", errHead, line)
	}
	if status < 200 {
		return status, 0, nil
	}
	length = -1
	for len(rest) > 2 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(line, []byte(":"))
		switch {
		case !found:
			return 0, 0, fmt.Errorf("%w: field line %.40q", errHead, line)
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, 0, errNoLength
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
			if err != nil || length >= 0 {
				return 0, 0, fmt.Errorf("%w: Content-Length %.40q", errHead, value)
			}
			length = int64(n)
		}
	}
	if status == 204 || status == 304 {
		return status, 0, nil // RFC 9112 section 6.3: no body whatever the fields say
	}
	if length < 0 {
		return 0, 0, errNoLength
	}
	return status, length, nil
}
