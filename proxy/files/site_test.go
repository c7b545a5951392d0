package files_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/files"
)

// hostile are paths that lead out of a root, to what is hidden, or that somebody reads in another way; none of them may find anything. Those that route.Canonical refuses before are
// among them: this package does not count on it.
var hostile = [...]string{
	"", "index.html", "*", "/..", "/../secret", "/../../../../etc/passwd", "/a/../../secret", "/a/..", "/./index.html", "/.", "//", "//index.html", "/a//b.txt", "//evil.example/a",
	"/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret", "/%2e./secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/a%2fb.txt", "/%2fetc/passwd", "/a%2Fb.txt",
	"/..\\secret", "/..%5csecret", "/..%5Csecret", "/a\\b.txt", "/%5c%5chost%5cshare", "/%5c..%5csecret", "/%252e%252e/secret", "/%252e%252e%252fsecret", "/a%252fb.txt", "/%25252e",
	"/%c0%ae%c0%ae/secret", "/%c0%afsecret", "/%e0%80%ae%e0%80%ae/secret", "/%f0%80%80%ae", "/%c1%9c", "/\xc0\xae\xc0\xae/secret", "/%ff", "/\xff",
	"/index.html%00", "/index.html\x00.js", "/%00", "/a/%00/b.txt", "/%0a", "/index.html%0d%0aX: y", "/\x7f", "/%7f", "/%01",
	"/.git/config", "/.env", "/.htpasswd", "/%2egit/config", "/a/.hidden", "/a/.hidden/x", "/.well-known/.secret", "/a/.well-known/x", "/.well-known%2f.secret", "/.WELL-KNOWN/x",
	"/%", "/%2", "/%zz", "/index.html%", "/a%u002e", "/...", "/....//secret", "/..;/secret", "/.;/secret", "/a/%20/../..%20/secret", "/index.html/", "/index.html/x", "/a/b.txt/..",
	"/link-out", "/link-out/secret", "/link-up", "/link-absolute", "/loop", "/fifo", "/socket", "/folder.js", "/" + "unreadable-name-" + longName,
}

const longName = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// trap is a root with everything in and around it that must not be found.
func trap(t testing.TB) string {
	dir := folder(t, map[string]string{
		"secret": "SECRET", "root/index.html": "page", "root/a/b.txt": "text", "root/.git/config": "SECRET", "root/.env": "SECRET", "root/.htpasswd": "SECRET", "root/a/.hidden/x": "SECRET",
		"root/.well-known/.secret": "SECRET", "root/a/.well-known/x": "SECRET", "root/.well-known/security.txt": "contact", "root/folder.js/x": "text",
		"root/100%.txt": "percent", "root/with space.txt": "space", "root/ü.txt": "umlaut", "outside/secret": "SECRET",
	})
	root := filepath.Join(dir, "root")
	for name, to := range map[string]string{"link-out": "../outside", "link-up": "../secret", "link-absolute": filepath.Join(dir, "secret"), "loop": "loop", "link-in": "a/b.txt"} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mknod(filepath.Join(root, "socket"), syscall.S_IFSOCK|0o644, 0); err != nil {
		t.Fatal(err)
	}
	return root
}

// resolvers runs a test with a trap that the kernel resolves names in, where it does, and with one that os.Root walks through.
func resolvers(t *testing.T, test func(t *testing.T, tr *files.Tree)) {
	t.Run("as this machine does", func(t *testing.T) { test(t, tree(t, trap(t))) })
	t.Run("walked", func(t *testing.T) {
		tr := tree(t, trap(t))
		tr.Walk()
		test(t, tr)
	})
}

// TestHostilePaths: with and without a page to fall back to nothing is found that is not for the public; a FIFO does not block.
func TestHostilePaths(t *testing.T) {
	if len(hostile) < 40 {
		t.Fatalf("%d paths", len(hostile))
	}
	resolvers(t, func(t *testing.T, tr *files.Tree) {
		s := files.New(tr, files.Options{Index: "index.html"})
		for _, path := range hostile {
			if f, content, _, err := find(t, s, path); err == nil {
				t.Errorf("%q found %q: %q", path, f.Name, content)
			}
		}
		s = files.New(tr, files.Options{Index: "index.html", Fallback: "index.html"})
		for _, path := range hostile {
			if f, content, _, err := find(t, s, path, "Accept", "text/html"); err == nil && (!f.Fallback || content != "page") {
				t.Errorf("%q found %q: %q", path, f.Name, content)
			}
		}
	})
}

// TestOrdinaryPaths: what people name files is served.
func TestOrdinaryPaths(t *testing.T) {
	resolvers(t, func(t *testing.T, tr *files.Tree) {
		s := files.New(tr, files.Options{Index: "index.html"})
		for path, want := range map[string]string{
			"/": "page", "/index.html": "page", "/a/b.txt": "text", "/%61/b%2etxt": "text", "/.well-known/security.txt": "contact", "/100%25.txt": "percent", "/with%20space.txt": "space",
			"/%C3%BC.txt": "umlaut", "/ü.txt": "umlaut", "/link-in": "text",
		} {
			if _, got, _, err := find(t, s, path); err != nil || got != want {
				t.Errorf("%s: %q %v, want %q", path, got, err, want)
			}
		}
	})
}

// TestFallback: only what a browser opens as an address, and only where nothing is.
func TestFallback(t *testing.T) {
	dir := folder(t, map[string]string{"app/index.html": "app", "real.txt": "real", "sub/index.html": "sub", "empty/x": ""})
	s := files.New(tree(t, dir), files.Options{Index: "index.html", Fallback: "app/index.html"})
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct{ path, accept, want string }{
		{"/deep/link", browser, "app"}, {"/", browser, "app"}, {"/user/john.doe", browser, "app"}, {"/v1.2", browser, "app"}, {"/old.html", browser, "app"}, {"/empty/", browser, "app"},
		{"/empty", browser, "app"}, {"/sub/", browser, "sub"}, {"/real.txt", browser, "real"}, {"/deep/link", "application/json, TEXT/HTML;q=0.1", "app"},
		{"/deep/link", "*/*", ""}, {"/deep/link", "application/json", ""}, {"/deep/link", "", ""}, {"/deep/link", "text/html;q=0", ""}, {"/deep/link", "text/*", ""},
		{"/missing.js", browser, ""}, {"/assets/missing.css", browser, ""}, {"/x.PNG", browser, ""}, {"/x.map", browser, ""}, {"/x.webmanifest", browser, ""}, {"/.env", browser, ""},
	} {
		f, got, _, err := find(t, s, c.path, "Accept", c.accept)
		if (err == nil) != (c.want != "") || got != c.want {
			t.Errorf("%s for %q: %q %v, want %q", c.path, c.accept, got, err, c.want)
		}
		if f.Fallback != (c.want == "app") || f.Fallback && f.Keep != "no-cache" {
			t.Errorf("%s: fallback %v, %s", c.path, f.Fallback, f.Keep)
		}
	}
	if f, _, _, err := find(t, s, "/sub"); err != nil || f.Name != "sub" || f.Keep != "no-cache" {
		t.Errorf("a folder with an index: %+v %v", f, err)
	}
}

// TestReasons: what is missing, what is refused and what failed are told apart for the log.
func TestReasons(t *testing.T) { resolvers(t, testReasons) }

func testReasons(t *testing.T, tr *files.Tree) {
	s := files.New(tr, files.Options{Index: "index.html"})
	for path, want := range map[string]files.Why{
		"/nothing": files.Missing, "/index.html/x": files.Missing, "/a": files.Missing, "/a/": files.Missing, "/.env": files.Refused, "/link-out/secret": files.Refused,
		"/link-absolute": files.Refused, "/loop": files.Refused, "/fifo": files.Refused, "/socket": files.Refused, "/%2e%2e%2f": files.Refused,
	} {
		if _, _, why, err := find(t, s, path); err == nil || why != want {
			t.Errorf("%s: %v %v, want %v", path, why, err, want)
		}
	}
	tr.Impatient(1)
	if err := tr.Disk().Enter(); err != nil {
		t.Fatal(err)
	}
	if _, _, why, err := find(t, s, "/index.html"); err == nil || why != files.Busy {
		t.Errorf("with the disk taken: %v %v", why, err)
	}
	tr.Disk().Leave()
	if _, got, _, err := find(t, s, "/index.html"); err != nil || got != "page" {
		t.Errorf("with the disk free: %q %v", got, err)
	}
}

// TestKeep: one Cache-Control for each; only a hash in the name makes a year.
func TestKeep(t *testing.T) {
	contents := map[string]string{}
	names := map[string]string{
		"index.html": "no-cache", "page.htm": "no-cache", "sw.js": "no-cache", "service-worker.js": "no-cache", "firebase-messaging-sw.js": "no-cache", "manifest.json": "no-cache",
		"site.webmanifest": "no-cache", "index-3f2a9c1b.html": "no-cache", "app.js": "max-age=3600", "photo.png": "max-age=3600", "README": "max-age=3600",
		"app.3f2a9c1b.js": "max-age=31536000, immutable", "assets/index-B3kZx1qa.js": "max-age=31536000, immutable", "assets/app-4QC3NXIJ.css": "max-age=31536000, immutable",
	}
	for name := range names {
		contents[name] = name
	}
	tr := tree(t, folder(t, contents))
	for _, private := range []bool{false, true} {
		s := files.New(tr, files.Options{Index: "index.html", MaxAge: time.Hour, Private: private})
		for name, want := range names {
			if private {
				want = "private, " + want
			}
			if f, _, _, err := find(t, s, "/"+name); err != nil || f.Keep != want {
				t.Errorf("%s: %q %v, want %q", name, f.Keep, err, want)
			}
		}
	}
	if f, _, _, err := find(t, files.New(tr, files.Options{Index: "index.html"}), "/app.js"); err != nil || f.Keep != "no-cache" {
		t.Errorf("without max_age: %q %v", f.Keep, err)
	}
}

// TestHashed: a name is taken for hashed only where it is one beyond doubt.
func TestHashed(t *testing.T) {
	for name, want := range map[string]bool{
		"main.3f2a9c1b.js": true, "main.8e4c1a2b3c4d5e6f7a8b.chunk.js": true, "3f2a9c1b.js": true, "app-d41d8cd98f00b204e9800998ecf8427e.css": true, "main.073c9b0a.css.map": true,
		"index-B3kZx1qa.js": true, "a-b-c-Dk2-xP9q.js": true, "app-4QC3NXIJ.js": true, "inter-latin.e4af272c.woff2": true,
		"jquery-3.7.1.min.js": false, "report-20240101.pdf": false, "DSC01234.jpg": false, "IMG-20240101.jpg": false, "photo-Summer24.jpg": false, "icons-3dModels.svg": false,
		"README": false, "deadbeef.js": false, "12345678.js": false, "app.js": false, "style.min.css": false, "vacation2024.jpg": false, "x.3f2a9c1b": false, "notes-1stDraft.txt": false,
		"123e4567-e89b-12d3-a456-4266141740ab.pdf": false, "index-mainpage.js": false, "3F2A9C1B.js": false, "main.3f2a9c1.js": false, ".js": false, "": false, "iPhone15.png": false,
	} {
		if got := files.Hashed(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestTypes: ours, whatever the machine says; what is unknown is nothing that a browser runs.
func TestTypes(t *testing.T) {
	contents := map[string]string{}
	types := map[string]string{
		"a.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8", "a.MJS": "text/javascript; charset=utf-8", "a.json": "application/json",
		"a.svg": "image/svg+xml; charset=utf-8", "a.wasm": "application/wasm", "a.woff2": "font/woff2", "a.png": "image/png", "a.txt": "text/plain; charset=utf-8", "a.exe": "application/octet-stream",
		"a.unknown": "application/octet-stream", "plain": "application/octet-stream", "a.js.gz": "application/gzip", "a.b.c.xml": "text/xml; charset=utf-8", "a.php": "application/octet-stream",
	}
	for name := range types {
		contents[name] = name
	}
	s := files.New(tree(t, folder(t, contents)), files.Options{Index: "index.html"})
	for name, want := range types {
		f, _, _, err := find(t, s, "/"+name)
		if err != nil || f.Type != want {
			t.Errorf("%s: %q %v, want %q", name, f.Type, err, want)
		}
		if text := strings.Contains(want, "charset") || want == "application/json" || want == "application/wasm"; f.Varies != text {
			t.Errorf("%s: varies %v", name, f.Varies)
		}
	}
}
