package validate_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

// laid is what `make install` lays out below an empty folder, made once: it builds the programs.
var laid struct {
	once sync.Once
	dir  string
	out  []byte
	err  error
}

// installed is a copy of that, for a test to change.
func installed(t *testing.T) string {
	t.Helper()
	laid.once.Do(func() {
		if laid.dir, laid.err = os.MkdirTemp("", "weir-install"); laid.err == nil {
			laid.out, laid.err = exec.Command("make", "-s", "-C", root, "install", "DESTDIR="+laid.dir).CombinedOutput()
		}
	})
	if laid.err != nil {
		t.Fatalf("make install: %v\n%s", laid.err, laid.out)
	}
	dir := t.TempDir()
	run(t, nil, "cp", "-a", laid.dir+"/.", dir)
	return dir
}

// run is a program's output; it fails the test when the program fails.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// needs ends a test on a machine without the program, unless that is forbidden.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("WEIR_TEST_ALL") != "" {
		t.Fatalf("needs %s (make deps)", program)
	}
	t.Skipf("skipped: needs %s (make deps)", program)
}

// TestInstall: what `make install` lays out is what the packages hold, programs and units and the pages of every verb, and it leaves a configuration alone that is there.
func TestInstall(t *testing.T) {
	dir := installed(t)
	var got []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if !strings.HasPrefix(name, "/usr/share/man/man1/weir-") {
			got = append(got, fmt.Sprintf("%o %s", info.Mode().Perm(), name))
		}
		if info.Size() == 0 {
			t.Errorf("%s is empty", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(`644:/etc/fail2ban/filter.d/weir.conf 644:/etc/fail2ban/jail.d/weir.conf 644:/etc/logrotate.d/weir 600:/etc/valor-api/blue.env 600:/etc/valor-api/green.env 640:/etc/weir/weir.toml 755:/usr/bin/valor-api 755:/usr/bin/weir
		644:/usr/lib/systemd/system/valor-api@.service 644:/usr/lib/systemd/system/weir.service 644:/usr/lib/sysusers.d/valor-api.conf 644:/usr/lib/sysusers.d/weir.conf
		644:/usr/lib/tmpfiles.d/valor-api.conf 644:/usr/lib/tmpfiles.d/weir.conf 644:/usr/share/bash-completion/completions/weir 644:/usr/share/doc/valor-api/copyright
		644:/usr/share/doc/weir/copyright 644:/usr/share/doc/weir/weir.toml 644:/usr/share/fish/vendor_completions.d/weir.fish 644:/usr/share/man/man1/weir.1
		644:/usr/share/zsh/vendor-completions/_weir`)
	for i := range want {
		want[i] = strings.Replace(want[i], ":", " ", 1)
	}
	if !slices.Equal(got, want) {
		t.Errorf("installed:\n%s\nnot:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	weir := filepath.Join(dir, "usr/bin/weir")
	run(t, nil, weir, "check", "-c", filepath.Join(dir, "etc/weir/weir.toml"))
	run(t, nil, "bash", "-n", filepath.Join(dir, "usr/share/bash-completion/completions/weir"))
	if jails, err := os.ReadFile(filepath.Join(dir, "etc/fail2ban/jail.d/weir.conf")); err != nil || bytes.Count(jails, []byte("enabled  = false\n")) != bytes.Count(jails, []byte("\n[weir-")) || bytes.Contains(jails, []byte("= true")) {
		t.Errorf("somebody is banned by a package that was installed: %s %v", jails, err)
	}
	for _, jail := range strings.Split(read(t, "configs/deploy/fail2ban/jail.d/weir.conf"), "\n[weir-")[1:] {
		name, _, _ := strings.Cut(jail, "]")
		var keys []string
		for _, m := range regexp.MustCompile(`(?m)^(\w+) *= `).FindAllStringSubmatch(jail, -1) {
			keys = append(keys, m[1])
		}
		// fail2ban takes any key, and acts by those that it knows.
		if got := strings.Join(keys, " "); got != "enabled filter logpath port protocol maxretry findtime bantime" || !strings.Contains(jail, "\nfilter   = weir[mode="+name+"]\n") {
			t.Errorf("jail weir-%s: %s", name, got)
		}
	}
	mine := []byte("# mine\n")
	configurations := []string{"etc/weir/weir.toml", "etc/logrotate.d/weir", "etc/fail2ban/filter.d/weir.conf", "etc/fail2ban/jail.d/weir.conf"}
	for _, name := range configurations {
		if err := os.WriteFile(filepath.Join(dir, name), mine, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	run(t, nil, "make", "-s", "-C", root, "install", "DESTDIR="+dir)
	for _, name := range configurations {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, mine) {
			t.Errorf("%s was replaced: %s %v", name, b, err)
		}
	}
}

// exposure is what systemd says at most about what a service may do, of 10: an untouched one has 9.6, nginx's own unit 9.
var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([01]\.\d) OK`)

// TestUnits: systemd takes the units as they are, rates them below 2, and their command lines are ones that the installed programs understand.
func TestUnits(t *testing.T) {
	needs(t, "systemd-analyze")
	dir := installed(t)
	targets, err := filepath.Glob("/lib/systemd/system/*.target") // verify follows what a unit wants
	if err != nil || len(targets) == 0 {
		t.Fatal(targets, err)
	}
	for _, unit := range append(targets, "/lib/systemd/system/tmp.mount") {
		b, err := os.ReadFile(unit)
		if os.IsNotExist(err) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "usr/lib/systemd/system", filepath.Base(unit)), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, "opt/valor-api"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../usr/bin", filepath.Join(dir, "opt/valor-api/blue")); err != nil { // as valor-api.tmpfiles has it
		t.Fatal(err)
	}
	for _, unit := range []string{"weir.service", "valor-api@blue.service"} {
		if out := run(t, nil, "systemd-analyze", "verify", "--man=no", "--root="+dir, unit); out != "" {
			t.Errorf("%s: %s", unit, out)
		}
		if out := run(t, nil, "systemd-analyze", "security", "--no-pager", "--offline=yes", "--root="+dir, unit); !exposure.MatchString(out) {
			t.Errorf("%s: %s", unit, out)
		}
	}
	unit := read(t, "configs/deploy/systemd/weir.service")
	lines := regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/weir (\w+)(.*)$`).FindAllStringSubmatch(unit, -1)
	if len(lines) != 3 {
		t.Fatalf("%q", lines)
	}
	for _, l := range lines {
		help := run(t, nil, filepath.Join(dir, "usr/bin/weir"), l[1], "--help")
		for _, flag := range regexp.MustCompile(`(?:^|\s)(-\S+)`).FindAllStringSubmatch(l[2], -1) {
			if !regexp.MustCompile(`(?m)^\s+(-\w, )?` + flag[1] + `\b|^\s+` + flag[1] + `,`).MatchString(help) {
				t.Errorf("weir %s has no %s:\n%s", l[1], flag[1], help)
			}
		}
	}
}

// TestUsers: the packages' users and folders come into being where nothing is, and have no shell.
func TestUsers(t *testing.T) {
	needs(t, "systemd-sysusers")
	if os.Getuid() != 0 {
		t.Skip("skipped: users of another root are root's to make")
	}
	dir := installed(t)
	run(t, nil, "systemd-sysusers", "--root="+dir)
	run(t, nil, "systemd-tmpfiles", "--root="+dir, "--create")
	users, err := os.ReadFile(filepath.Join(dir, "etc/passwd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`(?m)^weir:.*:/var/lib/weir:/usr/sbin/nologin$`, `(?m)^valor:.*:/var/lib/valor-api:/usr/sbin/nologin$`} {
		if !regexp.MustCompile(want).Match(users) {
			t.Errorf("no %s in\n%s", want, users)
		}
	}
	for _, colour := range []string{"blue", "green"} {
		if to, err := os.Readlink(filepath.Join(dir, "opt/valor-api", colour)); err != nil || to != "/usr/bin" {
			t.Errorf("%s runs %s: %v", colour, to, err)
		}
	}
	for _, folder := range []string{"etc/weir", "etc/valor-api"} {
		if info, err := os.Stat(filepath.Join(dir, folder)); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("%s: %v %v", folder, info, err)
		}
	}
}

// nfpm is as much of its format as the packages use. Another key is an error, as it is for nfpm itself.
type nfpm struct {
	Name, Arch, Platform, Version, Section, Priority, Maintainer, Description, Homepage, License string
	Umask                                                                                        int
	Contents                                                                                     []struct {
		Src, Dst, Type string
		FileInfo       struct {
			Mode         int
			Owner, Group string
		} `yaml:"file_info"`
	}
	Scripts    struct{ Postinstall, Preremove, Postremove string }
	Recommends []string
}

// TestPackages: what `make install` lays out is in one package or the other, with configurations marked as such, and the scripts are sound shell.
func TestPackages(t *testing.T) {
	packages := map[string]nfpm{}
	for _, name := range []string{"weir", "valor-api"} {
		var p nfpm
		d := yaml.NewDecoder(strings.NewReader(read(t, "configs/deploy/package/"+name+".yaml")))
		d.KnownFields(true)
		if err := d.Decode(&p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		packages[name] = p
		if p.Name != name || p.Umask != 0o022 || p.Arch != "${ARCH}" || p.Version != "${VERSION}" || p.Platform != "linux" || p.License != "Apache-2.0" || p.Maintainer == "" || p.Description == "" ||
			p.Scripts.Postinstall != "configs/deploy/package/"+name+".postinst" || p.Scripts.Preremove != "configs/deploy/package/"+name+".prerm" || p.Scripts.Postremove != "configs/deploy/package/postrm" || !slices.Equal(p.Recommends, []string{"ca-certificates"}) {
			t.Errorf("%+v", p)
		}
		for _, c := range p.Contents {
			if c.Src != "dist/root/"+name+c.Dst || c.Type != "tree" && c.Type != "config|noreplace" || strings.HasPrefix(c.Dst, "/etc/") != (c.Type == "config|noreplace") {
				t.Errorf("%s: %+v", name, c)
			}
		}
		for _, script := range []string{p.Scripts.Postinstall, p.Scripts.Preremove, p.Scripts.Postremove} {
			run(t, nil, "sh", "-n", filepath.Join(root, script))
		}
	}
	dir := installed(t)
	err := filepath.WalkDir(dir, func(path string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		file, name := strings.TrimPrefix(path, dir), "weir"
		if strings.Contains(file, "valor-api") {
			name = "valor-api"
		}
		info, err := f.Info()
		if err != nil {
			return err
		}
		for _, c := range packages[name].Contents {
			if c.Dst == file && (c.FileInfo.Mode != int(info.Mode().Perm()) || c.FileInfo.Owner != "root" || c.FileInfo.Group != "root") {
				t.Errorf("%s packs %s as %+v, make install as %v", name, file, c.FileInfo, info.Mode())
			}
			if c.Dst == file || c.Type == "tree" && strings.HasPrefix(file, c.Dst) {
				return nil
			}
		}
		t.Errorf("%s does not pack %s", name, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPackageScripts: in a container without systemd the scripts do nothing to services; removal stops them, the upgrade of a package does not.
func TestPackageScripts(t *testing.T) {
	bin := t.TempDir()
	record := filepath.Join(bin, "record")
	for _, name := range []string{"systemctl", "systemd-sysusers", "systemd-tmpfiles", "chgrp", "weir"} {
		body := "#!/bin/sh\necho " + name + " \"$@\" >> " + record + "\n[ \"$FAILS\" != " + name + " ]\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=" + bin + ":/usr/bin:/bin"}
	for _, s := range []struct{ script, arg, want string }{
		{"weir.postinst", "configure", "systemd-sysusers weir.conf\nsystemd-tmpfiles --create weir.conf\nchgrp weir /etc/weir/weir.toml\nsystemctl daemon-reload\nsystemctl --quiet is-active weir.service\nweir upgrade\n"},
		{"weir.prerm", "remove", "systemctl disable --now weir.service\n"},
		{"weir.prerm", "upgrade", ""},
		{"weir.prerm", "1", ""},
		{"weir.prerm", "0", "systemctl disable --now weir.service\n"},
		{"valor-api.postinst", "configure", "systemd-sysusers valor-api.conf\nsystemd-tmpfiles --create valor-api.conf\nsystemctl daemon-reload\n"},
		{"valor-api.prerm", "remove", "systemctl disable --now valor-api@*.service\n"},
		{"valor-api.prerm", "upgrade", ""},
		{"valor-api.prerm", "1", ""},
		{"valor-api.prerm", "0", "systemctl disable --now valor-api@*.service\n"},
		{"postrm", "remove", "systemctl daemon-reload\n"},
	} {
		script := strings.ReplaceAll(read(t, "configs/deploy/package/"+s.script), "/run/systemd/system", bin)
		_ = os.Remove(record) // there is none yet
		run(t, env, "sh", "-c", script, "sh", s.arg)
		b, err := os.ReadFile(record)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if string(b) != s.want {
			t.Errorf("%s %s:\n%swant:\n%s", s.script, s.arg, b, s.want)
		}
		// What fails ends the script, and the installation with it; but an upgrade that does not come about leaves the program before running, and the package installed.
		for line := range strings.Lines(s.want) {
			failing, _, _ := strings.Cut(line, " ")
			cmd := exec.Command("sh", "-c", script, "sh", s.arg)
			cmd.Env = append(append(os.Environ(), env...), "FAILS="+failing)
			if err := cmd.Run(); (err == nil) != (failing == "weir") {
				t.Errorf("%s %s: %v when %s fails", s.script, s.arg, err, failing)
			}
		}
		none := strings.ReplaceAll(read(t, "configs/deploy/package/"+s.script), "/run/systemd/system", filepath.Join(bin, "none"))
		_ = os.Remove(record) // as above
		run(t, env, "sh", "-c", none, "sh", s.arg)
		if b, err := os.ReadFile(record); err == nil && strings.Contains(string(b), "systemctl ") {
			t.Errorf("%s %s without systemd: %s", s.script, s.arg, b)
		}
	}
}
