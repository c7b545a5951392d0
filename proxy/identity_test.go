package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/clientip"
)

// identityFields are everything by which a request says who sent it and how, as an upstream sees it.
var identityFields = [...]string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id",
	"X_forwarded_for", "X_real_ip", "X_request_id", "X_forwarded_proto", "X-Forwarded_for",
}

// echo answers with the identity fields it got, one "Name=[values]" per line.
func echo(t testing.TB) string {
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range identityFields {
			if values, ok := r.Header[name]; ok {
				fmt.Fprintf(w, "%s=%s\n", name, strings.Join(values, "|"))
			}
		}
	})
}

// trusting publishes a snapshot in which peers of these networks are proxies.
func (e *edge) trusting(prefixes ...string) {
	var list []netip.Prefix
	for _, p := range prefixes {
		list = append(list, netip.MustParsePrefix(p))
	}
	s := *e.proxy.Snapshot()
	s.Trust = clientip.New(list)
	e.proxy.Publish(&s)
}

const forgery = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX_Forwarded_For: 8.8.8.8\r\nX-Forwarded_For: 8.8.8.8\r\nX-Real-IP: 6.6.6.6\r\n" +
	"X_Real_IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Proto: https\r\nX_Forwarded_Proto: https\r\nX-Forwarded-Host: evil.example\r\n" +
	"X-Forwarded-Port: 1\r\nX-Request-ID: forged\r\nX_Request_ID: forged\r\n"

// TestForgedIdentityIsReplaced: from a peer that is no proxy of ours nothing that a client writes about itself arrives, under any spelling.
func TestForgedIdentityIsReplaced(t *testing.T) {
	e := newEdge(t, defaults(echo(t)))
	_, port, _ := net.SplitHostPort(e.address)
	for name, prefixes := range map[string][]string{"nobody trusted": nil, "others trusted": {"10.0.0.0/8", "::1/128"}} {
		e.trusting(prefixes...)
		_, r := say(t, e.address, "GET / HTTP/1.1\r\nHost: a.example\r\n"+forgery+"\r\n")
		resp, body := answer(t, r, "GET")
		id := resp.Header.Get("X-Request-Id")
		want := "X-Forwarded-For=127.0.0.1\nX-Forwarded-Host=a.example\nX-Forwarded-Port=" + port + "\nX-Forwarded-Proto=http\nX-Real-Ip=127.0.0.1\nX-Request-Id=" + id + "\n"
		if body != want || len(id) != 32 {
			t.Errorf("%s: the upstream saw\n%swant\n%s", name, body, want)
		}
	}
}

// TestTrustedProxyIsBelieved: what a trusted peer says is kept where it is valid, its list appended to, and everything else replaced.
func TestTrustedProxyIsBelieved(t *testing.T) {
	e := newEdge(t, defaults(echo(t)))
	e.trusting("127.0.0.0/8", "10.0.0.0/8")
	_, port, _ := net.SplitHostPort(e.address)
	own := map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "a.example", "X-Forwarded-Port": port, "X-Forwarded-Proto": "http", "X-Real-Ip": "127.0.0.1"}
	for name, c := range map[string]struct {
		fields string
		want   map[string]string // differences from own
	}{
		"says nothing": {"", nil},
		"says all": {"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.0.0.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example:8443\r\nX-Forwarded-Port: 8443\r\nX-Request-ID: Abc.1_2-3\r\n",
			map[string]string{"X-Forwarded-For": "6.6.6.6, 192.0.2.1, 10.0.0.2, 127.0.0.1", "X-Real-Ip": "192.0.2.1", "X-Forwarded-Proto": "https",
				"X-Forwarded-Host": "shop.example:8443", "X-Forwarded-Port": "8443", "X-Request-Id": "Abc.1_2-3"}},
		"several fields become one": {"X-Forwarded-For: 192.0.2.1\r\nAccept: */*\r\nX-Forwarded-For: 10.0.0.2\r\n",
			map[string]string{"X-Forwarded-For": "192.0.2.1, 10.0.0.2, 127.0.0.1", "X-Real-Ip": "192.0.2.1"}},
		"underscores are the client's, not the proxy's": {"X-Forwarded-For: 192.0.2.1\r\nX_Forwarded_For: 6.6.6.6\r\nX_Request_ID: forged\r\nX_Forwarded_Proto: https\r\n",
			map[string]string{"X-Forwarded-For": "192.0.2.1, 127.0.0.1", "X-Real-Ip": "192.0.2.1"}},
		"other sources are not read": {"Forwarded: for=6.6.6.6;proto=https\r\nX-Real-IP: 6.6.6.6\r\n", nil},
		"invalid values": {"X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a\"><script>\r\nX-Forwarded-Port: 99999\r\nX-Request-ID: a b\r\n",
			nil},
		"a field twice is one too many": {"X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Request-ID: one\r\nX-Request-ID: two\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Port: 2\r\n", nil},
		"malformed list":                {"X-Forwarded-For: 6.6.6.6, what\r\n", map[string]string{"X-Forwarded-For": "6.6.6.6, what, 127.0.0.1"}},
		"longest id":                    {"X-Request-ID: " + strings.Repeat("a", 128) + "\r\n", map[string]string{"X-Request-Id": strings.Repeat("a", 128)}},
		"id too long":                   {"X-Request-ID: " + strings.Repeat("a", 129) + "\r\n", nil},
	} {
		_, r := say(t, e.address, "GET / HTTP/1.1\r\nHost: a.example\r\n"+c.fields+"\r\n")
		resp, body := answer(t, r, "GET")
		id := resp.Header.Get("X-Request-Id")
		var want strings.Builder
		for _, field := range identityFields {
			value, ok := c.want[field]
			if !ok {
				value = own[field]
			}
			if field == "X-Request-Id" && value == "" {
				if value = id; len(id) != 32 {
					t.Errorf("%s: answered with id %q", name, id)
				}
			}
			if value != "" {
				fmt.Fprintf(&want, "%s=%s\n", field, value)
			}
		}
		if body != want.String() {
			t.Errorf("%s: the upstream saw\n%swant\n%s", name, body, want.String())
		}
	}
}

// TestLogNamesClientAndSource: the log has the client that was derived and, where it differs, the peer.
func TestLogNamesClientAndSource(t *testing.T) {
	e := newEdge(t, defaults(echo(t)))
	e.trusting("127.0.0.0/8")
	_, r := say(t, e.address, "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Request-ID: mine\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	answer(t, r, "GET")
	answer(t, r, "GET")
	if l := e.line(); l.Client != "192.0.2.1" || l.Source != "127.0.0.1" || l.ID != "mine" {
		t.Errorf("%+v", l)
	}
	if l := e.line(); l.Client != "127.0.0.1" || l.Source != "" || l.ID == "mine" {
		t.Errorf("%+v", l)
	}
}

// allocations of one keep-alive exchange, as TestExchangeAllocatesNothing counts them.
func allocations(t *testing.T, e *edge, request string) float64 {
	t.Helper()
	x := newExchanger(t, e, request)
	for range 500 {
		x.do()
	}
	return testing.AllocsPerRun(2000, x.do)
}

func TestIdentityAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	o := defaults(silentPeer(t).address)
	o.quiet = true
	e := newEdge(t, o)
	for name, prefixes := range map[string][]string{"untrusted": {"10.0.0.0/8"}, "trusted": {"10.0.0.0/8", "127.0.0.0/8"}} {
		e.trusting(prefixes...)
		request := "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 2001:db8::1, 192.0.2.1:80, 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Request-ID: abc\r\n\r\n"
		if n := allocations(t, e, request); n != 0 {
			t.Errorf("%s: %v allocations per request", name, n)
		}
	}
}

// TestIdentityOverHTTP2: streams of one connection each have their own client, and forged fields are replaced there too.
func TestIdentityOverHTTP2(t *testing.T) {
	e := newEdge(t, defaults(echo(t)))
	client, base := http2Client(t, e)
	seen := func(xff string) string {
		req, err := http.NewRequest("GET", base+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"X-Forwarded-For": xff, "X_Forwarded_For": "8.8.8.8", "X-Real-IP": "8.8.8.8", "Forwarded": "for=8.8.8.8",
			"X-Request-ID": "mine", "X-Forwarded-Proto": "http"} {
			req.Header[name] = []string{value}
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("%s: %v", resp.Proto, err)
		}
		return string(body)
	}
	if got := seen("6.6.6.6"); strings.Contains(got, "6.6.6.6") || strings.Contains(got, "8.8.8.8") || strings.Contains(got, "mine") ||
		!strings.Contains(got, "X-Forwarded-For=127.0.0.1\n") || !strings.Contains(got, "X-Forwarded-Proto=https\n") {
		t.Errorf("from an untrusted peer the upstream saw\n%s", got)
	}
	e.trusting("127.0.0.0/8")
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		if got := seen(ip); !strings.Contains(got, "X-Real-Ip="+ip+"\n") || !strings.Contains(got, "X-Forwarded-For="+ip+", 127.0.0.1\n") ||
			!strings.Contains(got, "X-Request-Id=mine\n") || strings.Contains(got, "8.8.8.8") {
			t.Errorf("from a trusted peer the upstream saw\n%s", got)
		}
	}
}
