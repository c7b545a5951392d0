package proxy_test

import (
	"slices"
	"testing"

	"github.com/valor-ivx/weir/proxy"
)

// What is kept of requests is what anybody could have asked for and was answered: no query, nothing that says who asks, no answer but 200.
func TestRecentKeepsWhatAnybodyMayRead(t *testing.T) {
	o := defaults(answering(t, ok).address)
	o.recent = proxy.NewRecent(0)
	e := newEdge(t, o)
	say := func(raw string) {
		t.Helper()
		e.say(raw).head()
		e.line() // written after the page is kept
	}
	for _, personal := range []string{
		"POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /reset?token=secret HTTP/1.1\r\nHost: a\r\n\r\n", "GET /empty? HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /cookie HTTP/1.1\r\nHost: a\r\nCookie: session=1\r\n\r\n", "GET /auth HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n",
		"GET /proxy HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic x\r\n\r\n", "GET /hidden HTTP/1.1\r\nHost: a\r\nConnection: authorization\r\nAuthorization: Bearer x\r\n\r\n",
		"GET /body HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "GET /bad HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	} {
		say(personal)
		if got := o.recent.Pages(); len(got) != 0 {
			t.Fatalf("%q is kept: %v", personal, got)
		}
	}
	say("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	say("GET http://B:80/%7Esecond HTTP/1.1\r\nHost: B:80\r\n\r\n")
	if got, want := o.recent.Pages(), []proxy.Page{{Host: "B:80", Path: "/%7Esecond"}, {Host: "a", Path: "/first"}}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
	for name, answer := range map[string]string{"404": unknown, "500": notOK} {
		o := defaults(answering(t, answer).address)
		o.recent = proxy.NewRecent(0)
		e := newEdge(t, o)
		e.say(get).head()
		e.line()
		if got := o.recent.Pages(); len(got) != 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}
