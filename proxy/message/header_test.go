package message_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/valor-ivx/weir/proxy/message"
)

var known = map[string]message.ID{
	"Connection": message.Connection, "Keep-Alive": message.KeepAlive, "Proxy-Connection": message.ProxyConnection, "Proxy-Authenticate": message.ProxyAuthenticate,
	"Proxy-Authorization": message.ProxyAuthorization, "TE": message.TE, "Transfer-Encoding": message.TransferEncoding, "Upgrade": message.Upgrade, "Trailer": message.Trailer,
	"Content-Length": message.ContentLength, "Host": message.Host, "Expect": message.Expect, "Date": message.Date, "Server": message.Server, "Content-Type": message.ContentType,
	"Accept": message.Accept, "User-Agent": message.UserAgent, "Referer": message.Referer, "Authorization": message.Authorization, "Cookie": message.Cookie, "Forwarded": message.Forwarded,
	"X-Forwarded-For": message.XForwardedFor, "X-Forwarded-Proto": message.XForwardedProto, "X-Forwarded-Host": message.XForwardedHost, "X-Forwarded-Port": message.XForwardedPort,
	"X-Real-IP": message.XRealIP, "Client-Cert": message.ClientCert, "Client-Cert-Chain": message.ClientCertChain,
	"X-Client-Cert-Subject": message.XClientCertSubject, "X-Client-Cert-Fingerprint": message.XClientCertFingerprint, "X-Request-ID": message.XRequestID, "Retry-After": message.RetryAfter,
	"Early-Data": message.EarlyData, "X-Weir-Shadow": message.XWeirShadow, "Alt-Svc": message.AltSvc, "Traceparent": message.Traceparent, "Tracestate": message.Tracestate,
}

// TestIDOf: every known name is found in any case and with underscores, and nothing that differs from it in one byte is taken for it.
func TestIDOf(t *testing.T) {
	if len(known) != int(message.Tracestate) {
		t.Errorf("%d names for %d IDs", len(known), message.Tracestate)
	}
	for name, id := range known {
		for _, alias := range []string{name, strings.ToUpper(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_")} {
			if got := message.IDOf(alias); got != id {
				t.Errorf("%s: %d, want %d", alias, got, id)
			}
		}
		if message.IDOf(name+"x") == id || message.IDOf(name[1:]) == id || message.IDOf("") != message.Other {
			t.Errorf("%s: a longer or a shorter name is taken for it", name)
		}
		for i := range len(name) {
			for c := range 256 {
				other := name[:i] + string([]byte{byte(c)}) + name[i+1:]
				if same := strings.EqualFold(strings.ReplaceAll(other, "_", "-"), name); !same && message.IDOf(other) == id {
					t.Errorf("%q is taken for %s", other, name)
				}
			}
		}
		hop := id <= message.Upgrade
		if id.HopByHop() != hop {
			t.Errorf("%s: hop-by-hop %t", name, id.HopByHop())
		}
	}
	if message.Other.HopByHop() {
		t.Error("an unknown field is hop-by-hop")
	}
}

// TestHeaderIsAList draws edits and holds the list to a plain slice of pairs: order, repetition and case are kept.
func TestHeaderIsAList(t *testing.T) {
	type pair struct{ name, value string }
	rapid.Check(t, func(r *rapid.T) {
		var h message.Header
		var model []pair
		name := rapid.SampledFrom([]string{"A", "a", "B", "Content-Type", "content-type", "X-Long-Name"})
		value := rapid.StringMatching(`[a-z]{0,200}`)
		for range rapid.IntRange(0, 40).Draw(r, "edits") {
			n, v := name.Draw(r, "name"), value.Draw(r, "value")
			drop := func() {
				model = slices.DeleteFunc(model, func(p pair) bool { return strings.EqualFold(p.name, n) })
			}
			switch rapid.IntRange(0, 5).Draw(r, "edit") {
			case 0:
				h.Add(n, v)
				model = append(model, pair{n, v})
			case 1:
				h.AddBytes(n, []byte(v))
				model = append(model, pair{n, v})
			case 2:
				h.AppendLine([]byte(n+":\t"+v), len(n), len(n)+2, message.IDOf(n))
				model = append(model, pair{n, v})
			case 3:
				h.Del(n)
				drop()
			case 4:
				h.Set(n, v)
				drop()
				model = append(model, pair{n, v})
			case 5:
				if rapid.IntRange(0, 9).Draw(r, "reset") == 0 {
					h.Reset()
					model = nil
				}
			}
			var got []pair
			for i := range h.Len() {
				f := h.At(i)
				got = append(got, pair{string(f.Name()), string(f.Value())})
				if f.ID() != message.IDOf(f.Name()) || len(f.Line()) != len(f.Name())+2+len(f.Value()) {
					r.Fatalf("field %q", f.Line())
				}
			}
			if !slices.Equal(got, model) {
				r.Fatalf("%v, want %v", got, model)
			}
			first := slices.IndexFunc(model, func(p pair) bool { return strings.EqualFold(p.name, n) })
			if v, ok := h.Get(n); ok != (first >= 0) || ok && string(v) != model[first].value {
				r.Fatalf("Get %s: %q %t", n, v, ok)
			}
		}
	})
}

func TestFind(t *testing.T) {
	var h message.Header
	for i := range 6 {
		h.Add([]string{"X", "Cookie"}[i%2], fmt.Sprint(i))
	}
	var at []int
	for i := h.Find(message.Cookie, 0); i >= 0; i = h.Find(message.Cookie, i+1) {
		at = append(at, i)
	}
	if !slices.Equal(at, []int{1, 3, 5}) || h.Find(message.Host, 0) != -1 || h.Find(message.Cookie, 99) != -1 {
		t.Errorf("%v", at)
	}
}

func TestDropNominated(t *testing.T) {
	for _, c := range []struct {
		connection []string
		want       string
	}{
		{nil, "A B C Upgrade"},
		{[]string{"close"}, "A B C Upgrade"},
		{[]string{"a"}, "B C Upgrade"},
		{[]string{" ,a,, C ,"}, "B Upgrade"},
		{[]string{"a", "close", "b"}, "C Upgrade"},
		{[]string{"connection, upgrade, te"}, "A B C Upgrade"}, // the writers' business
		{[]string{"a, a, A"}, "B C Upgrade"},
	} {
		var h message.Header
		for i, v := range c.connection {
			h.Add("Connection", v)
			h.Add([]string{"A", "B", "C"}[i], "")
		}
		for _, n := range []string{"A", "B", "C", "Upgrade"}[len(c.connection):] {
			h.Add(n, "")
		}
		h.DropNominated()
		var got []string
		for i := range h.Len() {
			if f := h.At(i); f.ID() != message.Connection {
				got = append(got, string(f.Name()))
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%q: %v, want %s", c.connection, got, c.want)
		}
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		list string
		want []string
	}{
		{"", nil},
		{"a", []string{"a"}},
		{" a , b\t,c", []string{"a", "b", "c"}},
		{",a,,", []string{"", "a", ""}},
		{"a b", []string{"a b"}},
	} {
		var got []string
		for list := []byte(c.list); len(list) > 0; {
			var item []byte
			item, list = message.NextToken(list)
			got = append(got, string(item))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.list, got)
		}
		for _, w := range c.want {
			if !message.HasToken([]byte(c.list), strings.ToUpper(w)) {
				t.Errorf("%q has no %q", c.list, w)
			}
		}
		if message.HasToken([]byte(c.list), "z") {
			t.Errorf("%q has z", c.list)
		}
	}
	for element, want := range map[string]string{"": "", "a/b": "a/b", "a/b;q=1": "a/b", "a/b ; c=\"d;e\"": "a/b", ";q=1": ""} {
		if got := string(message.Bare([]byte(element))); got != want {
			t.Errorf("%q without parameters: %q", element, got)
		}
	}
	if message.EqualFold("k", "\u212a") || message.EqualFold("chunked", "chun\u212aed") || message.EqualFold("[", "{") || message.EqualFold("@", "`") {
		t.Error("folds more than ASCII letters")
	}
}

func TestMethods(t *testing.T) {
	for m := message.GET; m <= message.PATCH; m++ {
		if message.MethodOf([]byte(m.String())) != m || message.MethodOf([]byte(strings.ToLower(m.String()))) != message.MethodOther {
			t.Errorf("%v", m)
		}
		if m.Safe() && !m.Idempotent() {
			t.Errorf("%v is safe and not idempotent", m)
		}
	}
	for _, m := range []message.Method{message.POST, message.PATCH, message.CONNECT, message.MethodOther} {
		if m.Idempotent() || m.Safe() {
			t.Errorf("%v may be repeated", m)
		}
	}
}

// TestResetKeepsMemory: the next head costs no allocation and shows nothing of the last one.
func TestResetKeepsMemory(t *testing.T) {
	line := []byte("X-Name: value")
	var req message.Request
	var resp message.Response
	if n := testing.AllocsPerRun(100, func() {
		req.Reset()
		resp.Reset()
		if req.Header.Len()+resp.Header.Len() != 0 || req.Close || resp.Status != 0 || req.Host != nil {
			t.Fatal("something stayed")
		}
		for range 20 {
			req.Header.AppendLine(line, 6, 8, message.Other)
			req.Header.Add("X-Own", "value")
			resp.Header.AppendLine(line, 6, 8, message.Other)
		}
		req.Close, req.Host, resp.Status = true, line, 200
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
