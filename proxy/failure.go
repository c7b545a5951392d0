package proxy

import (
	"bytes"
	"time"

	"github.com/valor-ivx/weir/proxy/observe"
)

// failed reports an exchange that an operator would call an error: a 5xx, whoever made it, or an answer that was cut off. A client that left, and what weir refuses clients
// with 4xx, is none: those are counted by reason, and a scanner's 404s would hide the rest.
func (x *Exchange) failed() bool {
	return x.status >= 500 || x.began && !x.ours && x.reason != ReasonNone && x.reason != ClientGone
}

// longestText bounds what one failure keeps of each text that came from outside, in bytes.
const longestText = 200

// noteFailure describes the exchange to whoever looks for what goes wrong. It allocates: only failed requests come here, and only some of them each second.
func (x *Exchange) noteFailure(now int64) {
	to := x.proxy.options.Failures
	if to == nil || !to.Wanted(now) {
		return
	}
	f := observe.Failure{
		Time: time.Now(), Client: x.who.ip, Status: x.status, Reason: x.reason.String(), Route: x.route.Name,
		Host: shortened(bareHost(x.req.Host)), Path: shortened(bare(x.req.Path)), RequestID: shortened(x.id),
	}
	if f.Method = x.req.Method.String(); len(x.req.MethodName) > 0 {
		f.Method = shortened(x.req.MethodName)
	}
	if x.service != nil {
		f.Service = x.service.Name
	}
	if x.group != nil {
		f.Group = x.group.Name
	}
	if x.peer != nil {
		f.Peer = x.peer.Address()
	}
	if err, ok := x.cause.(*Error); ok && err.Err != nil {
		f.Error = shortened([]byte(err.Err.Error()))
	}
	to.Add(f)
}

// bare is a path without parameters such as ;jsessionid=, which are secrets at times.
func bare(path []byte) []byte {
	if i := bytes.IndexByte(path, ';'); i >= 0 {
		return path[:i]
	}
	return path
}

// bareHost is an authority without user information, which no request may have and where a password can stand.
func bareHost(host []byte) []byte { return host[bytes.LastIndexByte(host, '@')+1:] }

func shortened(b []byte) string { return string(b[:min(len(b), longestText)]) }
