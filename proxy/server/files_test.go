package server_test

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const modified = "Fri, 02 Jan 2026 03:04:05 GMT"

// TestFilesByEveryProtocol: the same answers plain (where a large file takes sendfile), over TLS, by HTTP/2 and by HTTP/3.
func TestFilesByEveryProtocol(t *testing.T) {
	large := lengthy(3<<20) + "end"
	e := newWebEdge(t, webText{files: ", fallback = \"web/index.html\""}, map[string]string{
		"web/index.html": "<h1>page</h1>", "web/a.txt": "0123456789", "web/empty.txt": "", "web/large.bin": large, "web/sub/index.html": "sub",
		"web/app.3f2a9c1b.js": "plain", "web/app.3f2a9c1b.js.br": "brotli",
	})
	for name, c := range e.clients() {
		tag := askWeb(t, c, "GET", "/web/a.txt").Header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) {
			t.Fatalf("%s: tag %s", name, tag)
		}
		for _, q := range []struct {
			method, path string
			fields       []string
			status       int
			body         string
			want         map[string]string
		}{
			{"GET", "/web/a.txt", nil, 200, "0123456789", map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Length": "10", "Last-Modified": modified, "Accept-Ranges": "bytes",
				"Cache-Control": "no-cache", "Vary": "Accept-Encoding", "Content-Encoding": "", "X-Content-Type-Options": "nosniff"}},
			{"HEAD", "/web/a.txt", nil, 200, "", map[string]string{"Content-Length": "10", "ETag": tag}},
			{"HEAD", "/web/a.txt", []string{"Range", "bytes=0-1"}, 200, "", map[string]string{"Content-Length": "10"}},
			{"GET", "/web/empty.txt", nil, 200, "", map[string]string{"Content-Length": "0"}},
			{"GET", "/web/empty.txt", []string{"Range", "bytes=0-1"}, 200, "", map[string]string{"Content-Length": "0"}},
			{"GET", "/web/large.bin", nil, 200, large, map[string]string{"Content-Type": "application/octet-stream", "Vary": ""}},
			{"GET", "/web/large.bin", []string{"Range", "bytes=1000000-2999999"}, 206, large[1000000:3000000], map[string]string{"Content-Range": fmt.Sprintf("bytes 1000000-2999999/%d", len(large))}},
			{"GET", "/web/large.bin", []string{"Range", "bytes=-3"}, 206, "end", map[string]string{"Content-Length": "3"}},
			{"GET", "/web/a.txt", []string{"If-None-Match", tag}, 304, "", map[string]string{"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", "Content-Type": "", "Content-Length": ""}},
			{"HEAD", "/web/a.txt", []string{"If-Modified-Since", modified}, 304, "", nil},
			{"GET", "/web/a.txt", []string{"If-Match", `"x"`}, 412, "any", map[string]string{"Cache-Control": "no-store"}},
			{"GET", "/web/a.txt", []string{"Range", "bytes=10-"}, 416, "any", map[string]string{"Content-Range": "bytes */10", "Cache-Control": "no-store"}},
			{"GET", "/web/a.txt", []string{"Range", "bytes=0-1", "If-Range", `"x"`}, 200, "0123456789", nil},
			{"GET", "/web/app.3f2a9c1b.js", []string{"Accept-Encoding", "gzip, br"}, 200, "brotli", map[string]string{"Content-Encoding": "br", "Content-Type": "text/javascript; charset=utf-8",
				"Cache-Control": "max-age=31536000, immutable", "Vary": "Accept-Encoding"}},
			{"GET", "/web/app.3f2a9c1b.js", []string{"Accept-Encoding", "br", "Range", "bytes=2-"}, 206, "otli", map[string]string{"Content-Encoding": "br", "Content-Range": "bytes 2-5/6"}},
			{"GET", "/web/app.3f2a9c1b.js", []string{"Accept-Encoding", "identity"}, 200, "plain", map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding"}},
			{"GET", "/web/sub?x=1&y=//h", nil, 308, "", map[string]string{"Location": "/web/sub/?x=1&y=//h", "Cache-Control": "no-cache"}},
			{"GET", "/web/sub/", nil, 200, "sub", nil},
			{"GET", "/web/deep/link", []string{"Accept", "text/html"}, 200, "<h1>page</h1>", map[string]string{"Cache-Control": "no-cache", "Vary": "Accept, Accept-Encoding"}},
			{"GET", "/web/deep/link", []string{"Accept", "application/json"}, 404, "any", map[string]string{"Cache-Control": "no-store", "Content-Type": "application/problem+json"}},
			{"POST", "/web/a.txt", nil, 405, "any", map[string]string{"Allow": "GET, HEAD"}},
			{"DELETE", "/web/deep/link", []string{"Accept", "text/html"}, 405, "any", map[string]string{"Allow": "GET, HEAD"}},
			{"GET", "/other", nil, 200, "the service", nil},
		} {
			a := askWeb(t, c, q.method, q.path, q.fields...)
			if a.StatusCode != q.status || a.err != nil || a.body != q.body && q.body != "any" || q.body == "any" && a.body == "" {
				t.Errorf("%s: %s %s %q: %d, %d bytes %.60q, %v; want %d, %.60q", name, q.method, q.path, q.fields, a.StatusCode, len(a.body), a.body, a.err, q.status, q.body)
			}
			for field, want := range q.want {
				if values := a.Header.Values(field); strings.Join(values, "|") != want {
					t.Errorf("%s: %s %s %q: %s %q, want %q", name, q.method, q.path, q.fields, field, values, want)
				}
			}
		}
		e.parts(t, name, c, large)
	}
	line := e.logged("/web/sub/")
	if line["weir.route"] != "web" || line["http.response.status_code"] != float64(200) || line["http.response.body.bytes"] != float64(3) {
		t.Errorf("logged %v", line)
	}
	e.scraped(t, `weir_http_requests_total{code="308",listener="plain",method="GET",proto="HTTP/1.1",route="web"} 1`)
}

// parts asks for two parts, one of them large.
func (e *webEdge) parts(t *testing.T, name string, c *http.Client, large string) {
	t.Helper()
	a := askWeb(t, c, "GET", "/web/large.bin", "Range", "bytes=5-9,100-299999")
	kind, parameters, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if a.StatusCode != 206 || kind != "multipart/byteranges" || err != nil || a.err != nil || int64(len(a.body)) != a.ContentLength || a.Header.Get("Content-Range") != "" {
		t.Errorf("%s: two parts: %d %v %v", name, a.StatusCode, a.Header, a.err)
		return
	}
	r := multipart.NewReader(strings.NewReader(a.body), parameters["boundary"])
	for _, want := range []struct{ span, content string }{{"bytes 5-9", large[5:10]}, {"bytes 100-299999", large[100:300000]}} {
		p, err := r.NextPart()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		b, err := io.ReadAll(p)
		if string(b) != want.content || err != nil || p.Header.Get("Content-Type") != "application/octet-stream" || p.Header.Get("Content-Range") != fmt.Sprintf("%s/%d", want.span, len(large)) {
			t.Errorf("%s: part %v of %d bytes, %v", name, p.Header, len(b), err)
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Errorf("%s: behind the last part: %v", name, err)
	}
}

// TestFilesHostileTargets: as they come over the wire, with a browser's Accept; no answer has what is hidden, and no redirect leads away.
func TestFilesHostileTargets(t *testing.T) {
	e := newWebEdge(t, webText{files: ", fallback = \"web/index.html\""}, map[string]string{
		"secret": "SECRET", "web/index.html": "page", "web/a/b.txt": "text", "web/a/index.html": "index", "web/.env": "SECRET", "web/.git/config": "SECRET",
	})
	outside := filepath.Join(t.TempDir(), "secret")
	putFile(t, outside, "SECRET")
	if err := os.Symlink(outside, filepath.Join(e.root, "web", "link")); err != nil {
		t.Fatal(err)
	}
	targets := []string{
		"/web/../secret", "/web/..", "/web/%2e%2e/secret", "/web/%2E%2e/secret", "/web/.%2e/secret", "/web/..%2fsecret", "/web/%2e%2e%2fsecret", "/web/..%5csecret", "/web/..\\secret", "/web\\..\\secret",
		"/web/%252e%252e/secret", "/web/%252e%252e%252fsecret", "/web/a%2fb.txt", "/web/a%2Fb.txt", "/web/a%5cb.txt", "/web/a%252fb.txt", "/web//a/b.txt", "/web/a//b.txt", "//web/a/b.txt", "//web/a",
		"//evil.example/web/a", "/web//evil.example", "/web/%2f%2fevil.example", "/web/%c0%ae%c0%ae/secret", "/web/..%c0%afsecret", "/web/%e0%80%ae%e0%80%ae/secret", "/web/%ff", "/web/%00", "/web/a/b.txt%00",
		"/web/a/b.txt%00.html", "/web/%0d%0aX-Y:z", "/web/.env", "/web/%2eenv", "/web/.git/config", "/web/.git/", "/web/.%67it/config", "/web/link", "/web/link/x", "/web/..;/secret",
		"/web/....//secret", "/web/.../secret", "/web/%", "/web/%2", "/web/%zz", "/web/a/b.txt/", "/web/a/b.txt/x", "/web/a/b.txt/../../../secret", "/web/a%u002f", "/web/\x7f", "/web/a/%2e%2e/%2e%2e/%2e%2e/secret",
	}
	if len(targets) < 40 {
		t.Fatalf("%d targets", len(targets))
	}
	for _, target := range targets {
		a := say(t, e.plain, "GET "+target+" HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
		head, body, _ := strings.Cut(a, "\r\n\r\n")
		if strings.Contains(a, "SECRET") || body == "text" || strings.Contains(head, "Location:") {
			t.Errorf("%s: %q", target, a)
		}
		page := strings.HasPrefix(a, "HTTP/1.1 200 ") && body == "page" // a name that is none of a file: an address like any other
		if !page && !strings.HasPrefix(a, "HTTP/1.1 404 ") && !strings.HasPrefix(a, "HTTP/1.1 400 ") {
			t.Errorf("%s: %q", target, a)
		}
		if page && strings.Contains(target, ".") && !strings.Contains(target, "evil") && target != "/web/a/b.txt/x" && target != "/web/a/b.txt/" {
			t.Errorf("%s: the page", target)
		}
	}
	eventually(t, "refusals are counted", func() bool {
		n := e.metric(`weir_http_errors_total{listener="plain",reason="file_refused"}`)
		return n != "" && n != "0"
	})
}

// TestFilesThatChange: a file that is cut or written anew while it is sent ends in a broken answer, never in a complete one; one that is replaced by renaming arrives as it was, and one that
// grows as long as it was.
func TestFilesThatChange(t *testing.T) {
	const size = 8 << 20
	e := newWebEdge(t, webText{}, map[string]string{"web/x": ""})
	path := filepath.Join(e.root, "web", "large.bin")
	for name, c := range e.clients() {
		for _, change := range []struct {
			what  string
			do    func() error
			whole bool
		}{
			{"cut", func() error { return os.Truncate(path, 1<<20) }, false},
			{"written anew", func() error { return os.WriteFile(path, []byte(strings.ToUpper(lengthy(size))), 0o644) }, false},
			{"replaced", func() error {
				putFile(t, path+".new", "new")
				return os.Rename(path+".new", path)
			}, true},
			{"grown", func() error {
				f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				if err == nil {
					_, err = f.WriteString("more")
					_ = f.Close()
				}
				return err
			}, true},
		} {
			putFile(t, path, lengthy(size))
			resp, err := c.Get("http://localhost/web/large.bin")
			if err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReaderSize(resp.Body, 16)
			if _, err := r.ReadByte(); err != nil { // the answer has begun, and does not fit on the way
				t.Fatal(err)
			}
			if err := change.do(); err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, r)
			_ = resp.Body.Close()
			if whole := n+1 == size && err == nil; whole != change.whole || resp.ContentLength != size {
				t.Errorf("%s, %s: %d of %d bytes, %v", name, change.what, n+1, resp.ContentLength, err)
			}
		}
	}
	e.scraped(t, `weir_http_errors_total{listener="plain",reason="file_changed"} 2`)
	e.scraped(t, `weir_http_errors_total{listener="https",reason="file_changed"} 6`)
}

// TestFilesReadInSmallPieces: a client that reads a large file a little at a time, and gives the window back as often, is no flood.
func TestFilesReadInSmallPieces(t *testing.T) {
	const size = 8 << 20
	e := newWebEdge(t, webText{}, map[string]string{"web/large.bin": lengthy(size)})
	for name, c := range e.clients() {
		resp, err := c.Get("http://localhost/web/large.bin")
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{resp.Body}, make([]byte, 4<<10))
		_ = resp.Body.Close()
		if n != size || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
}

// TestFilesBehindGuards: access lists, limits and logins come before the disk, and what not everybody may have is private.
func TestFilesBehindGuards(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	// "secret", by bcrypt with the least cost.
	if err := os.WriteFile(users, []byte("ann:$2a$04$wlBG2dGY0TTjRYSfi5L3TOYmCNAVxjbYZbcIvHfOCyxqvH8rY.U2y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	top := "[limit.one]\nrate = \"1/h\"\nkey = \"route\"\n[access.nobody]\ndeny = [\"127.0.0.0/8\"]\n"
	e := newWebEdge(t, webText{route: "limits = [\"one\"]\n", top: top}, map[string]string{"web/a.txt": "text"})
	c := e.clients()["plain"]
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
		if a := askWeb(t, c, "GET", "/web/a.txt"); a.StatusCode != want || len(a.Header.Values("Cache-Control")) != 1 {
			t.Errorf("%d %v, want %d", a.StatusCode, a.Header, want)
		}
	}
	e.reload(webText{route: "access = [\"nobody\"]\n", top: top})
	if a := askWeb(t, c, "GET", "/web/a.txt"); a.StatusCode != http.StatusForbidden {
		t.Errorf("denied: %d", a.StatusCode)
	}
	e.reload(webText{route: "access = [\"all\"]\n", top: top + "[access.all]\nallow = [\"0.0.0.0/0\"]\n"})
	if a := askWeb(t, c, "GET", "/web/a.txt"); a.StatusCode != http.StatusOK || a.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("allowed: %d %v", a.StatusCode, a.Header)
	}
	e.reload(webText{route: "auth = \"staff\"\n", top: top + "[auth.staff]\ntype = \"basic\"\nusers_file = \"" + users + "\"\n"})
	if a := askWeb(t, c, "GET", "/web/a.txt"); a.StatusCode != http.StatusUnauthorized || strings.Contains(a.body, "text") {
		t.Errorf("without a login: %d %q", a.StatusCode, a.body)
	}
}

// TestFilesReload: folders come and go with their routes, and nothing of them stays open; what is being sent is sent to its end.
func TestFilesReload(t *testing.T) {
	const size = 8 << 20
	e := newWebEdge(t, webText{}, map[string]string{"web/large.bin": lengthy(size), "web/a.txt": "one"})
	c := e.clients()["plain"]
	resp, err := c.Get("http://localhost/web/large.bin")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first, second := e.root, t.TempDir()
	putFile(t, filepath.Join(second, "web", "a.txt"), "two")
	before := openFiles(t)
	for range 20 {
		e.root = second
		e.reload(webText{})
		if a := askWeb(t, c, "GET", "/web/a.txt"); a.body != "two" {
			t.Errorf("the second folder: %q", a.body)
		}
		e.root = first
		e.reload(webText{})
		if a := askWeb(t, c, "GET", "/web/a.txt"); a.body != "one" {
			t.Errorf("the first folder: %q", a.body)
		}
	}
	eventually(t, "the folders to be closed", func() bool { return openFiles(t) <= before+5 }) // connections of the admin client and this one's second
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("over reloads: %d bytes, %v", n, err)
	}
	e.root = filepath.Join(first, "nowhere")
	e.write(e.text(webText{}.quic(e.root)))
	if answer := e.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", ""); !strings.Contains(answer, "no such file") {
		t.Errorf("a folder that is not there: %s", answer)
	}
	if a := askWeb(t, c, "GET", "/web/a.txt"); a.body != "one" {
		t.Errorf("after a refused reload: %q", a.body)
	}
}

// TestFilesExchanged: a folder that a deploy exchanges is served without a reload.
func TestFilesExchanged(t *testing.T) {
	e := newWebEdge(t, webText{}, map[string]string{"releases/1/web/a.txt": "one", "releases/2/web/a.txt": "two"})
	releases, current := e.root, filepath.Join(e.root, "current")
	if err := os.Symlink("releases/1", current); err != nil {
		t.Fatal(err)
	}
	e.root = current
	e.reload(webText{})
	c := e.clients()["plain"]
	if a := askWeb(t, c, "GET", "/web/a.txt"); a.body != "one" {
		t.Errorf("%q", a.body)
	}
	if err := os.Symlink("releases/2", filepath.Join(releases, "next")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(releases, "next"), current); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new release", func() bool { return askWeb(t, c, "GET", "/web/a.txt").body == "two" })
}

// TestFilesExplained: explain says which file it would be, by the same search.
func TestFilesExplained(t *testing.T) {
	e := newWebEdge(t, webText{files: ", fallback = \"web/index.html\""}, map[string]string{"web/index.html": "page", "web/sub/index.html": "sub", "web/.env": "x"})
	for _, c := range []struct{ request, outcome, why string }{
		{`{"url":"http://a/web/"}`, "file web/index.html", "found below root"},
		{`{"url":"http://a/web/sub"}`, "308 to /web/sub/", "slash"},
		{`{"url":"http://a/web/deep","headers":[{"name":"Accept","value":"text/html"}]}`, "file web/index.html", "fallback"},
		{`{"url":"http://a/web/deep"}`, "404 file_not_found", "no such file"},
		{`{"url":"http://a/web/.env"}`, "404 file_refused", "file refused"},
		{`{"method":"POST","url":"http://a/web/"}`, "405 method not allowed", "GET and HEAD"},
	} {
		answer := e.call(http.StatusOK, "POST", "/v1/explain", c.request)
		if !strings.Contains(answer, `"outcome":"`+c.outcome+`"`) && !strings.Contains(answer, `"outcome": "`+c.outcome+`"`) || !strings.Contains(answer, c.why) {
			t.Errorf("%s: %s, want %s, %s", c.request, answer, c.outcome, c.why)
		}
	}
}

// TestFilesManyRequests: requests on one connection, in a row and pipelined, do not get into each other's way; a body that a GET brings is no file's business.
func TestFilesManyRequests(t *testing.T) {
	large := lengthy(200 << 10)
	e := newWebEdge(t, webText{}, map[string]string{"web/a.txt": "0123456789", "web/large.bin": large})
	for _, secure := range []bool{false, true} {
		conn := e.dialWeb(t, secure)
		r := bufio.NewReader(conn)
		const one = "GET /web/a.txt HTTP/1.1\r\nHost: a\r\n\r\n"
		if _, err := io.WriteString(conn, one+"GET /web/large.bin HTTP/1.1\r\nHost: a\r\n\r\n"+one+"HEAD /web/large.bin HTTP/1.1\r\nHost: a\r\n\r\n"+
			"GET /web/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"+"GET /web/none HTTP/1.1\r\nHost: a\r\n\r\n"+"GET /web/a.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=20-\r\n\r\n"+one); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"0123456789", large, "0123456789", "", "0123456789", "404", "416", "0123456789"} {
			method := "GET"
			if i == 3 {
				method = "HEAD"
			}
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			if err != nil {
				t.Fatalf("TLS %v, answer %d: %v", secure, i, err)
			}
			b, err := io.ReadAll(resp.Body)
			if err != nil || resp.Close || string(b) != want && fmt.Sprint(resp.StatusCode) != want {
				t.Errorf("TLS %v, answer %d: %d, %d bytes, close %v, %v", secure, i, resp.StatusCode, len(b), resp.Close, err)
			}
		}
	}
}

// TestFilesOfASlowClient: one that reads nothing is given up after write_timeout, and holds no turn at the disk meanwhile.
func TestFilesOfASlowClient(t *testing.T) {
	root := t.TempDir()
	putFile(t, filepath.Join(root, "large.bin"), lengthy(8<<20))
	putFile(t, filepath.Join(root, "a.txt"), "text")
	r, _, _ := started(t, func(dir, upstream string) string {
		return "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"off\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\nwrite_timeout = \"1s\"\n" +
			"[[route]]\nfiles = { root = \"" + root + "\" }\n"
	})
	for range 70 { // more than there are turns
		c := connect(t, r.address)
		defer c.conn.Close()
		if _, err := io.WriteString(c.conn, "GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(60 * time.Second))
		if _, err := c.r.ReadByte(); err != nil {
			t.Fatal(err)
		}
	}
	if a := say(t, r.address, "GET /a.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasSuffix(a, "\r\n\r\ntext") {
		t.Errorf("beside them: %q", a)
	}
	eventually(t, "all of them to be given up", func() bool {
		given := 0
		for line := range strings.Lines(r.call(http.StatusOK, "GET", "/metrics", "")) {
			for _, reason := range []string{"client_write_timeout", "client_read_slow"} { // by when its last byte went
				var n int
				if rest, ok := strings.CutPrefix(line, `weir_http_errors_total{listener="http",reason="`+reason+`"} `); ok {
					_, _ = fmt.Sscan(rest, &n)
					given += n
				}
			}
		}
		return given == 70
	})
}
