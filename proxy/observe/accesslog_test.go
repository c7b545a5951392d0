package observe_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/observe"
)

// ordinary is a request as they come by the million.
func ordinary() observe.Entry {
	return observe.Entry{
		Time:     time.Date(2026, 11, 2, 3, 4, 5, 678901234, time.FixedZone("", -(5*3600+30*60))),
		Duration: 12345678,
		Client:   netip.MustParseAddr("203.0.113.7"), Source: netip.MustParseAddr("10.1.2.3"), User: []byte("ada"),
		Method: message.GET, Target: []byte("/api/runs/17?limit=20&q=%22x%22"), Host: []byte("valor.example.com:8443"), Proto: message.HTTP11,
		RequestID: []byte("0123456789abcdef0123456789abcdef"), Referer: []byte("https://valor.example.com/"),
		UserAgent: []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
		BytesIn:   11, BytesOut: 2345, Status: 200, TLSVersion: tls.VersionTLS13, ServerName: "valor.example.com",
		Listener: "https", Route: "runs", Service: "api", Group: "blue", Peer: "10.0.0.1:5002",
		UpstreamStatus: 200, UpstreamDuration: 12000000, Attempts: 1, Reason: "ok",
	}
}

// logged returns the lines that entries make.
func logged(t interface {
	Helper()
	Fatal(...any)
}, format observe.Format, entries ...observe.Entry) string {
	t.Helper()
	var out bytes.Buffer
	sink, err := observe.NewSink(observe.SinkOptions{Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	log := observe.NewAccessLog(format, sink, "My-Own-Key")
	for i := range entries {
		log.Log(&entries[i])
	}
	if err := sink.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSONLine(t *testing.T) {
	want := `{"@timestamp":"2026-11-02T08:34:05.678901Z","log.level":"info","ecs.version":"8.17.0","event.dataset":"weir.access",` +
		`"event.duration":12345678,"client.ip":"203.0.113.7","source.ip":"10.1.2.3","http.request.id":"0123456789abcdef0123456789abcdef",` +
		`"http.request.method":"GET","http.version":"1.1","url.scheme":"https","tls.version":"1.3","tls.client.server_name":"valor.example.com",` +
		`"url.domain":"valor.example.com","url.port":8443,"url.original":"/api/runs/17?limit=20&q=%22x%22","url.path":"/api/runs/17",` +
		`"url.query":"limit=20&q=%22x%22","http.request.referrer":"https://valor.example.com/",` +
		`"user_agent.original":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","user.name":"ada",` +
		`"http.response.status_code":200,"http.request.body.bytes":11,"http.response.body.bytes":2345,"weir.listener":"https",` +
		`"weir.route":"runs","weir.service":"api","weir.group":"blue","weir.attempts":1,"weir.upstream.duration":12000000,` +
		`"weir.upstream.status_code":200,"weir.upstream.address":"10.0.0.1:5002","weir.reason":"ok"}` + "\n"
	if diff := cmp.Diff(want, logged(t, observe.JSON, ordinary())); diff != "" {
		t.Error(diff)
	}
	empty := `{"@timestamp":"0001-01-01T00:00:00.000000Z","log.level":"info","ecs.version":"8.17.0","event.dataset":"weir.access",` +
		`"event.duration":0,"url.scheme":"http","http.response.status_code":0,"http.request.body.bytes":0,"http.response.body.bytes":0}` + "\n"
	if diff := cmp.Diff(empty, logged(t, observe.JSON, observe.Entry{})); diff != "" {
		t.Error(diff)
	}
}

func TestJSONFields(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry observe.Entry
		want  map[string]any // nil: absent
	}{
		{"controls and quotes", observe.Entry{UserAgent: []byte("a\"b\\c\n\r\t\x00\x1f\x7fz")}, map[string]any{"user_agent.original": "a\"b\\c\n\r\t\x00\x1f\x7fz"}},
		{"invalid UTF-8", observe.Entry{UserAgent: []byte("\xffa\xc3b\xed\xa0\x80\xf0\x9f")}, map[string]any{"user_agent.original": "\ufffda\ufffdb\ufffd\ufffd\ufffd\ufffd\ufffd"}},
		{"UTF-8", observe.Entry{UserAgent: []byte("é€😀\u0085\u009b[2J")}, map[string]any{"user_agent.original": "é€😀\u0085\u009b[2J"}},
		{"unknown method", observe.Entry{MethodName: []byte("PROPFIND")}, map[string]any{"http.request.method": "PROPFIND"}},
		{"versions", observe.Entry{Proto: message.HTTP2, TLSVersion: tls.VersionTLS12}, map[string]any{"http.version": "2", "tls.version": "1.2", "url.scheme": "https"}},
		{"v6 host with port", observe.Entry{Host: []byte("[::1]:80")}, map[string]any{"url.domain": "[::1]", "url.port": 80.0}},
		{"v6 host", observe.Entry{Host: []byte("[fe80::1]")}, map[string]any{"url.domain": "[fe80::1]", "url.port": nil}},
		{"hostile port", observe.Entry{Host: []byte("h:99999")}, map[string]any{"url.domain": "h:99999", "url.port": nil}},
		{"octal port", observe.Entry{Host: []byte("h:080")}, map[string]any{"url.domain": "h:080", "url.port": nil}},
		{"no query", observe.Entry{Target: []byte("/a")}, map[string]any{"url.original": "/a", "url.path": "/a", "url.query": nil}},
		{"empty query", observe.Entry{Target: []byte("/a?")}, map[string]any{"url.original": "/a?", "url.path": "/a", "url.query": nil}},
		{"asterisk", observe.Entry{Target: []byte("*")}, map[string]any{"url.original": "*", "url.path": nil}},
		{"client is source", observe.Entry{Client: netip.MustParseAddr("::1"), Source: netip.MustParseAddr("::1")}, map[string]any{"client.ip": "::1", "source.ip": nil}},
		{"zone", observe.Entry{Client: netip.MustParseAddr("fe80::1%eth\"0")}, map[string]any{"client.ip": "fe80::1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := logged(t, observe.JSON, c.entry)
			var got map[string]any
			if err := json.Unmarshal([]byte(line), &got); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			for key, want := range c.want {
				value, present := got[key]
				if (want == nil) == present || value != want {
					t.Errorf("%s = %q (present %v), want %q in %s", key, value, present, want, line)
				}
			}
		})
	}
}

func TestCombinedLine(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry observe.Entry
		want  string
	}{
		{"ordinary", ordinary(), `203.0.113.7 - ada [02/Nov/2026:03:04:05 -0530] "GET /api/runs/17?limit=20&q=%22x%22 HTTP/1.1" 200 2345 "https://valor.example.com/" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"`},
		{"nothing known", observe.Entry{Status: 400}, `- - - [01/Jan/0001:00:00:00 +0000] "-" 400 0 "-" "-"`},
		{"no status", observe.Entry{}, `- - - [01/Jan/0001:00:00:00 +0000] "-" 000 0 "-" "-"`},
		{"escapes", observe.Entry{Method: message.POST, Target: []byte("/\"\\\x00é"), Proto: message.HTTP2, Status: 499, UserAgent: []byte("\x7f~ \n"), Referer: []byte("\xff")},
			`- - - [01/Jan/0001:00:00:00 +0000] "POST /\x22\x5C\x00\xC3\xA9 HTTP/2.0" 499 0 "\xFF" "\x7F~ \x0A"`},
		{"own method", observe.Entry{MethodName: []byte("FOO\""), Target: []byte("/"), Proto: message.HTTP10, Status: 405}, `- - - [01/Jan/0001:00:00:00 +0000] "FOO\x22 / HTTP/1.0" 405 0 "-" "-"`},
		{"unreadable version", observe.Entry{Method: message.GET, Target: []byte("/"), Status: 505}, `- - - [01/Jan/0001:00:00:00 +0000] "GET /" 505 0 "-" "-"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want+"\n", logged(t, observe.Combined, c.entry)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRedaction(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"/a?b=c", "/a?b=c"},
		{"/a?token=s3cret", "/a?token=REDACTED"},
		{"/a?token=s3cret&b=c", "/a?token=REDACTED&b=c"},
		{"/a?b=c&Access_Token=s3cret&d", "/a?b=c&Access_Token=REDACTED&d"},
		{"/a?b=c;token=s3cret", "/a?b=c;token=REDACTED"},
		{"/a?password=s3;cret?s3cret=s3cret&b=c", "/a?password=REDACTED&b=c"},
		{"/a?%74oken=s3cret", "/a?%74oken=REDACTED"},
		{"/a?t%6Fken=s3cret", "/a?t%6Fken=REDACTED"},
		{"/a?user[password]=s3cret", "/a?user[password]=REDACTED"},
		{"/a?user%5Bpassword%5D=s3cret", "/a?user%5Bpassword%5D=REDACTED"},
		{"/a?password[]=s3cret&password[]=s3cret", "/a?password[]=REDACTED&password[]=REDACTED"},
		{"/a?X-Amz-Signature=s3cret", "/a?X-Amz-Signature=REDACTED"},
		{"/a?my_own_key=s3cret", "/a?my_own_key=REDACTED"},
		{"/a?MY-OWN-KEY=s3cret", "/a?MY-OWN-KEY=REDACTED"},
		{"/a?" + strings.Repeat("x", 200) + ".token=s3cret", "/a?" + strings.Repeat("x", 200) + ".token=REDACTED"},
		{"/a#access_token=s3cret&x=1", "/a#access_token=REDACTED&x=1"},
		{"/a?next=/b?token=s3cret", "/a?next=/b?token=REDACTED"},
		{"/a?token=", "/a?token="},
		{"/a?token=&token=s3cret", "/a?token=&token=REDACTED"},
		{"/a;jsessionid=s3cret?b=c&sid=s3cret?s3cret", "/a;jsessionid=REDACTED?b=c&sid=REDACTED"},
		{"/a?token==s3cret", "/a?token=REDACTED"},
		{"/a?token", "/a?token"},
		{"/a?tokens=3&nottoken=x", "/a?tokens=3&nottoken=x"},
		{"/token=visible", "/token=visible"},
		{"http://user:s3cret@host/a@b", "http://REDACTED@host/a@b"},
		{"http://user:s3@cret@host/?token=s3cret", "http://REDACTED@host/?token=REDACTED"},
		{"user:s3cret@host:443", "REDACTED@host:443"},
		{"http://host/a@b", "http://host/a@b"},
		{"/a@b", "/a@b"},
		{"*", "*"},
	} {
		t.Run(c.in, func(t *testing.T) {
			e := observe.Entry{Method: message.GET, Target: []byte(c.in), Referer: []byte(c.in)}
			var got map[string]any
			if err := json.Unmarshal([]byte(logged(t, observe.JSON, e)), &got); err != nil {
				t.Fatal(err)
			}
			if got["url.original"] != c.want || got["http.request.referrer"] != c.want {
				t.Errorf("url.original %v, referrer %v, want %s", got["url.original"], got["http.request.referrer"], c.want)
			}
			combined := logged(t, observe.Combined, e)
			if !strings.Contains(combined, `"GET `+c.want+`" 000 0 "`+c.want+`" "-"`) {
				t.Errorf("combined: %s, want %s in it", combined, c.want)
			}
			if i := strings.Index(c.want, "s3cret"); i < 0 && strings.Contains(combined, "s3cret") {
				t.Errorf("secret in %s", combined)
			}
		})
	}
}

// Whatever surrounds it and however its key is spelled, a secret is in no line of either format.
func TestSecretsNeverShow(t *testing.T) {
	spell := func(t *rapid.T, key string) string {
		var b strings.Builder
		for _, c := range []byte(key) {
			switch rapid.IntRange(0, 5).Draw(t, "spelling") {
			case 0:
				b.WriteString("%" + strings.ToUpper(hex(c)))
			case 1:
				b.WriteString("%" + hex(c))
			case 2:
				b.WriteString(strings.ToUpper(string(c)))
			case 3:
				b.WriteString(strings.ReplaceAll(string(c), "_", "-"))
			default:
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	rapid.Check(t, func(t *rapid.T) {
		const secret = "SeCrEtVaLuE"
		key := spell(t, rapid.SampledFrom(observe.DefaultSensitiveKeys()).Draw(t, "key"))
		parts := rapid.SliceOfN(rapid.StringMatching(`[a-z]{0,5}=?[^ &#]{0,6}`), 0, 4).Draw(t, "others")
		at := rapid.IntRange(0, len(parts)).Draw(t, "at")
		parts = append(parts[:at:at], append([]string{key + "=" + secret}, parts[at:]...)...)
		target := rapid.SampledFrom([]string{"/", "/a/b", "http://h/", ""}).Draw(t, "path") + "?" + strings.Join(parts, "&")
		e := observe.Entry{Method: message.GET, Target: []byte(target), Referer: []byte(target)}
		for _, format := range []observe.Format{observe.JSON, observe.Combined} {
			if line := logged(t, format, e); strings.Contains(line, secret) {
				t.Fatalf("%q is logged as %s", target, line)
			}
		}
	})
}

func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&15]})
}

func TestNilAccessLogIsOff(t *testing.T) {
	var off *observe.AccessLog
	e := ordinary()
	off.Log(&e)
}

func TestLoggingAllocatesNothing(t *testing.T) {
	sink := openSink(t, observe.SinkOptions{Output: io.Discard})
	e := ordinary()
	e.Target = []byte("/a?token=secret&user%5Bpassword%5D=secret&x=\xff\"")
	for _, format := range []observe.Format{observe.JSON, observe.Combined} {
		log := observe.NewAccessLog(format, sink)
		// Blocks and pooled buffers come and go with the collector: an average under one in a hundred lines is none per line.
		if n := testing.AllocsPerRun(5000, func() { log.Log(&e) }); n != 0 {
			t.Errorf("format %d: %v allocations a line", format, n)
		}
	}
}
