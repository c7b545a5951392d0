package nginx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/configs/nginx"
)

// memory is files of a test.
type memory fstest.MapFS

func (m memory) ReadFile(name string) ([]byte, error) {
	return fs.ReadFile(fstest.MapFS(m), strings.TrimPrefix(name, "/"))
}

func (m memory) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(fstest.MapFS(m), strings.TrimPrefix(pattern, "/"))
	for i := range names {
		names[i] = "/" + names[i]
	}
	return names, err
}

// importText translates one file.
func importText(text string, more map[string]string) (*nginx.Result, error) {
	m := memory{"etc/nginx.conf": {Data: []byte(text)}}
	for name, data := range more {
		m["etc/"+name] = &fstest.MapFile{Data: []byte(data)}
	}
	return nginx.Import("/etc/nginx.conf", nginx.Options{Files: m})
}

// syntax is text and whether nginx starts with it. The good ones say nothing, so that only their syntax is tried.
type syntax struct {
	name, text string
	refused    string // what our error says; "" where nginx takes it
}

func syntaxes() []syntax {
	const events = "events {}\n"
	long := strings.Repeat("x", 4095)
	return []syntax{
		{"good", events + "http { log_format a b; }", ""},
		{"crlf", "events {\r\n}\r\nhttp {\r\n}\r\n", ""},
		{"one line", "events{}http{log_format a b;}", ""},
		{"quotes", events + `http { log_format a 'it"s' "it's" "a\"b" 'a\'b' a\ b; }`, ""},
		{"empty words", events + `http { log_format a "" ''; }`, ""},
		{"comment at the end", events + "http {} # and no newline", ""},
		{"comment with quotes", events + "# it's \" {\nhttp {}", ""},
		{"hash inside of a word", events + "http { log_format a b#c; }", ""},
		{"semicolon in quotes", events + `http { log_format a "b;c{d}"; }`, ""},
		{"line break in quotes", events + "http { log_format a \"b\nc\"; }", ""},
		{"longest word", events + "http { log_format a " + long + "; }", ""},
		{"variable with braces", events + `http { log_format a "${uri}b" ${uri}; }`, ""},
		{"parenthesis behind a quote", events + `http { server { if ($uri = "x") { return 403; } } }`, ""},
		{"nul", events + "http { log_format a b\x00c; }", ""},

		{"empty block open", "events {", `expecting "}"`},
		{"block open at the end", events + "http { server {", `expecting "}"`},
		{"no semicolon", events + "http {} user", `expecting ";" or "}"`},
		{"no semicolon before brace", events + "http { log_format a b }", `unexpected "}"`},
		{"brace too many", events + "http {} }", `unexpected "}"`},
		{"brace alone", "{}", `unexpected "{"`},
		{"semicolon alone", events + ";", `unexpected ";"`},
		{"two semicolons", events + "http { log_format a b;; }", `unexpected ";"`},
		{"quote open", events + `http { log_format a "b; }`, `unexpected end of file`},
		{"quote and more", events + `http { log_format a "b"c; }`, `unexpected "c"`},
		{"quotes side by side", events + `http { log_format a "b""c"; }`, `unexpected "\""`},
		{"backslash at the end", events + `http {} \`, `unexpected end of file`},
		{"word too long", events + "http { log_format a " + long + "x; }", "too long parameter"},
		{"quoted word too long", events + `http { log_format a "` + long + `x"; }`, "too long parameter, probably missing terminating"},
		{"comment too long", events + "#" + long + "x\nhttp {}", "too long parameter"},
		{"byte order mark", "\ufeffevents {}\nhttp {}", "unknown directive"},
		{"binary", "\x7fELF\x02\x01\x01\x00\x00;", "unknown directive"},
		{"include of nothing", events + "include;", "include takes one file"},
		{"include of two", events + "include a b;", "include takes one file"},
		{"include of a block", events + "include a {}", "include takes one file"},
		{"include that is not there", events + "include not-there.conf;", "open /etc/not-there.conf"},
		{"include of a folder", events + "include .;", "open /etc"},
	}
}

// TestLexerRefuses: what nginx does not take is an error at a position, and what it takes is none.
func TestLexerRefuses(t *testing.T) {
	for _, s := range syntaxes() {
		_, err := importText(s.text, nil)
		if errors.Is(err, nginx.ErrNothing) {
			err = nil
		}
		var at *nginx.Error
		switch {
		case s.refused == "" && err != nil:
			t.Errorf("%s: %v", s.name, err)
		case s.refused != "" && !errors.As(err, &at):
			t.Errorf("%s: %v, want an error with a position", s.name, err)
		case s.refused != "" && (!strings.Contains(at.Message, s.refused) || !regexp.MustCompile(`^/etc/nginx\.conf:\d+:\d+$`).MatchString(at.Place)):
			t.Errorf("%s: %v, want %q", s.name, err, s.refused)
		}
	}
}

// TestNginxSaysTheSame: what we refuse nginx refuses, and what we take it takes.
func TestNginxSaysTheSame(t *testing.T) {
	program := needNginx(t)
	for _, s := range syntaxes() {
		dir := t.TempDir()
		file := filepath.Join(dir, "nginx.conf")
		if err := os.WriteFile(file, []byte(s.text), 0o644); err != nil {
			t.Fatal(err)
		}
		said, ok := nginxSays(t, program, dir, file)
		if ok != (s.refused == "") {
			t.Errorf("%s: nginx says %q, we say %q", s.name, said, s.refused)
		}
	}
}

// TestPlaces: positions are of the first word, in characters.
func TestPlaces(t *testing.T) {
	res, err := importText("events {}\nhttp {\n\t# ä\n\tserver { log_format ä b; listen 80;\n  location / { proxy_pass http://127.0.0.1:1; } }\n}", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range res.Report {
		got = append(got, strings.TrimPrefix(e.Place, "/etc/nginx.conf:")+" "+strings.Fields(e.Directive)[0])
	}
	want := "1:1 events, 2:1 http, 4:2 server, 4:11 log_format, 4:27 listen, 5:3 location, 5:16 proxy_pass"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

// TestIncludes: relative to the main file's folder, globs sorted, each file with its own braces, loops found.
func TestIncludes(t *testing.T) {
	const site = "server { listen 80; server_name %s; location / { proxy_pass http://127.0.0.1:1; } }"
	res, err := importText("events {}\nhttp { include sites/*.conf; include none/*.conf; }", map[string]string{
		"sites/b.conf": fmt.Sprintf(site, "b.example.com"), "sites/a.conf": fmt.Sprintf(site, "a.example.com") + "include sub/x;", "sub/x": "# relative to nginx.conf\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := bytes.Index(res.TOML, []byte("a.example.com")), bytes.Index(res.TOML, []byte("b.example.com"))
	if a < 0 || b < a {
		t.Errorf("sites out of order:\n%s", res.TOML)
	}
	for _, c := range []struct {
		name, text, want string
		more             map[string]string
	}{
		{"itself", "include nginx.conf;", "/etc/nginx.conf includes itself", nil},
		{"in a circle", "include a;", "/etc/a includes itself", map[string]string{"a": "include b;", "b": "include a;"}},
		{"open block", "http { include a; }", `expecting "}"`, map[string]string{"a": "server {"}},
		{"closes another file's block", "http { include a; }", `unexpected "}"`, map[string]string{"a": "}"}},
	} {
		if _, err := importText("events {}\n"+c.text, c.more); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestLarge: files beyond all measure end in an error or a report, in time that grows with them.
func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of work under the race detector, and no goroutine in it")
	}
	server := "events {}\nhttp { server { listen 80 default_server; location / { proxy_pass http://127.0.0.1:1; }\n"
	for _, c := range []struct{ name, text, want string }{
		{"10 MB of blanks", server + strings.Repeat(" ", 10<<20) + "} }", ""},
		{"10 MB in one line", server + strings.Repeat("deny 192.0.2.1;"+strings.Repeat(" ", 49), 10<<20/64) + "} }", ""},
		{"600,000 directives", server + strings.Repeat("deny all;", 600_000) + "} }", "more than"},
		{"100,000 blocks in each other", strings.Repeat("a {", 100_000), "within each other"},
		{"33 MB", strings.Repeat(" ", 33<<20), "more than"},
	} {
		_, err := importText(c.text, nil)
		if errors.Is(err, nginx.ErrNothing) {
			err = nil
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzImport: nothing panics, errors have a position, and what comes out is a configuration of Weir that says the same of every directive when it is made again.
func FuzzImport(f *testing.F) {
	for _, e := range examples(f) {
		for _, file := range e.archive.Files {
			if file.Name == "nginx.conf" {
				f.Add(file.Data)
			}
		}
	}
	for _, s := range syntaxes() {
		f.Add([]byte(s.text))
	}
	pair := newPair(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		files := memory{"etc/nginx.conf": {Data: data}, "etc/mime.types": {Data: []byte("types { text/html html; }")}}
		res, err := nginx.Import("/etc/nginx.conf", nginx.Options{Files: files})
		var at *nginx.Error
		switch {
		case errors.As(err, &at):
			return
		case errors.Is(err, nginx.ErrNothing):
			if res == nil {
				t.Fatal("no report")
			}
			return
		case err != nil:
			t.Fatalf("an error without a position: %v", err)
		}
		for _, e := range res.Report {
			if (e.State == nginx.Translated) != (e.Note == "") || strings.ContainsAny(e.Directive+e.Note, "\n\r\x00") {
				t.Fatalf("%+v", e)
			}
		}
		opts := configs.Options{
			ReadFile: func(name string) ([]byte, error) {
				if strings.Contains(name, "key") {
					return pair[1], nil
				}
				return pair[0], nil
			},
			Stat: func(name string) (fs.FileInfo, error) {
				return fstest.MapFS{"d/f": {}}.Stat(map[bool]string{true: "d/f", false: "d"}[strings.HasSuffix(name, ".html")])
			},
		}
		if _, err := configs.Parse("weir.toml", res.TOML, opts); err != nil && !onlyFiles(err) {
			t.Fatalf("Weir does not take it:\n%v\n%s", err, res.TOML)
		}
	})
}

// onlyFiles reports errors that are about what is in files, which a fuzzer cannot provide.
func onlyFiles(err error) bool {
	for line := range strings.Lines(err.Error()) {
		if !regexp.MustCompile(`(root|fallback|cert|key|ca|crl) "|(root|fallback|cert|key|ca|crl) '`).MatchString(line) {
			return false
		}
	}
	return true
}
