package proxy

import (
	"strconv"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// fail is the only writer of error responses. Where a response has begun it can only break the connection, visibly.
func (x *Exchange) fail(err *Error) {
	x.reason, x.cause = err.Reason, err
	x.client.listener.Metrics.Ended(uint8(err.Reason))
	c := x.down
	switch {
	case x.began:
		x.broken = true
		c.Break() // also for a client that seems to have gone: if it has not, it must not take this for an end
		return
	case err.Status == 499: // logged, never sent
		x.status = 499
		x.broken = true
		return
	}
	if x.rpc.call {
		x.failCall(err)
		return
	}
	x.answerError(err)
}

func (x *Exchange) answerError(err *Error) {
	if a := x.user.verdict.Answer; a != nil && x.user.verdict.Denial != nil {
		x.say(a)
		return
	}
	c := x.down
	html := x.wantsHTML()
	body := x.problem(err, html)
	x.resp.Reset()
	h := &x.resp.Header
	if html {
		h.Add("Content-Type", "text/html; charset=utf-8")
	} else {
		h.Add("Content-Type", "application/problem+json")
	}
	h.Add("Content-Length", strconv.Itoa(len(body)))
	h.Add("Cache-Control", "no-store")
	switch err.Status {
	case 401, 403:
		x.user.challenge(h)
	case 405:
		h.Add("Allow", x.allowed())
	case 416:
		h.Add("Content-Range", "bytes */"+strconv.FormatInt(x.file.Size, 10))
	case 429:
		x.refusal.addTo(h)
	case 503:
		h.Add("Retry-After", strconv.Itoa(retryAfter()))
	}
	x.ours = true
	x.resp.Status, x.resp.Framing, x.resp.ContentLength = err.Status, message.Length, int64(len(body))
	x.resp.Reason = []byte(http1.StatusText(err.Status))
	// A request that could not be read leaves no known place where the next one begins.
	x.writeHead(&x.resp, nil, err.Reason == BadRequest || !c.DiscardBody())
	c.Write(body)
	c.Finish(nil)
	if x.req.Method != message.HEAD {
		x.sent = int64(len(body))
	}
}

// allowed is what a route takes: a file can only be read.
func (x *Exchange) allowed() string {
	if x.route.Files != nil {
		return "GET, HEAD"
	}
	return "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"
}

// wantsHTML reports a client that names text/html before any JSON: a browser.
func (x *Exchange) wantsHTML() bool {
	i := x.req.Header.Find(message.Accept, 0)
	if i < 0 {
		return false
	}
	list := x.req.Header.At(i).Value()
	for len(list) > 0 {
		var item []byte
		item, list = message.NextToken(list)
		item = message.Bare(item)
		switch {
		case message.EqualFold(item, "text/html"):
			return true
		case message.EqualFold(item, "application/json"), message.EqualFold(item, "application/problem+json"):
			return false
		}
	}
	return false
}

// problem is the error's body: RFC 9457 JSON, or a small page. Details of upstreams stay in the log.
func (x *Exchange) problem(err *Error, html bool) []byte {
	title := http1.StatusText(err.Status)
	status := strconv.Itoa(err.Status)
	if html {
		b := append([]byte(nil), "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>"...)
		b = append(b, status+" "+title...)
		b = append(b, "</title><h1>"+status+" "+title+"</h1><p>Request "...)
		b = append(b, x.id...)
		return append(b, "</p></html>\n"...)
	}
	b := append([]byte(nil), `{"type":"about:blank","title":"`+title+`","status":`+status...)
	if err.Reason == BadRequest && err.Err != nil {
		b = append(b, `,"detail":`...)
		b = strconv.AppendQuote(b, err.Err.Error()) // our own constant texts, ASCII: Go's quoting is JSON's
	}
	b = append(b, `,"reason":"`+err.Reason.String()+`","request_id":"`...)
	b = append(b, x.id...)
	return append(b, "\"}\n"...)
}
