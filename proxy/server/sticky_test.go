package server_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valor-ivx/weir/proxy/admin"
)

// stuckText is a service of blue and green with more keys, its access log in the file log.
func stuckText(dir, blue, green string, weight int, more, inGreen string) string {
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n"+
		"[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\n[[route]]\nname = \"all\"\nservice = \"api\"\n[service.api]\n%s\nejection = { max_ejected = 0.0 }\n"+
		"[service.api.group.blue]\nweight = %d\ntargets = [%q]\n[service.api.group.green]\nweight = %d\ntargets = [%q]\n%s",
		dir, more, weight, blue, 100-weight, green, inGreen)
}

// stuck is a server of two colours.
type stuck struct {
	*running
	blue, green *colour
	heard       atomic.Pointer[string] // Cookie fields of the last request at an upstream
}

func newStuck(t *testing.T, weight int, more, inGreen string) *stuck {
	t.Helper()
	e := &stuck{}
	start := func(name string) *colour {
		c := &colour{name: name, address: "127.0.0.1:0"}
		c.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cookies := strings.Join(r.Header.Values("Cookie"), "|")
			e.heard.Store(&cookies)
			w.Header().Set("X-Color", name)
			for _, v := range r.Header.Values("X-Answer") {
				field, value, _ := strings.Cut(v, ": ")
				w.Header().Add(field, value)
			}
			if r.URL.Path == "/304" {
				w.WriteHeader(http.StatusNotModified)
			}
		})
		c.start(t)
		t.Cleanup(c.kill)
		return c
	}
	e.blue, e.green = start("blue"), start("green")
	dir := tempDir(t)
	e.running = run(t, dir, stuckText(dir, e.blue.address, e.green.address, weight, more, inGreen))
	t.Cleanup(func() { e.stop() })
	return e
}

// restart ends the server and starts it again on the same state.
func (e *stuck) restart(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(e.dir + "/weir.toml")
	if err != nil {
		t.Fatal(err)
	}
	e.stop()
	e.running = run(t, e.dir, string(text))
}

// person is a client that keeps the cookie that it is given.
type person struct {
	cookie string // "weir_api=…"
	colour string // of the last answer
	given  string // the Set-Cookie of the last answer
	header http.Header
	status int
	body   string
}

// ask sends one request with the person's cookie and further lines "Name: value".
func (p *person) ask(t fataler, address string, lines ...string) *person {
	t.Helper()
	path := "/"
	if len(lines) > 0 && strings.HasPrefix(lines[0], "/") {
		path, lines = lines[0], lines[1:]
	}
	req, err := http.NewRequest("GET", "http://"+address+path, nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if p.cookie != "" {
		req.Header.Set("Cookie", p.cookie)
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Add(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%v", err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		t.Fatalf("%v", err)
	}
	p.status, p.colour, p.header, p.body, p.given = res.StatusCode, res.Header.Get("X-Color"), res.Header, string(body), ""
	for _, line := range res.Header.Values("Set-Cookie") {
		if strings.HasPrefix(line, "weir_api=") {
			p.given = line
			p.cookie, _, _ = strings.Cut(line, ";")
		}
	}
	return p
}

// peopleOf are n persons who have asked once.
func peopleOf(t *testing.T, address string, n int) (list []*person) {
	t.Helper()
	for range n {
		p := new(person).ask(t, address)
		if p.status != http.StatusOK || p.given == "" {
			t.Fatalf("%d, Set-Cookie %q", p.status, p.given)
		}
		list = append(list, p)
	}
	return list
}

func count(people []*person, colour string) (n int) {
	for _, p := range people {
		if p.colour == colour {
			n++
		}
	}
	return n
}

// near holds a count of draws of one probability to six standard deviations: one run in 500 million is off by more.
func near(t *testing.T, what string, got, of int, share float64) {
	t.Helper()
	if d := math.Abs(float64(got) - float64(of)*share); d > 6*math.Sqrt(float64(of)*share*(1-share)) {
		t.Errorf("%s: %d of %d, want about %.0f %%", what, got, of, share*100)
	}
}

func (e *stuck) weigh(blue int) {
	e.t.Helper()
	e.call(http.StatusOK, "PUT", "/v1/services/api/weights", fmt.Sprintf(`{"blue":%d,"green":%d}`, blue, 100-blue))
}

func (e *stuck) service() (s admin.Service) {
	e.t.Helper()
	if err := json.Unmarshal([]byte(e.call(http.StatusOK, "GET", "/v1/services/api", "")), &s); err != nil {
		e.t.Fatalf("%v", err)
	}
	return s
}

// TestStickyCookie: each client is dealt once, by weight, and stays; upstreams do not see what it is known by; a ramp moves only towards the group that grows, a
// restart nobody, a reset deals everybody anew.
func TestStickyCookie(t *testing.T) {
	e := newStuck(t, 70, "sticky = \"cookie\"", "")
	people := peopleOf(t, e.address, 300)
	near(t, "blue", count(people, "blue"), len(people), 0.7)
	seen := map[string]bool{}
	for i, p := range people {
		if seen[p.cookie] {
			t.Fatalf("the cookie %q twice", p.cookie)
		}
		seen[p.cookie] = true
		if i == 0 && p.given != p.cookie+"; Path=/; HttpOnly; SameSite=Lax" {
			t.Errorf("Set-Cookie %q", p.given)
		}
		was := p.colour
		if own := p.cookie; p.ask(t, e.address, "Cookie: theme=dark").colour != was || p.given != "" || p.cookie != own {
			t.Fatalf("%s became %s, Set-Cookie %q", was, p.colour, p.given)
		}
	}
	if heard := *e.heard.Load(); heard != "theme=dark" {
		t.Errorf("the upstream heard Cookie %q", heard)
	}
	stays := func(what string, moved func(was, is string) bool) {
		t.Helper()
		for _, p := range people {
			was := p.colour
			if p.ask(t, e.address); p.given != "" || was != p.colour && !moved(was, p.colour) {
				t.Fatalf("%s: %s became %s, Set-Cookie %q", what, was, p.colour, p.given)
			}
		}
	}
	nobody := func(string, string) bool { return false }
	e.weigh(40)
	stays("towards green", func(was, is string) bool { return was == "blue" && is == "green" })
	near(t, "blue of the ramp", count(people, "blue"), len(people), 0.4)
	e.restart(t)
	stays("restart", nobody)
	before := slices.Clone(people)
	colours := make([]string, len(before))
	for i, p := range before {
		colours[i] = p.colour
	}
	e.weigh(60)
	e.weigh(40)
	stays("there and back", nobody)
	e.weigh(0)
	stays("blue at 0", func(was, is string) bool { return was == "blue" && is == "green" })
	e.weigh(40)
	for i, p := range people {
		if p.ask(t, e.address); p.colour != colours[i] || p.given != "" {
			t.Fatalf("%s before, %s after blue was at 0, Set-Cookie %q", colours[i], p.colour, p.given)
		}
	}
	if s := e.service(); s.Epoch != 1 {
		t.Errorf("epoch %d", s.Epoch)
	}
	e.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	if s := e.service(); s.Epoch != 2 || s.Overlay != nil {
		t.Errorf("epoch %d, overlay %v after a reset", s.Epoch, s.Overlay)
	}
	for _, p := range people {
		if p.ask(t, e.address); p.given == "" {
			t.Fatal("a cookie of the epoch before is taken")
		}
	}
	near(t, "blue dealt anew", count(people, "blue"), len(people), 0.7)
	e.call(http.StatusOK, "DELETE", "/v1/services/api/weights", "")
	stays("a reset without an overlay", nobody)
	e.restart(t)
	stays("restart after a reset", nobody)
}

// TestStickyCookieForgedThroughTheListener: what is no cookie of ours is none, and replaced.
func TestStickyCookieForgedThroughTheListener(t *testing.T) {
	e := newStuck(t, 50, "sticky = \"cookie\"", "")
	good := new(person).ask(t, e.address).cookie
	flipped := []byte(good)
	flipped[len(flipped)-1] ^= 1
	for _, bad := range []string{"weir_api=", "weir_api=x", "weir_api=" + strings.Repeat("A", 60), string(flipped), good + "A", strings.Replace(good, "weir_api", "weir_other", 1)} {
		p := &person{cookie: bad}
		if p.ask(t, e.address); p.status != http.StatusOK || p.given == "" || p.cookie == bad {
			t.Errorf("%q: %d, Set-Cookie %q", bad, p.status, p.given)
		}
		if heard := *e.heard.Load(); strings.Contains(heard, "weir_api") {
			t.Errorf("%q: the upstream heard %q", bad, heard)
		}
	}
}

// TestStickyCookieAndCaches: no answer that caches share carries a client's cookie, and none that carries one can be stored by them.
func TestStickyCookieAndCaches(t *testing.T) {
	e := newStuck(t, 50, "sticky = \"cookie\"", "")
	for _, c := range []struct {
		answer string
		given  bool
		want   []string
	}{
		{"X-Nothing: 1", true, []string{"private"}},
		{"Cache-Control: public, max-age=0", false, []string{"public, max-age=0"}},
		{"Cache-Control: max-age=31536000, immutable", false, []string{"max-age=31536000, immutable"}},
		{"Cache-Control: no-cache", true, []string{"no-cache", "private"}},
		{"Cache-Control: private, max-age=60", true, []string{"private, max-age=60"}},
		{"Cache-Control: no-store", true, []string{"no-store"}},
		{"CDN-Cache-Control: max-age=60", false, nil},
	} {
		p := new(person).ask(t, e.address, "X-Answer: "+c.answer)
		if got := p.header.Values("Cache-Control"); (p.given != "") != c.given || !slices.Equal(got, c.want) {
			t.Errorf("%s: Set-Cookie %q, Cache-Control %q", c.answer, p.given, got)
		}
		if p.ask(t, e.address, "X-Answer: "+c.answer); c.given && (p.given != "" || slices.Contains(p.header.Values("Cache-Control"), "private") != strings.Contains(c.answer, ": private")) && !strings.Contains(c.answer, "private,") {
			t.Errorf("%s: a known client's answer is changed: %q %q", c.answer, p.given, p.header.Values("Cache-Control"))
		}
	}
	if p := new(person).ask(t, e.address, "/304"); p.given != "" || p.header.Get("Cache-Control") != "" {
		t.Errorf("304: Set-Cookie %q, Cache-Control %q", p.given, p.header.Get("Cache-Control"))
	}
	e.blue.kill()
	e.green.kill()
	if p := new(person).ask(t, e.address); p.status < 500 || p.given != "" {
		t.Errorf("an error of our own: %d, Set-Cookie %q", p.status, p.given)
	}
}

// TestStickyByWhatIsThere: headers, the application's cookies and addresses: the same one, the same group, and ramps that move one way.
func TestStickyByWhatIsThere(t *testing.T) {
	for _, c := range []struct {
		sticky string
		line   func(i int) []string
	}{
		{"header:X-Tenant", func(i int) []string { return []string{fmt.Sprintf("X-Tenant: t%d", i)} }},
		{"cookie:session", func(i int) []string { return []string{fmt.Sprintf("Cookie: a=b; session=s%d", i)} }},
		{"client_ip", func(i int) []string { return []string{fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i)} }},
	} {
		t.Run(c.sticky, func(t *testing.T) {
			e := newStuck(t, 80, fmt.Sprintf("sticky = %q", c.sticky), "[client_ip]\ntrusted_proxies = [\"127.0.0.1/32\"]\n")
			const people = 200
			colours := make([]string, people)
			all := func(ok func(was, is string) bool) (blue int) {
				t.Helper()
				for i := range colours {
					p := new(person).ask(t, e.address, c.line(i)...)
					if p.given != "" || colours[i] != "" && !ok(colours[i], p.colour) {
						t.Fatalf("%d: %s became %s, Set-Cookie %q", i, colours[i], p.colour, p.given)
					}
					if colours[i] = p.colour; p.colour == "blue" {
						blue++
					}
				}
				return blue
			}
			same := func(was, is string) bool { return was == is }
			if blue := all(same); blue < people/2 || blue == people {
				t.Errorf("%d of %d are blue", blue, people)
			}
			all(same)
			e.weigh(50)
			all(func(was, is string) bool { return was == is || was == "blue" })
			e.restart(t)
			all(same)
			// Without it the address stands in: one client, one group.
			first := new(person).ask(t, e.address).colour
			for range 20 {
				if p := new(person).ask(t, e.address); p.colour != first {
					t.Fatalf("%s after %s from one address", p.colour, first)
				}
			}
			if out := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/"}`); !strings.Contains(out, "forwarded to api: "+first) {
				t.Errorf("explain says %s, but it is %s", out, first)
			}
		})
	}
}

// TestTesters: a header or a cookie asks for a group of weight 0; it gets that one or an error, is not counted in shares, and changes nobody's.
func TestTesters(t *testing.T) {
	e := newStuck(t, 100, "sticky = \"off\"", "match = { header = \"X-Weir-Group: green\", cookie = \"weir_group=green\" }\n")
	for line, want := range map[string]string{
		"X-Weir-Group: green": "green", "x-weir-group: green": "green", "Cookie: a=b; weir_group=green": "green", "X-Weir-Group: gree": "blue", "X-Weir-Group: greens": "blue",
		"Cookie: weir_group=greens": "blue", "Cookie: xweir_group=green": "blue",
	} {
		if p := new(person).ask(t, e.address, line); p.colour != want {
			t.Errorf("%s: %s, want %s", line, p.colour, want)
		}
	}
	e.weigh(75)
	blue := 0
	for range 100 {
		if new(person).ask(t, e.address).colour == "blue" {
			blue++
		}
		new(person).ask(t, e.address, "X-Weir-Group: green")
	}
	if s := e.service(); blue != 75 || s.Groups[0].ObservedOf != 100 || *s.Groups[0].ObservedShare != 75 {
		t.Errorf("%d of 100 were blue, observed %v %% of %d", blue, *s.Groups[0].ObservedShare, s.Groups[0].ObservedOf)
	}
	e.green.kill()
	if p := new(person).ask(t, e.address, "X-Weir-Group: green"); p.status < 500 || p.colour != "" {
		t.Errorf("with green dead: %d from %q", p.status, p.colour)
	}
	if out := e.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/","headers":[{"name":"X-Weir-Group","value":"green"}]}`); !strings.Contains(out, "whatever the weights") {
		t.Errorf("explain: %s", out)
	}
}

// TestStickyOverTLS: over HTTP/2 and HTTP/1.1 with TLS the cookie is Secure, one of the other protocol's is the same client's, and upstreams see neither.
func TestStickyOverTLS(t *testing.T) {
	dir := tempDir(t)
	ca := newIssuer(t, dir, "ca")
	var heard atomic.Pointer[string]
	e := newSecureEdge(t, dir, "protocols = [\"http/1.1\", \"h2\"]\n", ca.server("a.test")+anyHost+"[service.api]\nsticky = \"cookie\"\n", func(_ http.ResponseWriter, r *http.Request) {
		cookies := strings.Join(r.Header.Values("Cookie"), "|")
		heard.Store(&cookies)
	})
	cookie := ""
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{ForceAttemptHTTP2: h2, TLSClientConfig: &tls.Config{ServerName: "a.test", RootCAs: ca.pool()}}
		defer tr.CloseIdleConnections()
		ask := func(sent string) (given string) {
			req, err := http.NewRequest("GET", "https://"+e.secure+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "a.test"
			req.Header.Set("Cookie", sent)
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK || (res.ProtoMajor == 2) != h2 {
				t.Fatalf("%s %s: %v", res.Proto, res.Status, err)
			}
			if got := *heard.Load(); got != "theme=dark" {
				t.Errorf("%s: the upstream heard Cookie %q", res.Proto, got)
			}
			return res.Header.Get("Set-Cookie")
		}
		given := ask("theme=dark")
		if !strings.HasPrefix(given, "weir_api=") || !strings.HasSuffix(given, "; Path=/; HttpOnly; SameSite=Lax; Secure") {
			t.Errorf("Set-Cookie %q", given)
		}
		if cookie == "" {
			cookie, _, _ = strings.Cut(given, ";")
		}
		if again := ask(cookie + "; theme=dark"); again != "" {
			t.Errorf("HTTP/2 %t: a known client is given %q", h2, again)
		}
	}
}
