package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/valor-ivx/weir/proxy/compress"
)

// inflate undoes a coding as it comes in; an empty coding is none.
func inflate(t *testing.T, coding string, r io.Reader) (io.Reader, error) {
	t.Helper()
	switch coding {
	case "zstd":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20)) // what browsers take (RFC 9659)
		t.Cleanup(z.Close)
		return z, err
	case "br":
		return brotli.NewReader(r), nil
	case "gzip":
		return gzip.NewReader(r)
	}
	return r, nil
}

// inflated reads a body to its end; what is broken is an error.
func inflated(t *testing.T, coding string, r io.Reader) (string, error) {
	t.Helper()
	r, err := inflate(t, coding, r)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// items is JSON of about n bytes.
func items(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < min(n, 64<<10); i++ {
		fmt.Fprintf(&b, `{"id":%d,"name":"item %x","price":%d.5},`, i, i*7919, i%97)
	}
	return "[" + strings.Repeat(b.String(), (n+b.Len()-1)/b.Len()) + "null]"
}

// newPress is an edge that compresses what a service and the files below /web are answered with.
func newPress(t *testing.T, compress string, service http.HandlerFunc, files map[string]string) *webEdge {
	t.Helper()
	e := &webEdge{root: t.TempDir()}
	for name, text := range files {
		putFile(t, filepath.Join(e.root, name), text)
	}
	o := webText{}.quic(e.root)
	o.route = "compress = " + compress + "\n"
	o.top = "[[route]]\nname = \"web\"\npath = \"/web\"\nhost = [\"localhost\"]\nfiles = { root = \"" + e.root + "\" }\ncompress = " + compress + "\n"
	e.quicEdge = newQUICEdge(t, o, service)
	e.plain = e.status().Listeners[1].Address
	return e
}

// presses answers with items in the ways that services do.
func presses(w http.ResponseWriter, r *http.Request) {
	h, body := w.Header(), items(16<<10)
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	switch r.URL.Path {
	case "/tagged":
		if h.Set("ETag", `"v1"`); strings.Contains(r.Header.Get("If-None-Match"), `"v1"`) {
			h.Del("Content-Type")
			h.Del("Content-Length")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		h.Set("Accept-Ranges", "bytes")
		h.Set("Vary", "Origin")
	case "/chunks":
		h.Del("Content-Length")
		for i := 0; i < len(body); i += 5000 {
			_, _ = io.WriteString(w, body[i:min(i+5000, len(body))])
			w.(http.Flusher).Flush()
		}
		return
	case "/trailer":
		h.Del("Content-Length")
		h.Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, body)
		h.Set("X-Sum", "42")
		return
	case "/nothing":
		h.Del("Content-Length")
		w.(http.Flusher).Flush() // chunks, of which there are none
		return
	case "/short":
		body = `{"short":true}`
		h.Set("Content-Length", strconv.Itoa(len(body)))
	case "/large":
		body = items(1 << 20)
		h.Set("Content-Length", strconv.Itoa(len(body)))
	case "/packed":
		h.Set("Content-Type", "image/png")
	case "/coded":
		h.Set("Content-Encoding", "x-own")
	case "/vouched":
		h.Set("Repr-Digest", "sha-256=:AAAA:")
	case "/kept":
		h.Set("Cache-Control", "no-transform")
	case "/missing":
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, body)
}

// TestCompressByEveryProtocol: what is compressed arrives whole, with a head that says so, by every protocol and in every coding; what is not to be compressed is the upstream's own, byte for byte.
func TestCompressByEveryProtocol(t *testing.T) {
	script := "let x = 1;\n" + items(200<<10)
	e := newPress(t, `["zstd", "br", "gzip"]`, presses, map[string]string{
		"web/app.js": script, "web/app.css": script, "web/app.css.gz": "gzipped by somebody", "web/small.js": "x", "web/photo.png": script,
	})
	whole, large := items(16<<10), items(1<<20)
	coded := func(coding string) map[string]string {
		return map[string]string{"Content-Encoding": coding, "Content-Length": "", "Vary": "Accept-Encoding"}
	}
	plainly := map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding", "Content-Length": strconv.Itoa(len(whole))}
	left := map[string]string{"Content-Encoding": "", "Vary": "", "Content-Length": strconv.Itoa(len(whole))}
	for name, c := range e.clients() {
		for _, q := range []struct {
			method, path, accept string
			fields               []string
			status               int
			body                 string
			want                 map[string]string
		}{
			{"GET", "/json", "zstd", nil, 200, whole, coded("zstd")}, {"GET", "/json", "br", nil, 200, whole, coded("br")}, {"GET", "/json", "gzip", nil, 200, whole, coded("gzip")},
			{"GET", "/json", "gzip, deflate, br, zstd", nil, 200, whole, coded("zstd")}, {"GET", "/json", "gzip, br;q=0.5, zstd;q=0", nil, 200, whole, coded("gzip")},
			{"GET", "/json", "", nil, 200, whole, plainly}, {"GET", "/json", "deflate, identity", nil, 200, whole, plainly}, {"GET", "/json", "gzip;q=0", nil, 200, whole, plainly},
			{"POST", "/json", "br", nil, 200, whole, coded("br")}, {"HEAD", "/json", "br", nil, 200, "", coded("br")}, {"HEAD", "/json", "", nil, 200, "", plainly},
			{"GET", "/chunks", "zstd", nil, 200, whole, coded("zstd")}, {"GET", "/chunks", "", nil, 200, whole, map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding"}},
			{"GET", "/trailer", "gzip", nil, 200, whole, coded("gzip")}, {"GET", "/nothing", "zstd", nil, 200, "", coded("zstd")}, {"GET", "/nothing", "br", nil, 200, "", coded("br")}, {"GET", "/nothing", "gzip", nil, 200, "", coded("gzip")},
			{"GET", "/large", "zstd", nil, 200, large, coded("zstd")},
			{"GET", "/missing", "gzip", nil, 404, whole, coded("gzip")},
			{"GET", "/short", "gzip", nil, 200, `{"short":true}`, map[string]string{"Content-Encoding": "", "Vary": "", "Content-Length": "14"}},
			{"GET", "/packed", "gzip", nil, 200, whole, left}, {"GET", "/vouched", "gzip", nil, 200, whole, left}, {"GET", "/kept", "gzip", nil, 200, whole, left},
			{"GET", "/json", "gzip", []string{"Range", "bytes=0-9"}, 200, whole, left}, {"GET", "/json", "gzip", []string{"Cache-Control", "no-transform"}, 200, whole, left},
			{"GET", "/tagged", "br", nil, 200, whole, map[string]string{"Content-Encoding": "br", "ETag": `W/"v1"`, "Accept-Ranges": "", "Vary": "Origin, Accept-Encoding"}},
			{"GET", "/tagged", "", nil, 200, whole, map[string]string{"Content-Encoding": "", "ETag": `"v1"`, "Accept-Ranges": "bytes", "Vary": "Origin, Accept-Encoding"}},
			{"GET", "/tagged", "br", []string{"If-None-Match", `W/"v1"`}, 304, "", map[string]string{"Content-Encoding": "", "ETag": `W/"v1"`, "Vary": "Accept-Encoding"}},
			{"GET", "/tagged", "", []string{"If-None-Match", `"v1"`}, 304, "", map[string]string{"ETag": `"v1"`, "Vary": "Accept-Encoding"}},
			{"GET", "/web/app.js", "br", nil, 200, script, map[string]string{"Content-Encoding": "br", "Content-Length": "", "Accept-Ranges": "", "Vary": "Accept-Encoding", "Content-Type": "text/javascript; charset=utf-8"}},
			{"GET", "/web/app.js", "", nil, 200, script, map[string]string{"Content-Encoding": "", "Accept-Ranges": "bytes", "Vary": "Accept-Encoding", "Content-Length": strconv.Itoa(len(script))}},
			{"HEAD", "/web/app.js", "zstd", nil, 200, "", map[string]string{"Content-Encoding": "zstd", "Content-Length": ""}},
			{"GET", "/web/app.js", "gzip", []string{"Range", "bytes=0-9"}, 206, script[:10], map[string]string{"Content-Encoding": "", "Content-Length": "10"}},
			{"GET", "/web/small.js", "gzip", nil, 200, "x", map[string]string{"Content-Encoding": "", "Vary": "Accept-Encoding"}},
			{"GET", "/web/photo.png", "gzip", nil, 200, script, map[string]string{"Content-Encoding": "", "Vary": ""}},
		} {
			fields := q.fields
			if q.accept != "" {
				fields = append(fields, "Accept-Encoding", q.accept)
			}
			a := askWeb(t, c, q.method, q.path, fields...)
			body, err := "", a.err
			if a.body != "" { // of a HEAD and a 304 there is nothing to undo
				body, err = inflated(t, a.Header.Get("Content-Encoding"), strings.NewReader(a.body))
			}
			if a.StatusCode != q.status || err != nil || body != q.body {
				t.Errorf("%s: %s %s for %q: %d, %d bytes %.60q, %v; want %d, %d bytes", name, q.method, q.path, q.accept, a.StatusCode, len(body), body, err, q.status, len(q.body))
			}
			if want := q.want["Content-Encoding"]; want != "" && q.body != "" && len(a.body) > len(q.body)/2 {
				t.Errorf("%s: %s for %q: %d bytes of %d", name, q.path, q.accept, len(a.body), len(q.body))
			}
			for field, want := range q.want {
				if values := a.Header.Values(field); strings.Join(values, "|") != want {
					t.Errorf("%s: %s %s for %q: %s %q, want %q", name, q.method, q.path, q.accept, field, values, want)
				}
			}
			if q.path == "/trailer" && a.Trailer.Get("X-Sum") != "42" {
				t.Errorf("%s: trailers %v", name, a.Trailer)
			}
		}
		tag := askWeb(t, c, "GET", "/web/app.js", "Accept-Encoding", "br").Header.Get("ETag")
		again := askWeb(t, c, "GET", "/web/app.js", "Accept-Encoding", "br", "If-None-Match", tag)
		if !strings.HasPrefix(tag, `W/"`) || again.StatusCode != 304 || again.Header.Get("ETag") != tag {
			t.Errorf("%s: a file of tag %s: %d, tag %s", name, tag, again.StatusCode, again.Header.Get("ETag"))
		}
		if a := askWeb(t, c, "GET", "/coded", "Accept-Encoding", "gzip"); a.body != whole || a.Header.Get("Content-Encoding") != "x-own" {
			t.Errorf("%s: a body that is coded: %d bytes, %v", name, len(a.body), a.Header)
		}
		if a := askWeb(t, c, "GET", "/web/app.css", "Accept-Encoding", "gzip, br"); a.body != "gzipped by somebody" || a.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: a sibling: %.20q, %v", name, a.body, a.Header)
		}
	}
}

// TestCompressIsCounted: bytes before and behind by coding, and what the log says was sent is what went over the wire.
func TestCompressIsCounted(t *testing.T) {
	e := newPress(t, `["br", "gzip"]`, presses, nil)
	c := e.clients()["plain"]
	a := askWeb(t, c, "GET", "/json", "Accept-Encoding", "gzip")
	_ = askWeb(t, c, "HEAD", "/head", "Accept-Encoding", "gzip")
	if line := e.logged("/json"); line["http.response.body.bytes"] != float64(len(a.body)) {
		t.Errorf("%d bytes came, logged %v", len(a.body), line)
	}
	if line := e.logged("/head"); line["http.response.body.bytes"] != float64(0) {
		t.Errorf("logged of a HEAD %v", line)
	}
	for series, want := range map[string]int{`responses_total{coding="gzip"`: 1, `input_bytes_total{coding="gzip"`: len(items(16 << 10)), `output_bytes_total{coding="gzip"`: len(a.body), `responses_total{coding="br"`: 0} {
		e.scraped(t, fmt.Sprintf(`weir_compress_%s,route="all"} %d`, series, want))
	}
	steps := e.call(http.StatusOK, "POST", "/v1/explain", `{"method": "GET", "url": "https://localhost/json", "headers": [{"name": "Accept-Encoding", "value": "zstd, gzip"}]}`)
	if !strings.Contains(steps, "compress gzip") {
		t.Errorf("explained: %s", steps)
	}
	o := webText{}.quic(e.root)
	e.write(e.text(o)) // which has no compress
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if a := askWeb(t, c, "GET", "/json", "Accept-Encoding", "gzip"); a.Header.Get("Content-Encoding") != "" || a.body != items(16<<10) || a.Header.Get("Vary") != "" {
		t.Errorf("without compress: %v", a.Header)
	}
	if v := e.metric(`weir_compress_responses_total{coding="gzip",route="all"}`); v != "" {
		t.Errorf("still counted: %s", v)
	}
}

// TestCompressHTTP10: what it would take for a whole answer may be a broken one, so it gets what the upstream sends.
func TestCompressHTTP10(t *testing.T) {
	e := newPress(t, `["gzip"]`, presses, nil)
	a := say(t, e.plain, "GET /json HTTP/1.0\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n")
	head, body, _ := strings.Cut(a, "\r\n\r\n")
	if body != items(16<<10) || strings.Contains(head, "Content-Encoding") {
		t.Errorf("%s, %d bytes", head, len(body))
	}
}

// TestCompressStreams: each part of an answer that comes bit by bit can be read before the upstream says the next, by every protocol and in every coding; an event stream is not coded.
func TestCompressStreams(t *testing.T) {
	next := make(chan string)
	e := newPress(t, `["zstd", "br", "gzip"]`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("X-Type"))
		for part := range 4 {
			_, _ = fmt.Fprintf(w, "part %d\n", part)
			w.(http.Flusher).Flush()
			if word := <-next; word != "go on" {
				return
			}
		}
	}, nil)
	for name, c := range e.clients() {
		for _, q := range []struct{ kind, accept, coding string }{
			{"text/plain", "zstd", "zstd"}, {"text/plain", "br", "br"}, {"text/plain", "gzip", "gzip"}, {"text/event-stream", "zstd, br, gzip", ""}, {"text/plain", "identity", ""},
		} {
			req, _ := http.NewRequest("GET", "http://localhost/stream", nil)
			req.Header.Set("X-Type", q.kind)
			req.Header.Set("Accept-Encoding", q.accept)
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Header.Get("Content-Encoding") != q.coding {
				t.Errorf("%s: %s for %s: %v", name, q.kind, q.accept, resp.Header)
			}
			text, err := inflate(t, q.coding, resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(text)
			for part := range 4 {
				if line, err := r.ReadString('\n'); line != fmt.Sprintf("part %d\n", part) || err != nil {
					t.Fatalf("%s: %s for %s, part %d: %q, %v", name, q.kind, q.accept, part, line, err)
				}
				next <- "go on"
			}
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("%s: %s for %s: behind the end %q, %v", name, q.kind, q.accept, rest, err)
			}
			_ = resp.Body.Close()
		}
	}
}

// TestCompressBroken: an answer that breaks off upstream breaks off for the client, by its protocol and in its coding.
func TestCompressBroken(t *testing.T) {
	seen := make(chan struct{}) // the client has the head, which a reset would throw away
	e := newPress(t, `["zstd", "br", "gzip"]`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "1000000")
		}
		_, _ = io.WriteString(w, items(100<<10))
		w.(http.Flusher).Flush()
		<-seen
		panic(http.ErrAbortHandler)
	}, nil)
	for name, c := range e.clients() {
		for _, path := range []string{"/length", "/chunks"} {
			for _, coding := range []string{"zstd", "br", "gzip"} {
				resp := e.open(t, c, path, coding)
				seen <- struct{}{}
				b, err := io.ReadAll(resp.Body)
				if err == nil || resp.Header.Get("Content-Encoding") != coding {
					t.Errorf("%s: %s in %s: %v, %v", name, path, coding, resp.Header, err)
				}
				if _, err := inflated(t, coding, bytes.NewReader(b)); err == nil {
					t.Errorf("%s: %s in %s looks whole to a decoder", name, path, coding)
				}
				_ = resp.Body.Close()
			}
		}
	}
	e.scraped(t, `weir_http_errors_total{listener="plain",reason="http_response_incomplete"} 6`)
}

// open asks for a path in a coding, and leaves the body to the caller.
func (e *webEdge) open(t *testing.T, c *http.Client, path, coding string) *http.Response {
	t.Helper()
	req, err := http.NewRequest("GET", "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", coding)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestCompressCrowd: those beyond what is compressed at a time get the answer as it is, and are counted. When all leave in the middle nothing stays taken: the next one is compressed for.
func TestCompressCrowd(t *testing.T) {
	left, more := make(chan struct{}), items(16<<10)
	e := newPress(t, `["gzip"]`, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "begun\n")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/short" {
			return
		}
		for <-left; r.Context().Err() == nil; { // that nobody reads any more is found by writing
			_, _ = io.WriteString(w, more)
		}
	}, nil)
	c := e.clients()["plain"]
	var there []*http.Response
	for i := range compress.AtOnce + 2 {
		resp := e.open(t, c, "/held", "gzip")
		there = append(there, resp)
		if coding := resp.Header.Get("Content-Encoding"); (coding == "gzip") != (i < compress.AtOnce) || resp.Header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("number %d: %v", i, resp.Header)
		}
	}
	e.scraped(t, `weir_compress_responses_total{coding="none",route="all"} 2`)
	for _, resp := range there {
		_ = resp.Body.Close()
	}
	close(left)
	e.scraped(t, fmt.Sprintf(`weir_compress_responses_total{coding="gzip",route="all"} %d`, compress.AtOnce))
	a := e.open(t, c, "/short", "gzip")
	if body, err := inflated(t, a.Header.Get("Content-Encoding"), a.Body); a.Header.Get("Content-Encoding") != "gzip" || body != "begun\n" || err != nil {
		t.Errorf("after them: %v, %q, %v", a.Header, body, err)
	}
}
