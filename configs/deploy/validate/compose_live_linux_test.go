package validate_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// binaries is the folder with both programs as their images have them, built once for all tests.
func binaries(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds both programs")
	}
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "validate"); built.err != nil {
			return
		}
		build := exec.Command("go", "build", "-trimpath", "-o", built.dir+"/", "./cmd/weir", "./cmd/valor-api")
		build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}

// built is what binaries has built; TestMain removes it, and what make install laid out.
var built struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if laid.dir != "" {
		_ = os.RemoveAll(laid.dir)
	}
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// needsRoot skips what a container engine does as root: another root folder, other users.
func needsRoot(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/bin/true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: "/", Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if err := cmd.Run(); errors.Is(err, fs.ErrPermission) {
		t.Skip("needs root, to change root and user")
	}
}

// volumes runs secrets.sh as its service does and returns the folder that stands for the volumes.
func volumes(t *testing.T, c *stack) string {
	t.Helper()
	dir := t.TempDir()
	for _, m := range c.Services["secrets"].Volumes {
		if name, ok := strings.CutPrefix(m.Target, "/secrets/"); ok {
			if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	makeSecrets(t, dir)
	return dir
}

func makeSecrets(t *testing.T, dir string) {
	t.Helper()
	if out, err := secretsIn(dir); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
}

func secretsIn(dir string) ([]byte, error) {
	shells := []string{"sh"}
	if _, err := exec.LookPath("busybox"); err == nil { // what the image has
		shells = []string{"busybox", "sh"}
	}
	cmd := exec.Command(shells[0], append(shells[1:], filepath.Join(composeDir, "secrets.sh"))...)
	cmd.Env = append(os.Environ(), "SECRETS_ROOT="+dir)
	return cmd.CombinedOutput()
}

// TestComposeSecrets: a fresh clone has secrets after the first start, a second one keeps them, and each is its service's alone.
func TestComposeSecrets(t *testing.T) {
	needsRoot(t)
	c := compose(t)
	dir := volumes(t, c)
	first := secrets(t, dir)
	makeSecrets(t, dir)
	for name, s := range secrets(t, dir) {
		if first[name] != s {
			t.Errorf("%s was %+v and is %+v after another start", name, first[name], s)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "kibana")); err != nil {
		t.Fatal(err)
	}
	if out, err := secretsIn(dir); err == nil {
		t.Errorf("a volume is missing, and nothing is said but %s", out)
	}
	if len(first["edge/admin_token"].text) != 64 || first["edge/admin_token"].text == first["api/jwt_secret"].text {
		t.Errorf("%+v", first)
	}
	owners, told := map[string]string{}, map[string]string{} // by folder
	for name, s := range c.Services {
		folder, texts := "", s.told(t, name)
		for _, m := range s.Volumes {
			if m.Target == "/run/secrets" {
				folder = strings.TrimPrefix(m.Source, "secrets-")
			}
		}
		for _, file := range files(texts) {
			if _, ok := first[folder+"/"+filepath.Base(file)]; !ok {
				t.Errorf("%s reads %s, which is not in %q", name, file, folder)
			}
		}
		if folder == "" {
			continue
		}
		uid, _, _ := strings.Cut(s.User, ":")
		if other := owners[folder]; other != "" && other != uid {
			t.Errorf("%s is read by users %s and %s", folder, uid, other)
		}
		owners[folder] = uid
		told[folder] += texts
	}
	for name, s := range first {
		folder := filepath.Dir(name)
		if folder == "all" {
			if s.uid != 0 || s.mode.Perm() != 0o600 {
				t.Errorf("%s: %v of %d", name, s.mode, s.uid)
			}
			continue
		}
		if !strings.Contains(told[folder], filepath.Base(name)) {
			t.Errorf("nobody is told to read %s: without it there would be a default, or nothing", name)
		}
		if want := owners[folder]; strconv.Itoa(s.uid) != want || s.mode.Perm() != 0o400 {
			t.Errorf("%s: %v of %d, its reader is %q", name, s.mode, s.uid, want)
		}
	}
}

func values(m map[string]string) (list []string) {
	for _, v := range m {
		list = append(list, v)
	}
	return list
}

// files are the paths below /run/secrets that a text names.
func files(text string) (list []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n{}:=@\"'()", r) }) {
		if strings.HasPrefix(word, "/run/secrets/") {
			list = append(list, word)
		}
	}
	return list
}

type secretFile struct {
	text string
	uid  int
	mode fs.FileMode
}

func secrets(t *testing.T, dir string) map[string]secretFile {
	t.Helper()
	all := map[string]secretFile{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all[name] = secretFile{string(b), int(info.Sys().(*syscall.Stat_t).Uid), info.Mode()}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// container is a service's file system: its program, and its volumes and files where it has them mounted.
func container(t *testing.T, s *service, volumes string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // t.TempDir is for its owner alone
		t.Fatal(err)
	}
	program := filepath.Join(dir, "usr/bin", s.Build.Target)
	copyTree(t, filepath.Join(binaries(t), s.Build.Target), program)
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Volumes {
		to := filepath.Join(dir, m.Target)
		folder, secret := strings.CutPrefix(m.Source, "secrets-")
		switch {
		case secret:
			copyTree(t, filepath.Join(volumes, folder), to)
		case m.Type == "bind":
			copyTree(t, filepath.Join(composeDir, m.Source), to)
		default: // as the image makes it
			if err := errors.Join(os.MkdirAll(to, 0o755), os.Chown(to, 65532, 65532)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// run starts a service's program in its container and waits for its end.
func (s *service) run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/usr/bin/"+s.Build.Target, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", []string{"STATE_DIRECTORY=/var/lib/weir"}, &out, &out
	for k, v := range s.Environment {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	err := cmd.Run()
	return out.String(), err
}

// TestComposeEdge: the edge accepts its configuration as it finds it: with the secrets, the certificate and the front end that the services before it have made.
func TestComposeEdge(t *testing.T) {
	needsRoot(t)
	c := compose(t)
	edge, certificate, web := c.Services["edge"], c.Services["certificate"], c.Services["web"]
	dir := container(t, edge, volumes(t, c))
	if out, err := certificate.run(t, dir, certificate.Command...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	copyTree(t, filepath.Join(binaries(t), "valor-api"), filepath.Join(dir, "usr/bin/valor-api"))
	if out, err := web.run(t, dir, web.Command...); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := edge.run(t, dir, "check", "-c", "/etc/weir/weir.toml"); err != nil || strings.Contains(out, "warning") || !strings.Contains(out, ": ok (2 listeners, 5 routes, 1 services)") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := edge.run(t, dir, "config", "print", "-c", "/etc/weir/weir.toml"); err != nil {
		t.Errorf("%v: %s", err, out)
	} else {
		checkEdge(t, "compose", out, edge.Environment["EDGE_HOST"])
	}
	for _, secret := range []string{"admin_token", "redis_password", "cluster_secret"} {
		if err := os.Rename(filepath.Join(dir, "run/secrets", secret), filepath.Join(dir, "run/secrets/away")); err != nil {
			t.Fatal(err)
		}
		if out, err := edge.run(t, dir, "check", "-c", "/etc/weir/weir.toml"); err == nil || !strings.Contains(out, secret) {
			t.Errorf("without %s: %v: %s", secret, err, out)
		}
		if err := os.Rename(filepath.Join(dir, "run/secrets/away"), filepath.Join(dir, "run/secrets", secret)); err != nil {
			t.Fatal(err)
		}
	}
}

// checkEdge holds what weir makes of a shipped configuration to what the bundled API and its front end need.
func checkEdge(t *testing.T, where, printed, host string) {
	t.Helper()
	text := strings.ReplaceAll(printed, "\n", " ")
	of := ` host = \["` + regexp.QuoteMeta(host) + `"\] path = `
	for _, want := range []string{
		`\[admin\] address = ":9180" token = "\[redacted\]" `, `\[cluster\] redis = "\[redacted\]" secret = "\[redacted\]" `,
		`name = "http" address = ":80" tls = false redirect = "https" `, `name = "https" address = ":443" tls = true protocols = \["http/1.1", "h2", "h3"\] `,
		`\[headers.web\] preset = "strict" content_security_policy = "default-src 'none'; script-src 'self'; `,
		`\[limit.api\] rate = "\d+/s" burst = \d+ key = "client_ip" shared = true dry_run = false `, `\[limit.login\] rate = "\d+/m" burst = \d+ key = "client_ip" shared = true dry_run = false `,
		`\[service.api.health\] path = "/api/readiness" `, `\[service.api.group.blue\] weight = 100 `, `\[service.api.group.green\] weight = 0 `,
		`name = "login"` + of + `"/api/auth/login" service = "api" limits = \["login"\] priority = "normal" max_body = "64KiB" `, `name = "api"` + of + `"/api" service = "api" limits = \["api"\] `,
		`name = "live"` + of + `"/ws" service = "api" `, `name = "openapi"` + of + `"=/openapi.json" service = "api" `,
		`name = "web"` + of + `"/" priority = "normal" headers = "web" .*\[route.files\] root = "/srv/web" index = "index.html" fallback = "index.html" `,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%s: no %s in\n%s", where, want, printed)
		}
	}
}

// TestComposeAPI: both colours accept their environment, which is as far as they come without a host called postgres.
func TestComposeAPI(t *testing.T) {
	needsRoot(t)
	c := compose(t)
	secrets := volumes(t, c)
	page := read(t, "docs/api.md")
	for _, color := range []string{"blue", "green"} {
		s := c.Services[color]
		dir := container(t, s, secrets)
		for name := range s.Environment {
			if !strings.Contains(page, "`"+name+"`") {
				t.Errorf("%s: nothing reads %s", color, name)
			}
		}
		if err := os.MkdirAll(filepath.Join(dir, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := s.run(t, dir)
		if err == nil || strings.Contains(out, "VALOR_") || !strings.Contains(out, `"msg":"failed to start"`) || !strings.Contains(out, "postgres") {
			t.Errorf("%s: %v: %s", color, err, out)
		}
		password, err := os.ReadFile(filepath.Join(secrets, "api/postgres_password"))
		if err != nil || strings.Contains(out, string(password)) {
			t.Errorf("%s: %v: says the password: %s", color, err, out)
		}
	}
}

// TestComposeRedis: a real server takes redis.conf, asks for the password of the edge and the API, and evicts nothing that has no time to live.
func TestComposeRedis(t *testing.T) {
	needsRoot(t)
	needs(t, "redis-server")
	c := compose(t)
	secrets := volumes(t, c)
	dir, err := os.MkdirTemp("", "wr") // short: a unix socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text := strings.NewReplacer("/run/secrets/", filepath.Join(secrets, "redis")+"/", "dir /data", "dir "+dir).Replace(read(t, "configs/deploy/compose/redis.conf"))
	if err := os.WriteFile(filepath.Join(dir, "redis.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("redis-server", filepath.Join(dir, "redis.conf"), "--port", "0", "--unixsocket", socket, "--daemonize", "no", "--loglevel", "notice")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said := readUntil(t, out, "ready to accept connections at")
	password, err := os.ReadFile(filepath.Join(secrets, "edge/redis_password"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ask := range []struct{ auth, command, want string }{
		{string(password), "ping", "PONG"}, {"", "ping", "NOAUTH"}, {"wrong", "ping", "WRONGPASS"}, {string(password), "config get maxmemory-policy", "volatile-ttl"},
		{string(password), "config get appendonly", "yes"}, {string(password), "flushall", "unknown command"},
	} {
		cli := exec.CommandContext(t.Context(), "redis-cli", append([]string{"-s", socket}, strings.Fields(ask.command)...)...)
		cli.Env = append(os.Environ(), "REDISCLI_AUTH="+ask.auth)
		if out, _ := cli.CombinedOutput(); !strings.Contains(string(out), ask.want) { // the exit code is no part of the answer
			t.Errorf("%s: %s, want %s\n%s", ask.command, out, ask.want, said)
		}
	}
}

// readUntil reads a program's lines up to one with text; what comes after goes nowhere.
func readUntil(t *testing.T, from io.Reader, text string) (said []string) {
	t.Helper()
	for lines := bufio.NewScanner(from); lines.Scan(); {
		said = append(said, lines.Text())
		if strings.Contains(lines.Text(), text) {
			go func() { _, _ = io.Copy(io.Discard, from) }() // ends with the program
			return said
		}
	}
	t.Fatalf("ended without saying %q: %q", text, said)
	return nil
}

// TestComposeUsers: users.sh sets Kibana's password as Elasticsearch's superuser, and fails when it is told no.
func TestComposeUsers(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "elastic_password"), "e1")
	writeFile(t, filepath.Join(dir, "kibana_password"), "k1")
	needs(t, "curl")
	var status atomic.Int64 // what the server answers
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/_security/user/kibana_system/_password" || user != "elastic" || password != "e1" ||
			string(body) != `{"password":"k1"}` || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s by %s:%s: %s, %v", r.Method, r.URL, user, password, body, err)
		}
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	for _, code := range []int{http.StatusOK, http.StatusUnauthorized} {
		status.Store(int64(code))
		cmd := exec.Command("sh", filepath.Join(composeDir, "users.sh"))
		cmd.Env = append(os.Environ(), "SECRETS="+dir, "ELASTICSEARCH="+server.URL)
		if out, err := cmd.CombinedOutput(); (err == nil) != (code == http.StatusOK) || strings.Contains(string(out), "e1") {
			t.Errorf("%d: %v: %s", code, err, out)
		}
	}
}
