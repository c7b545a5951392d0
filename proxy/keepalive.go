package proxy

import (
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// learnIdle heeds an upstream that says how long it keeps an unused connection (Keep-Alive: timeout=5, RFC 2068 §19.7.1.1; Node's 5 s and Apache's
// are the well-known ones): a request that meets its close on the way is lost, and one that may not be repeated is a 502.
func (t *attempt) learnIdle() {
	h := &t.x.resp.Header
	i := h.Find(message.KeepAlive, 0)
	if i < 0 {
		return
	}
	if limit, ok := keepAliveTimeout(h.At(i).Value()); ok {
		t.conn.LearnIdle(limit)
	}
}

// keepAliveTimeout is the parameter timeout, in seconds. What is longer than a day is no limit for anybody.
func keepAliveTimeout(list []byte) (time.Duration, bool) {
	const name = "timeout="
	for len(list) > 0 {
		var item []byte
		item, list = message.NextToken(list)
		if len(item) <= len(name) || !message.EqualFold(item[:len(name)], name) {
			continue
		}
		seconds := 0
		for _, c := range item[len(name):] {
			if c < '0' || c > '9' {
				return 0, false
			}
			if seconds = seconds*10 + int(c-'0'); seconds > 24*60*60 {
				return 0, false
			}
		}
		return time.Duration(seconds) * time.Second, true
	}
	return 0, false
}
