package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// nginxCorpus are the configurations that package nginx is tried with.
func nginxCorpus(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	paths, err := filepath.Glob("../../configs/nginx/testdata/corpus/*.txtar")
	if err != nil || len(paths) < 25 {
		t.Fatalf("%d configurations, %v", len(paths), err)
	}
	corpus := map[string]*txtar.Archive{}
	for _, p := range paths {
		if corpus[strings.TrimSuffix(filepath.Base(p), ".txtar")], err = txtar.ParseFile(p); err != nil {
			t.Fatal(err)
		}
	}
	return corpus
}

// localPair is a certificate with its key in one file.
func localPair(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	if out, code := command(t, dir, nil, "certs", "local", "--out", dir, "example.com"); code != 0 {
		t.Fatalf("weir certs local: %s", out)
	}
	pair, err := os.ReadFile(filepath.Join(dir, "local.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(pair)
}

// unpackNginx writes a configuration's files into a folder, with a key pair.
func unpackNginx(t *testing.T, dir, pair string, archive *txtar.Archive, change func(string) string) {
	t.Helper()
	save(t, filepath.Join(dir, "cert.pem"), pair)
	save(t, filepath.Join(dir, "key.pem"), pair)
	for _, f := range archive.Files {
		if f.Name == "weir.toml" || f.Name == "report" {
			continue
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		save(t, path, change(string(f.Data)))
	}
}

// TestE2EImport: whatever the shipped binary makes of a configuration of nginx, the shipped binary takes.
func TestE2EImport(t *testing.T) {
	t.Parallel()
	pair := localPair(t)
	for name, archive := range nginxCorpus(t) {
		t.Run(name, func(t *testing.T) {
			dir := folder(t)
			unpackNginx(t, dir, pair, archive, func(s string) string { return s })
			out, code := command(t, dir, nil, "import", "nginx", "nginx.conf", "-o", "weir.toml")
			if code != 0 || strings.Contains(out, "weir check would say") {
				t.Fatalf("import: exit %d\n%s", code, out)
			}
			if out, code := command(t, dir, nil, "check", "-c", "weir.toml"); code != 0 {
				t.Errorf("check: exit %d\n%s", code, out)
			}
		})
	}
}

// asked is a request that nginx and weir are sent. differs is a part of the note in the report, or behind "docs: " of docs/import.md, that says why their answers are not the same; "" where
// they are.
type asked struct {
	host, path, accept string
	differs            string
}

// servedTheSame are corpus files and what is asked of them.
func servedTheSame() map[string][]asked {
	const loc, acc, hdr, cond = "locations.example.com", "access.example.com", "h.example.com", "if.example.com"
	return map[string][]asked{
		"precedence": {
			{loc, "/", "", ""}, {loc, "/index.html", "", ""}, {loc, "/documents/document.html", "", ""}, {loc, "/documents/1.jpg", "", ""}, {loc, "/images/1.gif", "", ""}, {loc, "/images/large/1.JPG", "", ""},
			{loc, "/x.JPG", "", ""}, {loc, "/user/ann", "", ""}, {loc, "/user/ann2", "", ""}, {loc, "/user/ann/", "", ""}, {loc, "/api", "", ""}, {loc, "/api/x?a=b", "", ""}, {loc, "/%61pi/x", "", "as the client wrote it"},
			{loc, "/apix", "", "whole segments: /api"}, {loc, "/with%20space/y", "", ""}, {loc, "/100%25/z", "", ""}, {loc, "/a/../documents/q", "", "docs: dot segments"}, {loc, "/documents", "", "asked for without the slash nginx redirects to it"},
		},
		"nested": {{"nested.example.com", "/app/", "", ""}, {"nested.example.com", "/app/a.png", "", ""}, {"nested.example.com", "/app/upload/f", "", ""}, {"nested.example.com", "/a.png", "", ""},
			{"nested.example.com", "/app/upload/a.png", "", ""}},
		"names": {{"example.org", "/", "", ""}, {"a.b.example.org", "/", "", ""}, {"EXAMPLE.ORG", "/", "", ""}, {"www.example.org", "/", "", ""}, {"unknown.test", "/", "", ""}, {"static.example.net", "/", "", ""},
			{"mail.example.com", "/", "", "a host is a name or *.name"}},
		"sites": {{"a.example.com", "/x", "", ""}, {"b.example.com", "/x", "", ""}, {"x.b.example.com", "/x", "", ""}, {"c.example.com", "/x", "", ""}, {"y.x.c.example.com", "/x", "", ""},
			{"unknown.test", "/", "", "hosts that no route names are answered 404 or 421"}},
		"access": {{acc, "/", "", ""}, {acc, "/office", "", ""}, {acc, "/officex", "", ""}, {acc, "/blocked/", "", ""}, {acc, "/private/x", "", ""}, {acc, "/a/.git/config", "", ""},
			{acc, "/.well-known/x", "", "without its look-around"}, {acc, "/secret.txt", "", "403 in place of 404"}, {acc, "/files/x", "", "403 in place of 404 for clients"}},
		"headers": {{hdr, "/", "", ""}, {hdr, "/vary/", "", ""}, {hdr, "/csp/", "", ""}, {hdr, "/own/", "", "X-Frame-Options is there twice"}},
		"spa": {{"app.example.com", "/", "text/html", ""}, {"app.example.com", "/deep/link", "text/html", ""}, {"app.example.com", "/api/users?page=2", "", ""}, {"app.example.com", "/missing.js", "", ""},
			{"app.example.com", "/deep/link", "application/json", "the page answers a GET that accepts text/html by name"}},
		"alias":   {{"files.example.com", "/", "", ""}, {"files.example.com", "/home.html", "", ""}, {"files.example.com", "/static/none.css", "", ""}},
		"quoting": {{"q.example.com", "/aaa", "", ""}, {"q.example.com", "/aaaa", "", ""}, {"q.example.com", "/semi;colon", "", ""}},
		"conditions": {{cond, "/", "", ""}, {cond, "/x?y=z", "", ""}, {cond, "/gone", "", "403 in place of 410"}, {cond, "/ping", "", "Weir answers no text of its own"},
			{cond, "/old/x", "", "Weir redirects to https and nowhere else"}, {cond, "/other/x", "", "Weir forwards the path as it came"}, {cond, "/blog/1", "", "Weir rewrites no paths"}},
		"variables": {{"var.example.com", "/b/x?y=z", "", ""}},
		"certbot":   {{"example.com", "/a?b=c", "", "308"}, {"unknown.test", "/", "", ""}},
		"mixed":     {{"old.example.com", "/", "", ""}, {"new.example.com", "/", "", "these hosts are served without TLS too"}},
	}
}

// TestE2EImportServesTheSame: nginx and a weir with the translated file, in front of the same services, answer the same, or the report says why not.
func TestE2EImportServesTheSame(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs nginx (make deps)")
		}
		t.Skip("skipped: needs nginx (make deps)")
	}
	pair, corpus := localPair(t), nginxCorpus(t)
	manual, err := os.ReadFile("../../docs/import.md") // what differs whatever the configuration says
	if err != nil {
		t.Fatal(err)
	}
	same, noted := 0, 0
	for _, name := range slices.Sorted(maps.Keys(servedTheSame())) {
		t.Run(name, func(t *testing.T) {
			services := newServices(t)
			render := func(dir string) (plain string) {
				plain = freeAddress(t)
				secure := freeAddress(t)
				unpackNginx(t, dir, pair, corpus[name], func(s string) string {
					s = regexp.MustCompile(`listen (8080|80)\b`).ReplaceAllString(s, "listen "+plain)
					s = regexp.MustCompile(`listen 443\b`).ReplaceAllString(s, "listen "+secure)
					return services.instead(s, plain, secure)
				})
				return plain
			}
			old, new := folder(t), folder(t)
			nginx := render(old)
			startOldNginx(t, program, old, nginx)
			plain := render(new)
			report := startImported(t, new)
			for _, q := range servedTheSame()[name] {
				was, seen := q.ask(t, nginx, nil)
				is, _ := q.ask(t, plain, seen)
				told := report
				general, inDocs := strings.CutPrefix(q.differs, "docs: ")
				if inDocs {
					told = string(manual)
				}
				switch equal := was == is; {
				case q.differs != "" && !strings.Contains(told, general):
					t.Errorf("%s%s: no note with %q in the report:\n%s", q.host, q.path, q.differs, report)
				case q.differs == "" && !equal:
					t.Errorf("%s%s\nnginx %s\nweir  %s", q.host, q.path, was, is)
				case q.differs != "" && equal:
					t.Errorf("%s%s: no difference, and %q is said: %s", q.host, q.path, q.differs, is)
				case equal:
					same++
				default:
					noted++
				}
			}
		})
	}
	measured(t, "nginx and weir with the translated file", "%d requests answered the same, %d otherwise with a note in the report, %d configurations", same, noted, len(servedTheSame()))
}

// services are the servers behind both: each is known by the address that the corpus has for it.
type services struct {
	t  *testing.T
	by map[string]string // address in the corpus → of the server
}

func newServices(t *testing.T) *services { return &services{t, map[string]string{}} }

// instead puts the servers' addresses in place of those in the corpus.
func (s *services) instead(text string, listening ...string) string {
	return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllStringFunc(text, func(address string) string {
		if slices.Contains(listening, address) {
			return address
		}
		if s.by[address] == "" {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Powered-By", "a framework")
				w.Header().Set("Content-Type", "application/json")
				seen := map[string]string{"service": address, "method": r.Method, "target": r.RequestURI}
				for _, name := range []string{"X-Real-IP", "X-Forwarded-For", "X-Forwarded-Proto", "Accept", "X-Tried"} {
					seen[name] = r.Header.Get(name)
				}
				_ = json.NewEncoder(w).Encode(seen)
			}))
			s.t.Cleanup(server.Close)
			s.by[address] = strings.TrimPrefix(server.URL, "http://")
		}
		return s.by[address]
	})
}

func startOldNginx(t *testing.T, program, dir, address string) {
	t.Helper()
	globals := strings.ReplaceAll("daemon off; master_process off; pid DIR/pid;", "DIR", dir)
	p := start(t, exec.Command(program, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"), "-g", globals))
	eventually(t, 10*time.Second, "nginx listens", func() bool {
		if !p.running() {
			t.Fatalf("nginx ended: %s", p.errs.String())
		}
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// startImported translates the nginx.conf of a folder and runs weir with it.
func startImported(t *testing.T, dir string) (report string) {
	t.Helper()
	report, code := command(t, dir, nil, "import", "nginx", "nginx.conf", "-o", "made.toml")
	if code != 0 {
		t.Fatalf("import: exit %d\n%s", code, report)
	}
	made, err := os.ReadFile(filepath.Join(dir, "made.toml"))
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "weir.toml")
	save(t, config, fmt.Sprintf("[admin]\naddress = \"unix://%s\"\nstate_dir = %q\n\n%s", filepath.Join(dir, "admin.sock"), filepath.Join(dir, "state"), made))
	e := launch(t, dir, config)
	e.ready()
	return report
}

// ask is what an answer comes to, in one line: what client and service can tell apart. Of the fields that the service has seen those count that are in only, because weir tells services more
// than nginx is told to.
func (q asked) ask(t *testing.T, address string, only map[string]string) (line string, seen map[string]string) {
	t.Helper()
	client := &http.Client{
		Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // nothing is secret here
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, network, address)
			}},
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+q.host+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	path, query, _ := strings.Cut(q.path, "?")
	req.URL.Opaque = "//" + q.host + path // sent as it is written
	req.URL.RawQuery = query
	req.Host = q.host
	req.Header.Set("X-Tried", "yes")
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	res, err := client.Do(req)
	if err != nil {
		return "no answer", nil // nginx's 444
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	line = fmt.Sprint(res.StatusCode)
	for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Content-Security-Policy", "Cache-Control", "X-Powered-By", "X-Quote", "Location"} {
		// weir's own errors are never stored, and its files asked for each time: nginx says nothing of either.
		if v := strings.Join(res.Header.Values(name), ", "); v != "" && (name != "Cache-Control" || v != "no-store" && (v != "no-cache" || strings.HasPrefix(path, "/vary"))) {
			line += fmt.Sprintf(" %s: %s", name, v)
		}
	}
	if json.Unmarshal(body, &seen) == nil && seen["service"] != "" {
		if only == nil {
			maps.DeleteFunc(seen, func(_, value string) bool { return value == "" })
		} else {
			maps.DeleteFunc(seen, func(name, _ string) bool { return only[name] == "" })
		}
		line += fmt.Sprint(" ", seen)
	} else if res.StatusCode == http.StatusOK {
		line += " " + strings.TrimSpace(string(body))
	}
	return line, seen
}
