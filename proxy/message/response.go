package message

// Bodiless reports a response that never has content, whatever its fields say (RFC 9110 §6.4.1).
func Bodiless(status int, method Method) bool {
	return status == 204 || status == 304 || method == HEAD
}

// Response turns a collected block into a response head, as strictly as http1 does: a response whose end two parsers could see at different places would do harm on its way.
func (h *Collector) Response(resp *Response, method Method, ended bool) *Error {
	resp.Reset()
	resp.Proto = h.Proto
	switch {
	case h.bad != nil:
		return h.bad
	case h.refused != nil:
		return h.refused
	}
	if resp.Status = h.status(); resp.Status == 0 {
		return badStatus
	}
	resp.ContentLength = h.length
	switch {
	case resp.Status < 200:
		if ended || h.length > 0 || resp.Status == 101 { // RFC 9113 §8.1, §8.6
			return badInterim
		}
	case resp.Status == 204 && h.length > 0:
		return badLength
	case Bodiless(resp.Status, method):
	case ended && h.length > 0:
		return badLength // RFC 9113 §8.1.1
	case ended || h.length == 0:
	case h.length > 0:
		resp.Framing = Length
	default:
		resp.Framing = Chunked
	}
	h.Lines(&resp.Header)
	return nil
}

// status reads three digits, 100 to 599; 0 if :status is anything else.
func (h *Collector) status() int {
	v := h.pseudo[0].in(h.arena)
	if h.seen != 1 || len(v) != 3 || !digits(v) || v[0] < '1' || v[0] > '5' {
		return 0
	}
	return int(v[0]-'0')*100 + int(v[1]-'0')*10 + int(v[2]-'0')
}
