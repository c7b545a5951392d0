package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// Every final answer has exactly one Date: the upstream's where it sent one, else ours.
func TestDate(t *testing.T) {
	const theirs = "Tue, 15 Nov 1994 08:12:31 GMT"
	for name, head := range map[string]string{"theirs": "Date: " + theirs + "\r\n", "ours": ""} {
		up := answering(t, "HTTP/1.1 200 OK\r\n"+head+"Content-Length: 2\r\n\r\nok")
		e := newEdge(t, defaults(up.address))
		c := e.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		got := dates(c.head())
		if len(got) != 1 || name == "theirs" && got[0] != theirs || name == "ours" && !recent(got[0]) {
			t.Errorf("%s: Date %q", name, got)
		}
	}
	e := newEdge(t, defaults(answering(t, "").address))
	c := e.say("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
	if got := dates(c.head()); len(got) != 1 || !recent(got[0]) {
		t.Errorf("an error of our own: Date %q", got)
	}
}

func dates(head string) (list []string) {
	for l := range strings.SplitSeq(head, "\r\n") {
		if value, ok := strings.CutPrefix(l, "Date: "); ok {
			list = append(list, value)
		}
	}
	return list
}

func recent(date string) bool {
	at, err := http.ParseTime(date)
	return err == nil && time.Since(at).Abs() < time.Minute
}
