package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// instruction is one of a Dockerfile.
type instruction struct {
	word string // FROM, COPY, …
	rest string
}

// dockerfile reads the instructions of a Dockerfile: comments and continued lines aside, one a line.
func dockerfile(t *testing.T, text string) (list []instruction) {
	t.Helper()
	var whole string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if part, more := strings.CutSuffix(line, `\`); more {
			whole += part
			continue
		}
		word, rest, found := strings.Cut(whole+line, " ")
		if !found || word != strings.ToUpper(word) {
			t.Fatalf("Dockerfile: %q is no instruction", whole+line)
		}
		list, whole = append(list, instruction{word, strings.TrimSpace(rest)}), ""
	}
	return list
}

// image is what an engine would make of one stage.
type image struct {
	name, root          string
	env, labels         map[string]string
	user, stopSignal    string
	entrypoint, command []string
	health              []string
	ports, own          string // own is the folder of its state
	said                string // by the last program that was asked
}

// workshop carries a Dockerfile out. The stage that compiles runs in a copy of the build context on this machine, whose Go it takes; the others begin from
// scratch and are copied together into folders.
type workshop struct {
	t      *testing.T
	steps  []instruction
	src    string            // stands for the builder's /src
	args   map[string]string // what --build-arg says, and the platform
	stages map[string]*image
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{t: t, steps: dockerfile(t, string(text)), src: t.TempDir(), stages: map[string]*image{}, args: map[string]string{"BUILDPLATFORM": "linux/" + runtime.GOARCH,
		"TARGETOS": "linux", "TARGETARCH": runtime.GOARCH, "VERSION": "v9.8.7", "REVISION": "abc", "CREATED": "2026-11-23T00:00:00Z"}}
	w.run()
	return w
}

func (w *workshop) image(name string) *image {
	w.t.Helper()
	if w.stages[name] == nil {
		w.t.Fatalf("no stage %s", name)
	}
	return w.stages[name]
}

// run carries out every stage in order. An instruction that it does not know is a mistake: better the test learns it than that it is passed by.
func (w *workshop) run() {
	w.t.Helper()
	var now *image
	for _, step := range w.steps {
		if step.word == "FROM" {
			now = w.from(step.rest)
			continue
		}
		value := os.Expand(step.rest, w.lookup)
		switch step.word {
		case "ARG":
			name, _, _ := strings.Cut(step.rest, "=")
			if _, known := w.args[name]; !known {
				w.t.Fatalf("ARG %s: nobody gives it", name)
			}
		case "ENV":
			pairs(w.t, value, now.env)
		case "LABEL":
			pairs(w.t, value, now.labels)
		case "USER":
			now.user = value
		case "STOPSIGNAL":
			now.stopSignal = value
		case "WORKDIR":
			if now.root != "" || value != "/src" {
				w.t.Fatalf("WORKDIR %s", value)
			}
		case "ENTRYPOINT":
			now.entrypoint = words(w.t, step.rest)
		case "CMD":
			now.command = words(w.t, step.rest)
		case "HEALTHCHECK":
			_, list, _ := strings.Cut(step.rest, "CMD ")
			now.health = words(w.t, list)
		case "EXPOSE":
			now.ports = value
		case "COPY":
			w.copy(now, strings.Fields(value))
		case "RUN":
			w.shell(now, step.rest)
		default:
			w.t.Fatalf("Dockerfile: this test does not know %s", step.word)
		}
	}
}

func (w *workshop) lookup(name string) string { return w.args[name] }

// from begins a stage: the builder, nothing, or where another one ended.
func (w *workshop) from(rest string) *image {
	w.t.Helper()
	f := strings.Fields(rest)
	if len(f) > 0 && strings.HasPrefix(f[0], "--platform=") {
		f = f[1:]
	}
	if len(f) != 3 || f[1] != "AS" {
		w.t.Fatalf("FROM %s", rest)
	}
	now := &image{name: f[2], env: map[string]string{}, labels: map[string]string{}}
	w.stages[f[2]] = now
	base, known := w.stages[f[0]]
	switch {
	case strings.HasPrefix(f[0], "golang:"):
		// A minor version older than ours could not build; patches are the bot's business.
		if minor := regexp.MustCompile(`^go1\.\d+`).FindString(runtime.Version()); !regexp.MustCompile(`^golang:` + minor[2:] + `\.\d+-bookworm$`).MatchString(f[0]) {
			w.t.Errorf("the builder is %s, this is %s: want its minor version, and an exact tag", f[0], runtime.Version())
		}
		return now
	case f[0] == "scratch":
		now.root = w.t.TempDir()
	case known && base.root != "":
		now.root = w.t.TempDir()
		clone(w.t, base.root, now.root)
		now.user, now.stopSignal = base.user, base.stopSignal
		for k, v := range base.env {
			now.env[k] = v
		}
		for k, v := range base.labels {
			now.labels[k] = v
		}
	default:
		w.t.Fatalf("FROM %s: neither a builder with an exact version nor a stage", f[0])
	}
	if err := os.Chmod(now.root, 0o755); err != nil { // t.TempDir is for its owner alone
		w.t.Fatal(err)
	}
	return now
}

// copy carries out COPY [--from=build] [--chown=U:G] FROM… TO.
func (w *workshop) copy(now *image, args []string) {
	w.t.Helper()
	from, owner := "", -1
	for strings.HasPrefix(args[0], "--") {
		if v, ok := strings.CutPrefix(args[0], "--from="); ok {
			from = v
		} else if v, ok := strings.CutPrefix(args[0], "--chown="); ok {
			uid, gid, _ := strings.Cut(v, ":")
			n, err := strconv.Atoi(uid)
			if err != nil || gid != uid {
				w.t.Fatalf("COPY --chown=%s: want numbers, which need no passwd", v)
			}
			owner = n
		} else {
			w.t.Fatalf("COPY %s", args[0])
		}
		args = args[1:]
	}
	if now.root == "" { // into the builder, out of the context
		if from == "" && slices.Equal(args, []string{".", "."}) {
			w.context()
		}
		return // single files are part of the whole, which comes next
	}
	if from != "build" || len(args) != 2 {
		w.t.Fatalf("COPY %q", args)
	}
	source, to := w.builder(args[0]), filepath.Join(now.root, args[1])
	if info, err := os.Stat(source); err != nil {
		w.t.Fatalf("COPY %s: %v", args[0], err)
	} else if !info.IsDir() {
		put(w.t, source, to, info.Mode().Perm())
		return
	}
	clone(w.t, source, to)
	if owner >= 0 && os.Geteuid() == 0 {
		own(w.t, source, to, owner)
	}
}

// builder is where a path of the stage that compiles is on this machine.
func (w *workshop) builder(name string) string {
	if rest, ok := strings.CutPrefix(name, "/usr/local/go/"); ok {
		return filepath.Join(runtimeRoot(w.t), rest)
	}
	if rest, ok := strings.CutPrefix(name, "/src/"); ok {
		return filepath.Join(w.src, rest)
	}
	return name
}

func runtimeRoot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// shell carries out RUN in the builder's folder. The download of modules is left to the build, which needs the same ones: it warms a cache, and what it
// would fetch beyond them is for other systems.
func (w *workshop) shell(now *image, line string) {
	w.t.Helper()
	if now.root != "" {
		w.t.Fatalf("RUN %s: nothing runs in an image without a shell", line)
	}
	for strings.HasPrefix(line, "--mount=") {
		_, line, _ = strings.Cut(line, " ")
		line = strings.TrimSpace(line)
	}
	if line == "go mod download" {
		return
	}
	cmd := exec.Command("sh", "-ec", line)
	cmd.Dir, cmd.Env = w.src, os.Environ()
	for _, set := range []map[string]string{w.args, now.env} {
		for k, v := range set {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("RUN %s: %v\n%s", line, err, out)
	}
}

// context copies what .dockerignore lets through, of the files that git knows or would take.
func (w *workshop) context() {
	w.t.Helper()
	text, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		w.t.Fatal(err)
	}
	ignored := dockerignore(string(text))
	err = fs.WalkDir(os.DirFS("../.."), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (name == ".git" || name == "bin") {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || ignored(name) {
			return nil
		}
		put(w.t, filepath.Join("../..", name), filepath.Join(w.src, name), 0o644)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, secret := range []string{".git/config", "README.md", "cmd/weirbench/main.go", "configs/testdata/good/tls.txtar", "cmd/weir/script_test.go", "configs/deploy/compose/.env", "key.pem"} {
		if !ignored(secret) {
			w.t.Errorf("%s reaches the builder", secret)
		}
	}
}

// dockerignore is the rule of a .dockerignore file: the last pattern that a path or one of its folders matches decides.
func dockerignore(text string) func(name string) bool {
	type rule struct {
		match *regexp.Regexp
		keep  bool
	}
	var rules []rule
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, keep := strings.CutPrefix(line, "!")
		re := regexp.QuoteMeta(path.Clean(pattern))
		re = strings.NewReplacer(`\*\*/`, `(.*/)?`, `\*`, `[^/]*`, `\?`, `[^/]`).Replace(re)
		rules = append(rules, rule{regexp.MustCompile(`^` + re + `(/.*)?$`), keep})
	}
	return func(name string) (ignored bool) {
		for _, r := range rules {
			if r.match.MatchString(name) {
				ignored = !r.keep
			}
		}
		return ignored
	}
}

// pairs reads NAME=value and NAME="value".
func pairs(t *testing.T, text string, into map[string]string) {
	t.Helper()
	found := regexp.MustCompile(`([A-Za-z_.]+)=("[^"]*"|\S*)`).FindAllStringSubmatch(text, -1)
	if len(found) == 0 {
		t.Fatalf("no NAME=value in %q", text)
	}
	for _, m := range found {
		into[m[1]] = strings.Trim(m[2], `"`)
	}
}

// words reads the exec form; the shell form needs a shell.
func words(t *testing.T, text string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%s is not the exec form: %v", text, err)
	}
	return list
}

func put(t *testing.T, from, to string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err == nil {
		err = os.WriteFile(to, b, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clone copies a folder's contents into another, modes included.
func clone(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from+"/.", to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// own gives what was copied to a user.
func own(t *testing.T, from, to string, id int) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(from), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return os.Chown(filepath.Join(to, name), id, id)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// put writes what the one who runs the image brings with him.
func (i *image) put(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(i.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cmd is a program of the image, run as an engine would. The control group that it finds, in files where a kernel shows them, has a limit of 1 GiB.
func (i *image) cmd(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: i.root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}, Setpgid: true}
	cmd.Dir = "/"
	for k, v := range i.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// ask runs another program of the image to its end.
func (i *image) ask(t *testing.T, argv ...string) error {
	t.Helper()
	var out bytes.Buffer
	cmd := i.cmd(t.Context(), argv)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	i.said = out.String()
	return err
}

// files are the names of everything in the image that is no folder.
func (i *image) files(t *testing.T) (list []string) {
	t.Helper()
	for name := range i.state(t) {
		list = append(list, name)
	}
	return list
}

// state is every file with its mode, owner and contents' size and time. It brings what an engine mounts, once.
func (i *image) state(t *testing.T) map[string]string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(i.root, "proc")); err != nil {
		i.put(t, "proc/self/cgroup", "0::/\n")
		i.put(t, "proc/self/mountinfo", "30 29 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup ro\n")
		i.put(t, "sys/fs/cgroup/memory.max", fmt.Sprintln(gibibyte))
		i.put(t, "etc/resolv.conf", "nameserver 127.0.0.1\n")
		i.put(t, "etc/hosts", "127.0.0.1 localhost\n")
	}
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(i.root), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all[name] = fmt.Sprint(info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
