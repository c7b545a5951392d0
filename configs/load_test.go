package configs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

const minimal = `[[listener]]
address = "127.0.0.1:8080"

[[route]]
service = "api"

[service.api.group.blue]
targets = ["127.0.0.1:5002"]
`

func TestMinimalFileLoads(t *testing.T) {
	cfg, err := configs.Load("minimal.toml", os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	group := cfg.Services[0].Groups[0]
	if group.Name != "blue" || group.Weight != configs.WeightFull || group.Targets[0].Address != "127.0.0.1:5002" {
		t.Errorf("group = %+v", group)
	}
	if cfg.Routes[0].Path != (configs.Pattern{Kind: configs.PathPrefix, Text: "/"}) {
		t.Errorf("path = %+v", cfg.Routes[0].Path)
	}
}

// TestLoadFindsFilesBesideTheFile: relative paths start at the file's folder, whatever the working
// directory is, and every file that was read is listed for the watcher.
func TestLoadFindsFilesBesideTheFile(t *testing.T) {
	dir := t.TempDir()
	for name, data := range newPEMs(t) {
		write(t, filepath.Join(dir, name), string(data))
	}
	write(t, filepath.Join(dir, "token"), "s3cret\n")
	file := filepath.Join(dir, "weir.toml")
	write(t, file, minimal+`
[admin]
token = "${file:token}"
[log]
output = "access.log"
[[tls.certificate]]
cert = "cert.pem"
key = "key.pem"
`)
	t.Chdir(t.TempDir())
	cfg, err := configs.Load(file, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Admin.Token.Reveal() != "s3cret" || cfg.Log.Output != filepath.Join(dir, "access.log") {
		t.Errorf("token %q, output %q", cfg.Admin.Token.Reveal(), cfg.Log.Output)
	}
	want := []string{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "token"), file}
	if !slices.Equal(cfg.Files, want) {
		t.Errorf("files = %q, want %q", cfg.Files, want)
	}
	if len(cfg.TLS.Certificates[0].CertPEM) == 0 || cfg.TLS.Certificates[0].KeyPEM == "" {
		t.Error("certificate contents are missing")
	}
}

func TestLoadNamesWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.toml")
	write(t, large, strings.Repeat("#", configs.MaxFile+1))
	secret := filepath.Join(dir, "secret.toml")
	write(t, secret, "[admin]\ntoken = \"${file:large.toml}\"\n")
	for path, want := range map[string]string{
		filepath.Join(dir, "gone.toml"): ":1:1: no such file or directory",
		dir:                             ":1:1: is a directory",
		large:                           ":1:1: the file is larger than 4MiB",
		secret:                          ":2:9: token: ${file:large.toml}: the file is larger than 1MiB",
	} {
		_, err := configs.Load(path, noEnv)
		if err == nil || !strings.Contains(err.Error(), path+want) {
			t.Errorf("got %v\nwant %s%s", err, path, want)
		}
	}
}

func TestStateDirFollowsTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		root bool
		want string
	}{
		{nil, true, "/var/lib/weir"},
		{map[string]string{"STATE_DIRECTORY": "/state/weir:/state/other", "HOME": "/home/u"}, true, "/state/weir"},
		{map[string]string{"XDG_STATE_HOME": "/xdg", "HOME": "/home/u"}, false, "/xdg/weir"},
		{map[string]string{"XDG_STATE_HOME": "relative", "HOME": "/home/u"}, false, "/home/u/.local/state/weir"},
		{nil, false, "/var/lib/weir"},
	} {
		env := func(name string) (string, bool) { v, ok := c.env[name]; return v, ok }
		cfg, err := configs.Parse("x", []byte(minimal), configs.Options{Env: env, Root: c.root})
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Admin.StateDir != c.want {
			t.Errorf("%v, root %v: %s, want %s", c.env, c.root, cfg.Admin.StateDir, c.want)
		}
	}
}

// TestSecretsStaySecret: no way of formatting a configuration shows the token or a key.
func TestSecretsStaySecret(t *testing.T) {
	pems := newPEMs(t)
	cfg := parse(t, minimal+"[admin]\ntoken = \"hunter2\"\n[[tls.certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n", pems)
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	other := parse(t, minimal+"[admin]\ntoken = \"hunter3\"\n", nil)
	for name, shown := range map[string]string{
		"TOML": string(cfg.TOML()), "json": string(asJSON), "diff": strings.Join(configs.Diff(cfg, other), "\n"),
		"%v": fmt.Sprintf("%v", cfg.Admin), "%+v": fmt.Sprintf("%+v", cfg.TLS), "%#v": fmt.Sprintf("%#v", cfg.Admin),
		//lint:ignore S1025 the verb is what is tested
		"%s": fmt.Sprintf("%s", cfg.Admin.Token), "%q": fmt.Sprintf("%q", cfg.Admin.Token), "%x": fmt.Sprintf("%x", cfg.Admin.Token),
	} {
		if strings.Contains(shown, "hunter") || strings.Contains(shown, "PRIVATE KEY") || strings.Contains(shown, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s shows a secret: %s", name, shown)
		}
	}
}

// TestDigestCoversWhatIsReadAndNothingElse: contents count, layout does not.
func TestDigestCoversWhatIsReadAndNothingElse(t *testing.T) {
	pems, others := newPEMs(t), newPEMs(t)
	pems["token"], others["token"] = []byte("a"), []byte("a")
	text := minimal + "[admin]\ntoken = \"${file:token}\"\n[[tls.certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"
	base := parse(t, text, pems).Digest()
	if parse(t, "# comment\n"+strings.ReplaceAll(text, "targets", "weight = 100.0\ntargets  "), pems).Digest() != base {
		t.Error("layout or a spelt-out default changed the digest")
	}
	if parse(t, text, others).Digest() == base {
		t.Error("another certificate did not change the digest")
	}
	rotated := maps.Clone(pems)
	rotated["token"] = []byte("b")
	if parse(t, text, rotated).Digest() == base {
		t.Error("another ${file:} content did not change the digest")
	}
}

func TestDiffNamesEachChangeByItsPath(t *testing.T) {
	pems, others := newPEMs(t), newPEMs(t)
	cert := "[[tls.certificate]]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n"
	old := parse(t, minimal+`weight = 100
[service.api.group.green]
weight = 0
targets = ["127.0.0.1:5003"]
[service.gone.group.blue]
targets = ["127.0.0.1:5009"]
[[route]]
name = "login"
path = "/login"
service = "api"
`+cert, pems)
	new := parse(t, strings.Replace(minimal, "5002\"", "5002\", \"127.0.0.1:5004\"", 1)+`weight = 75
[service.api]
balance = "round_robin"
health = { path = "/ok" }
[service.api.group.green]
weight = 25
targets = [{ address = "127.0.0.1:5003", weight = 2 }]
[admin]
token = "t"
[[route]]
name = "login"
path = "/login"
service = "api"
host = ["a.example"]
timeout = "10s"
[[route]]
path = "/new"
service = "api"
`+cert, others)
	got := strings.Join(configs.Diff(old, new), "\n")
	want := `admin.token: changed
tls.certificate[cert.pem].cert: contents changed
tls.certificate[cert.pem].key: contents changed
service.gone: removed
service.api.balance: peak_ewma → round_robin
service.api.health: added
service.api.group.blue.weight: 100 → 75
service.api.group.blue.targets[127.0.0.1:5004]: added
service.api.group.green.weight: 0 → 25
service.api.group.green.targets[127.0.0.1:5003].weight: 1 → 2
route[login].host: none → ["a.example"]
route[login].timeout: 0s → 10s
route[/new]: added`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestDiffSeesOrderWhereItMatters: regular expressions are tried in file order.
func TestDiffSeesOrderWhereItMatters(t *testing.T) {
	a, b := "[[route]]\nname = \"a\"\npath = \"~a\"\nservice = \"api\"\n", "[[route]]\nname = \"b\"\npath = \"~b\"\nservice = \"api\"\n"
	got := configs.Diff(parse(t, minimal+a+b, nil), parse(t, minimal+b+a, nil))
	if !slices.Equal(got, []string{"route: order changed"}) {
		t.Errorf("got %q", got)
	}
}

// TestHostileFilesEndSoon: sizes that would exhaust the stack or take quadratic time are refused or
// handled; the test's own deadline is the judge.
func TestHostileFilesEndSoon(t *testing.T) {
	const n = configs.MaxFile
	for name, text := range map[string]string{
		"nested arrays":        "a = " + strings.Repeat("[", n/2),
		"nested closed arrays": "a = " + strings.Repeat("[", n/2-8) + strings.Repeat("]", n/2-8),
		"nested tables":        "a = " + strings.Repeat("{a=", n/4),
		"dotted key":           strings.Repeat("a.", n/8) + "a = 1",
		"dotted header":        "[" + strings.Repeat("a.", n/8) + "a]",
		"empty routes":         strings.Repeat("[[route]]\n", n/100),
		"unknown keys":         manyKeys(n / 20),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := configs.Parse("x", []byte(text), configs.Options{}); err == nil {
				t.Error("loaded, must not")
			}
		})
	}
}

func manyKeys(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size-16; i++ {
		fmt.Fprintf(&b, "k%d = 1\n", i)
	}
	return b.String()
}

func parse(t *testing.T, text string, files map[string][]byte) *configs.Config {
	t.Helper()
	cfg, err := configs.Parse("weir.toml", []byte(text), configs.Options{
		ReadFile: func(path string) ([]byte, error) {
			if data, ok := files[path]; ok {
				return data, nil
			}
			return nil, os.ErrNotExist
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}
