package validate_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// recorder is a kubectl that keeps what it is asked to create, as a folder of Secrets with their keys, and writes down how it was called.
const recorder = `#!/bin/sh
echo "$@" >>"$RECORD/calls"
while [ "${1#-}" != "$1" ]; do shift 2; done
case "$1 $2" in
"get namespace") [ -e "$RECORD/namespace-$3" ] ;;
"create namespace") : >"$RECORD/namespace-$3" ;;
"get secret") [ -d "$RECORD/secrets/$3" ] ;;
"create secret")
	[ -z "$REFUSES" ] || exit 1
	name=$RECORD/secrets/$4
	mkdir "$name"
	shift 4
	for a; do
		case $a in
		--from-file=*) f=${a#--from-file=} && cp "$f" "$name/${f##*/}" ;;
		--cert=*) cp "${a#--cert=}" "$name/tls.crt" ;;
		--key=*) cp "${a#--key=}" "$name/tls.key" ;;
		*) exit 9 ;;
		esac
	done ;;
*) exit 9 ;;
esac
`

// secretsFor runs secrets.sh against the recorder in a folder and returns what it said.
func secretsFor(t *testing.T, dir string, env ...string) (string, error) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "secrets"), 0o755), os.WriteFile(filepath.Join(dir, "kubectl"), []byte(recorder), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", filepath.Join(kubernetesDir, "secrets.sh"), "weir-staging")
	cmd.Env = append(append(os.Environ(), "RECORD="+dir, "KUBECTL="+filepath.Join(dir, "kubectl")), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// secretKeys are the Secrets that secrets.sh makes, and their keys.
func secretKeys(t *testing.T) map[string][]string {
	t.Helper()
	dir := t.TempDir()
	if out, err := secretsFor(t, dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "secrets/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, f := range files {
		all[filepath.Base(filepath.Dir(f))] = append(all[filepath.Base(filepath.Dir(f))], filepath.Base(f))
	}
	return all
}

// TestKubernetesSecrets: secrets.sh makes what is missing once, with one password on both sides, tells no argument list of it, and refuses halves.
func TestKubernetesSecrets(t *testing.T) {
	dir := t.TempDir()
	get := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, "secrets", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	out, err := secretsFor(t, dir, "DATABASE_PASSWORD=from outside")
	if err != nil || !strings.Contains(out, "no Secret weir-tls yet") {
		t.Fatalf("%v: %s", err, out)
	}
	password := get("weir-secrets/redis-password")
	if len(password) != 64 || get("valor-api-secrets/redis-password") != password || get("valor-redis-secrets/redis-auth") != "requirepass "+password ||
		get("valor-api-secrets/database-password") != "from outside" || len(get("weir-secrets/admin-token")) != 64 || get("weir-secrets/admin-token") == password {
		t.Error("the secrets do not fit each other")
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil || strings.Contains(string(calls), password) || strings.Contains(string(calls), "outside") {
		t.Errorf("%v: %s", err, calls)
	}
	writeFile(t, filepath.Join(dir, "mine.pem"), "certificate")
	writeFile(t, filepath.Join(dir, "mine.key"), "key")
	if out, err := secretsFor(t, dir, "TLS_CERT="+dir+"/mine.pem"); err == nil || !strings.Contains(out, "the key of TLS_CERT") {
		t.Errorf("a certificate without a key: %v: %s", err, out)
	}
	if out, err := secretsFor(t, dir, "TLS_CERT="+dir+"/mine.pem", "TLS_KEY="+dir+"/mine.key"); err != nil || get("weir-secrets/redis-password") != password || get("weir-tls/tls.crt") != "certificate" || get("weir-tls/tls.key") != "key" {
		t.Errorf("again: %v: %s", err, out)
	}
	if out, err := secretsFor(t, dir, "REDIS_PASSWORD=another"); err != nil || out != "" || get("weir-secrets/redis-password") != password {
		t.Errorf("with everything there: %v: %s", err, out)
	}
	if out, err := secretsFor(t, t.TempDir(), "REFUSES=yes"); err == nil {
		t.Errorf("nothing could be created: %s", out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "secrets/valor-api-secrets")); err != nil {
		t.Fatal(err)
	}
	if out, err := secretsFor(t, dir); err == nil || !strings.Contains(out, "has weir-secrets valor-redis-secrets but not the others") {
		t.Errorf("a half: %v: %s", err, out)
	}
}

// pod is the file system of a container of ours: its program, and its volumes as kubelet fills them.
func pod(t *testing.T, c *cluster, w workload, container corev1.Container) string {
	t.Helper()
	record := t.TempDir()
	if out, err := secretsFor(t, record); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // t.TempDir is for its owner alone
		t.Fatal(err)
	}
	program := strings.TrimPrefix(exact.ReplaceAllString(container.Image, ""), "ghcr.io/valor-ivx/")
	copyTree(t, filepath.Join(binaries(t), program), filepath.Join(dir, "usr/bin", program))
	if err := os.Chmod(filepath.Join(dir, "usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, m := range container.VolumeMounts {
		to := filepath.Join(dir, m.MountPath)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(w.pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
		switch v := w.pod.Spec.Volumes[i]; {
		case v.ConfigMap != nil:
			j := slices.IndexFunc(c.configs, func(have corev1.ConfigMap) bool { return have.Name == v.ConfigMap.Name })
			for name, text := range c.configs[j].Data {
				writeFile(t, filepath.Join(to, name), text)
			}
		case v.Secret != nil && v.Secret.SecretName == "weir-tls": // cert-manager's, made by another hand
			if out, err := exec.Command(filepath.Join(binaries(t), "weir"), "certs", "local", "--out", record+"/tls", "x.example").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			pair, err := os.ReadFile(filepath.Join(record, "tls/local.pem"))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(to, "tls.crt"), string(pair))
			writeFile(t, filepath.Join(to, "tls.key"), string(pair))
		case v.Secret != nil:
			copyTree(t, filepath.Join(record, "secrets", v.Secret.SecretName)+"/.", to)
			if out, err := exec.Command("chmod", "-R", "a+rX", to).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		default:
			if err := os.Chown(to, 65532, 65532); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// asService is a container in the terms of those of compose, so that both are started alike.
func asService(w workload, c corev1.Container) *service {
	s := &service{Environment: map[string]string{}}
	s.Build.Target = strings.TrimPrefix(exact.ReplaceAllString(c.Image, ""), "ghcr.io/valor-ivx/")
	for _, v := range c.Env {
		if v.ValueFrom != nil {
			v.Value = w.pod.Labels["weir.dev/colour"] // the only such one; the API refuses others
		}
		s.Environment[v.Name] = v.Value
	}
	return s
}

// TestKubernetesPrograms: the programs accept what their pods give them: the edge its configuration, secrets, certificate and front end without a warning, the API its
// environment, which is as far as it comes without a database.
func TestKubernetesPrograms(t *testing.T) {
	needsRoot(t)
	page := read(t, "docs/api.md")
	for _, env := range variants {
		c := overlay(t, env)
		for _, w := range c.workloads {
			if w.kind != "Deployment" {
				continue
			}
			main := w.pod.Spec.Containers[0]
			s, dir := asService(w, main), pod(t, c, w, main)
			writeFile(t, filepath.Join(dir, "etc/hosts"), "127.0.0.1 localhost\n")
			if main.Name == "weir" {
				web := w.pod.Spec.InitContainers[0]
				copyTree(t, filepath.Join(binaries(t), "valor-api"), filepath.Join(dir, "usr/bin/valor-api"))
				if out, err := asService(w, web).run(t, dir, web.Args...); err != nil {
					t.Errorf("%s: %v: %s", env, err, out)
				}
				out, err := s.run(t, dir, "check", "-c", main.Args[2])
				if err != nil || strings.Contains(out, "warning") || !strings.Contains(out, ": ok (2 listeners, 5 routes, 1 services)") {
					t.Errorf("%s: %v: %s", env, err, out)
				}
				if out, err := s.run(t, dir, "config", "print", "-c", main.Args[2]); err != nil {
					t.Errorf("%s: %v: %s", env, err, out)
				} else {
					checkEdge(t, env, out, variable(main, "EDGE_HOST"))
				}
				continue
			}
			for name := range s.Environment {
				if !strings.Contains(page, "`"+name+"`") {
					t.Errorf("%s: %s: nothing reads %s", env, w.name, name)
				}
			}
			if out, err := s.run(t, dir); err == nil || strings.Contains(out, "VALOR_") || !strings.Contains(out, `"msg":"failed to start"`) || !strings.Contains(out, "valor-postgres") ||
				!strings.Contains(out, `"color":"`+w.pod.Labels["weir.dev/colour"]+`"`) {
				t.Errorf("%s: %s: %v: %s", env, w.name, err, out)
			}
		}
	}
}

// TestKubernetesProbes: the paths of every probe, and those of the ServiceMonitors, are answered by the running programs.
func TestKubernetesProbes(t *testing.T) {
	dir, err := os.MkdirTemp("", "vp") // short: a unix socket's path is limited to 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	writeFile(t, filepath.Join(dir, "weir.toml"), "[admin]\naddress = \"unix://"+socket+"\"\nstate_dir = \""+dir+"/state\"\n[[listener]]\naddress = \"127.0.0.1:0\"\n[[route]]\nservice = \"api\"\n"+
		"[service.api.group.blue]\ntargets = [\"127.0.0.1:9\"]\n")
	background(t, exec.Command(filepath.Join(binaries(t), "weir"), "run", "-c", filepath.Join(dir, "weir.toml")), "configuration in force")
	api := exec.Command(filepath.Join(binaries(t), "valor-api"))
	api.Env = append(os.Environ(), "VALOR_ENV=demo", "VALOR_ADDRESS=127.0.0.1:0", "VALOR_DATABASE=file:"+filepath.Join(dir, "x.db"))
	var listening struct{ Address string }
	if err := json.Unmarshal([]byte(background(t, api, `"msg":"listening"`)), &listening); err != nil {
		t.Fatal(err)
	}
	at := func(network, address string) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		}}}
	}
	clients := map[string]*http.Client{"weir": at("unix", socket), "valor-api": at("tcp", listening.Address)}
	answered := func(program, path string) {
		t.Helper()
		res, err := clients[program].Get("http://" + program + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("%s%s: %s, %v", program, path, res.Status, err)
		}
	}
	c := overlay(t, "production")
	for _, w := range c.workloads {
		main := w.pod.Spec.Containers[0]
		for _, p := range []*corev1.Probe{main.StartupProbe, main.LivenessProbe, main.ReadinessProbe} {
			if p.HTTPGet == nil || !w.port(p.HTTPGet.Port, "") {
				t.Errorf("%s: probe %+v", w.name, p)
				continue
			}
			answered(main.Name, p.HTTPGet.Path)
		}
	}
	for _, m := range c.monitors {
		answered(m.Metadata.Name, m.Spec.Endpoints[0].Path)
	}
}

// background starts a program, waits until it says text and ends it with the test.
func background(t *testing.T, cmd *exec.Cmd, text string) string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(end)
	said := readUntil(t, out, text)
	return said[len(said)-1]
}
