package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
)

// mirror answers with what it was sent, and tells in fields what it saw.
func mirror(w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
	w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.URL, r.Host, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Cookie")))
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("Trailer", "X-End, X-Back")
	_, _ = io.Copy(w, r.Body)
	w.Header().Set("X-End", "over")
	w.Header().Set("X-Back", r.Trailer.Get("X-Forth"))
}

// TestHTTP3: methods, bodies of all sizes with and without a length, fields, trailers both ways, identity, security fields, log and metrics.
func TestHTTP3(t *testing.T) {
	e := newQUICEdge(t, quicText{}, mirror)
	c := e.client3()
	for _, size := range []int{0, 1, 1000, 16 << 10, 64 << 10, 100 << 10, 3 << 20} {
		for _, known := range []bool{true, false} {
			data := bytes.Repeat([]byte("weir"), (size+3)/4)[:size]
			req, _ := http.NewRequest("POST", e.url("/a/b?c=d"), bytes.NewReader(data))
			if !known {
				req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(data)), -1
				req.Trailer = http.Header{"X-Forth": {"forth"}}
			}
			req.Header["Cookie"] = []string{"a=1", "b=2"}
			resp, err := c.Do(req)
			if err != nil {
				t.Fatalf("%d %t: %v", size, known, err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			host := req.URL.Host
			want := "POST /a/b?c=d " + host + " https 127.0.0.1 a=1; b=2"
			if err != nil || !bytes.Equal(got, data) || resp.ProtoMajor != 3 || resp.Header.Get("X-Seen") != want {
				t.Errorf("%d %t: %d bytes, %v, %s %q, want %q", size, known, len(got), err, resp.Proto, resp.Header.Get("X-Seen"), want)
			}
			if known && resp.Header.Get("X-Length") != fmt.Sprint(size) {
				t.Errorf("%d: length %s", size, resp.Header.Get("X-Length"))
			}
			if resp.Trailer.Get("X-End") != "over" || !known && size > 0 && resp.Trailer.Get("X-Back") != "forth" {
				t.Errorf("%d %t: trailers %q", size, known, resp.Trailer)
			}
			if resp.Header.Get("Strict-Transport-Security") == "" || resp.Header.Get("X-Content-Type-Options") != "nosniff" || len(resp.Header.Get("X-Request-Id")) != 32 || resp.Header.Get("Alt-Svc") != "" {
				t.Errorf("fields %v", resp.Header)
			}
		}
	}
	resp, body, err := fetch(c, "HEAD", e.url("/head"), nil)
	if err != nil || resp.StatusCode != http.StatusOK || len(body) != 0 || resp.Header.Get("X-Length") != "0" {
		t.Errorf("HEAD: %v %v", resp, err)
	}
	if l := e.logged("/head"); l["http.version"] != "3" || l["tls.version"] != "1.3" || l["client.ip"] != "127.0.0.1" || l["url.scheme"] != "https" {
		t.Errorf("logged %v", l)
	}
	e.scraped(t, `weir_http_requests_total{code="200",listener="https",method="POST",proto="HTTP/3.0",route="all"} 14`)
	e.scraped(t, `weir_connections{listener="https",state="idle"} 1`)
}

// TestAltSvc: answers over TLS on TCP say where HTTP/3 is, and that is where it is; those on HTTP/3 do not, nor those of listeners without it.
func TestAltSvc(t *testing.T) {
	e := newQUICEdge(t, quicText{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Alt-Svc", "clear")
		}
	})
	for _, h1 := range []bool{true, false} {
		c := e.tcp(h1)
		for path, want := range map[string]string{"/": `h3=":` + port(e.address) + `"; ma=86400`, "/own": "clear"} {
			resp, _, err := fetch(c, "GET", e.url(path), nil)
			if err != nil || resp.Header.Get("Alt-Svc") != want || len(resp.Header["Alt-Svc"]) != 1 {
				t.Errorf("http/1.1 %t %s: %v %v", h1, path, resp, err)
			}
		}
	}
	if resp, _, err := fetch(e.client3(), "GET", e.url("/"), nil); err != nil || resp.ProtoMajor != 3 || resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("there: %v %v", resp, err)
	}
	e.write(e.text(quicText{top: "[headers.mine]\nset = { \"Alt-Svc\" = \"mine\" }", route: "headers = \"mine\""}))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if resp, _, err := fetch(e.tcp(false), "GET", e.url("/"), nil); err != nil || len(resp.Header["Alt-Svc"]) != 1 || resp.Header.Get("Alt-Svc") != "mine" {
		t.Errorf("policy: %v %v", resp, err)
	}
	e.write(e.text(quicText{protocols: `["http/1.1", "h2"]`}))
	e.call(http.StatusOK, "POST", "/v1/reload", "")
	if resp, _, err := fetch(e.tcp(false), "GET", e.url("/"), nil); err != nil || resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("without h3: %v %v", resp, err)
	}
}
