package nginx_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/configs/nginx"
	"github.com/valor-ivx/weir/tls/certtest"
)

var update = flag.Bool("update", false, "rewrite golden files with what the code does now")

// example is an archive of testdata/corpus: a configuration with what it includes and needs, and what becomes of it: weir.toml and report.
type example struct {
	name, path string
	archive    *txtar.Archive
}

func examples(tb testing.TB) (list []example) {
	tb.Helper()
	paths, err := filepath.Glob("testdata/corpus/*.txtar")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no corpus: %v", err)
	}
	for _, p := range paths {
		a, err := txtar.ParseFile(p)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, example{strings.TrimSuffix(filepath.Base(p), ".txtar"), p, a})
	}
	return list
}

// unpack writes an example's files, and a key pair, into a folder.
func (e example) unpack(t *testing.T, pair [2][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files := map[string][]byte{"cert.pem": pair[0], "key.pem": pair[1]}
	for _, f := range e.archive.Files {
		if f.Name != "weir.toml" && f.Name != "report" {
			files[f.Name] = f.Data
		}
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func newPair(t testing.TB) [2][]byte {
	t.Helper()
	template := certtest.For("example.com")
	template.IsCA, template.BasicConstraintsValid = true, true
	c := certtest.New(t, template, nil)
	return [2][]byte{c.PEM, c.KeyPEM}
}

// TestCorpus: each configuration becomes what its archive says, word for word, and what comes out is a configuration of Weir.
func TestCorpus(t *testing.T) {
	pair := newPair(t)
	for _, e := range examples(t) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			dir := e.unpack(t, pair)
			res, err := nginx.Import(filepath.Join(dir, "nginx.conf"), nginx.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var report bytes.Buffer
			if err := res.Report.Print(&report); err != nil {
				t.Fatal(err)
			}
			e.compare(t, map[string]string{"weir.toml": strings.ReplaceAll(string(res.TOML), dir, "$WORK"), "report": strings.ReplaceAll(report.String(), dir+"/", "")})
			if _, err := configs.Parse("weir.toml", res.TOML, configs.Options{Dir: dir}); err != nil {
				t.Errorf("Weir does not take it:\n%v", err)
			}
		})
	}
}

func (e example) compare(t *testing.T, got map[string]string) {
	t.Helper()
	for _, name := range []string{"weir.toml", "report"} {
		var want *txtar.File
		for i := range e.archive.Files {
			if e.archive.Files[i].Name == name {
				want = &e.archive.Files[i]
			}
		}
		if want == nil {
			e.archive.Files = append(e.archive.Files, txtar.File{Name: name})
			want = &e.archive.Files[len(e.archive.Files)-1]
		}
		if *update {
			want.Data = []byte(got[name])
		} else if diff := cmp.Diff(string(want.Data), got[name]); diff != "" {
			t.Errorf("%s differs (-want +got; go test -update):\n%s", name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(e.path, txtar.Format(e.archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEveryDirectiveIsInTheReport: each has a state, and a reason unless it is translated, and the counts add up.
func TestEveryDirectiveIsInTheReport(t *testing.T) {
	pair := newPair(t)
	for _, e := range examples(t) {
		res, err := nginx.Import(filepath.Join(e.unpack(t, pair), "nginx.conf"), nginx.Options{})
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		for _, entry := range res.Report {
			if entry.State < nginx.Translated || entry.State > nginx.NotTranslated || (entry.State != nginx.Translated) != (entry.Note != "") {
				t.Errorf("%s: %+v", e.name, entry)
			}
		}
		if sum := res.Report.Count(nginx.Translated) + res.Report.Count(nginx.Noted) + res.Report.Count(nginx.NotTranslated); sum != len(res.Report) {
			t.Errorf("%s: %d of %d directives are counted", e.name, sum, len(res.Report))
		}
	}
}

// needNginx gives the path of nginx.
func needNginx(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs nginx (make deps)")
		}
		t.Skip("skipped: needs nginx (make deps)")
	}
	return program
}

// nginxSays asks nginx -t; the message is that of its error.
func nginxSays(t *testing.T, program, dir, file string) (message string, ok bool) {
	t.Helper()
	cmd := exec.Command(program, "-t", "-p", dir, "-c", file, "-e", "stderr", "-g", "pid "+filepath.Join(dir, "pid")+";")
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(out), err == nil
}

// TestNginxTakesTheCorpus: what we take for configurations of nginx are some, by the word of Debian's nginx.
func TestNginxTakesTheCorpus(t *testing.T) {
	program := needNginx(t)
	pair := newPair(t)
	// Ports that nobody but root may open, and a log that nobody else may write, are not what is tried.
	ports := regexp.MustCompile(`(listen\s+(?:[\w.:\[\]]*:)?)(80|443)\b`)
	asked := 0
	for _, e := range examples(t) {
		if strings.HasPrefix(string(e.archive.Comment), "nginx: newer") {
			continue
		}
		asked++
		t.Run(e.name, func(t *testing.T) {
			for i, f := range e.archive.Files {
				f.Data = ports.ReplaceAll(f.Data, []byte("${1}2${2}"))
				f.Data = regexp.MustCompile(`(?m)^(user|pid) .*$`).ReplaceAll(f.Data, nil)
				e.archive.Files[i] = f
			}
			dir := e.unpack(t, pair)
			if said, ok := nginxSays(t, program, dir, filepath.Join(dir, "nginx.conf")); !ok {
				t.Errorf("nginx refuses it:\n%s", said)
			}
		})
	}
	if asked < 25 {
		t.Errorf("%d configurations", asked)
	}
}
