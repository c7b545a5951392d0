package http1

import (
	"bytes"

	"github.com/valor-ivx/weir/proxy/message"
)

// ParseResponse reads a whole response head, ending in the empty line, into resp; method is the request's, which decides whether a body may follow
// (RFC 9112 §6.3). It is as strict as ParseRequest: a response that two parsers could end at different bytes would poison the next exchange.
func ParseResponse(resp *message.Response, head []byte, method message.Method, fields int) *Error {
	end := bytes.IndexByte(head, '\n')
	if end < 1 || head[end-1] != '\r' {
		return errBareLF
	}
	if err := parseStatusLine(resp, head[:end-1]); err != nil {
		return err
	}
	if err := parseFields(&resp.Header, head[end+1:], fields); err != nil {
		return err
	}
	f, err := examine(&resp.Header, resp.Proto)
	if err != nil {
		return err
	}
	resp.ContentLength, resp.Nominates = f.length, f.nominates
	resp.Close = f.close || resp.Proto == message.HTTP10 && !f.keepAlive
	switch {
	case resp.Status < 200 || resp.Status == 204:
		// No body, and no framing fields either (RFC 9110 §8.6, RFC 9112 §6.1). A chunked 204 is ambiguous: some recipients read the chunks.
		if f.chunked || f.length > 0 {
			return errCoding
		}
		resp.Framing = message.None
	case method == message.HEAD || resp.Status == 304:
		resp.Framing = message.None
	case f.chunked:
		resp.Framing = message.Chunked
	case f.length == 0:
		resp.Framing = message.None
	case f.length > 0:
		resp.Framing = message.Length
	default:
		resp.Framing, resp.Close = message.UntilClose, true
	}
	return nil
}

// parseStatusLine reads "HTTP/x.y SP 3DIGIT [SP reason]". The space before an empty reason is forgiven: many servers leave it out and nothing hangs on it.
func parseStatusLine(resp *message.Response, line []byte) *Error {
	if len(line) < 12 || line[8] != ' ' {
		return errStatusLine
	}
	if err := parseVersion(&resp.Proto, line[:8]); err != nil {
		return errStatusLine
	}
	d := line[9:12]
	if d[0] < '1' || d[0] > '5' || !isDigit(d[1]) || !isDigit(d[2]) {
		return errStatusLine
	}
	resp.Status = int(d[0]-'0')*100 + int(d[1]-'0')*10 + int(d[2]-'0')
	if len(line) == 12 {
		return nil
	}
	if line[12] != ' ' || !all(line[13:], valueByte) {
		return errStatusLine
	}
	resp.Reason = line[13:]
	return nil
}
