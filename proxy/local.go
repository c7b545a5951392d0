package proxy

import (
	"bytes"
	"strconv"

	"github.com/valor-ivx/weir/proxy/http1"
	"github.com/valor-ivx/weir/proxy/message"
)

// challengePath is where a CA looks for its answer (RFC 8555 §8.3).
const challengePath = "/.well-known/acme-challenge/"

// answerChallenge answers a CA's validation by http-01 on a plain listener. It comes before routing: the host may have no route for the path, or the
// listener may redirect everything. What is no challenge of ours is routed as any other request.
func (x *Exchange) answerChallenge() (answered bool, err *Error) {
	ask := x.proxy.options.Challenge
	if ask == nil || x.client.session != nil || x.req.Method != message.GET || !bytes.HasPrefix(x.req.Path, []byte(challengePath)) {
		return false, nil
	}
	body, ok := ask(x.req.Host, x.req.Path)
	if !ok {
		return false, nil
	}
	x.resp.Reset()
	x.resp.Header.Add("Content-Type", "application/octet-stream")
	x.resp.Header.Add("Cache-Control", "no-store")
	return true, x.reply(200, body)
}

// redirect sends the client to the same host and path on the listener's https port, with the method kept (RFC 9110 §15.4.9). The host is one that a route
// serves: a redirect to whatever a client names would be an open one.
func (x *Exchange) redirect() *Error {
	x.service = nil // nobody is asked
	if len(x.req.Host) == 0 {
		return errNoRoute // HTTP/1.0 without Host: there is nowhere to send it
	}
	own := append(x.scratch[:0], "https://"...)
	own = append(own, withoutPort(x.req.Host)...)
	if port := x.client.listener.Redirect; port != "443" {
		own = append(own, ':')
		own = append(own, port...)
	}
	if x.req.Path[0] == '/' { // not "*"
		own = append(own, x.req.Path...)
	} else {
		own = append(own, '/')
	}
	if x.req.Query != nil {
		own = append(own, '?')
		own = append(own, x.req.Query...)
	}
	x.scratch = own
	x.resp.Reset()
	x.resp.Header.AddBytes("Location", own)
	return x.reply(308, nil)
}

// withoutPort is the host of "host", "host:port", "[v6]" and "[v6]:port"; http1 has validated it.
func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && i > bytes.LastIndexByte(host, ']') {
		return host[:i]
	}
	return host
}

// reply sends a response of our own that is no error; its fields are in x.resp.
func (x *Exchange) reply(status int, body []byte) *Error {
	c := x.down
	x.resp.Header.Add("Content-Length", strconv.Itoa(len(body)))
	x.ours = true
	x.resp.Status, x.resp.Framing, x.resp.ContentLength = status, message.Length, int64(len(body))
	x.resp.Reason = []byte(http1.StatusText(status))
	x.writeHead(&x.resp, nil, !c.DiscardBody())
	c.Write(body)
	c.Finish(nil)
	x.sent = int64(len(body))
	if err := c.Err(); err != nil {
		return unwritten(err)
	}
	return nil
}
