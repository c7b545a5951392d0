package demo

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
)

// prepared is the demo's folder, ready to run from.
type prepared struct {
	config, database, secretFile, secret string
	certificate                          Certificate
	// edited says that the configuration is the user's now.
	edited bool
}

func prepare(o Options) (prepared, error) {
	p := prepared{
		config: filepath.Join(o.Dir, "demo.toml"), database: filepath.Join(o.Dir, "valor.db"),
		secretFile: filepath.Join(o.Dir, "secret"),
	}
	var err error
	if p.secret, err = secret(p.secretFile); err != nil {
		return p, err
	}
	if p.certificate, err = o.Certificate(filepath.Join(o.Dir, "ca")); err != nil {
		return p, fmt.Errorf("make local certificate: %w", err)
	}
	text, err := render(o, p)
	if err != nil {
		return p, err
	}
	p.edited, err = keepOrWrite(p.config, text)
	return p, err
}

// secret reads the secret both colours share, or makes one.
func secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if s := strings.TrimSpace(string(b)); s != "" {
			return s, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	// 32 bytes: the key length of HMAC-SHA-256, which signs the API's tokens.
	var key [32]byte
	_, _ = rand.Read(key[:])
	s := hex.EncodeToString(key[:])
	return s, replace(path, []byte(s+"\n"))
}

// keepOrWrite writes the configuration unless the user has edited it. The digest of what was written lies
// beside it, so that other addresses on the command line still reach a file nobody touched.
func keepOrWrite(path string, text []byte) (edited bool, err error) {
	digestPath := filepath.Join(filepath.Dir(path), ".demo.toml.sha256")
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	now, err := os.ReadFile(path)
	switch {
	case err == nil:
		written, _ := os.ReadFile(digestPath)
		have := sha256.Sum256(now)
		if bytes.Equal(now, text) || hex.EncodeToString(have[:]) != strings.TrimSpace(string(written)) {
			return !bytes.Equal(now, text), nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("read configuration: %w", err)
	}
	// The digest first: after a crash in between, the old file counts as edited and is kept.
	if err := replace(digestPath, []byte(digest+"\n")); err != nil {
		return false, err
	}
	return false, replace(path, text)
}

// replace writes a file that others see whole or not at all.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// lock keeps a second demo out of the folder. The kernel lets go when the process ends, however it ends.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock demo folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another weir demo runs in %s: end it, or give this one a --dir of its own", filepath.Dir(path))
	}
	return func() { _ = f.Close() }, nil
}

// render fills the configuration in.
func render(o Options, p prepared) ([]byte, error) {
	t, err := template.New("demo.toml").Parse(configText)
	if err != nil {
		return nil, fmt.Errorf("parse configuration template: %w", err)
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]string{
		"HTTP": o.HTTP, "HTTPS": o.HTTPS, "Admin": o.Admin, "Blue": o.Blue, "Green": o.Green,
		"Cert": relative(o.Dir, p.certificate.Cert), "Key": relative(o.Dir, p.certificate.Key),
	})
	if err != nil {
		return nil, fmt.Errorf("render configuration: %w", err)
	}
	return b.Bytes(), nil
}

func relative(dir, path string) string {
	if r, err := filepath.Rel(dir, path); err == nil {
		return r
	}
	return path
}

// configText is the demo's configuration. Addresses come from flags that were tried as addresses, so they need
// no quoting.
const configText = `# The demo's configuration. Change it while the demo runs: weir sees it and reloads by itself, says so, and
# keeps what was in force if there is a mistake. Delete the file to get a new one.

[admin]
address = "{{.Admin}}"
state_dir = "state"

[log]
access = "combined"          # "off" for quiet, "json" for machines

[[listener]]
name = "http"
address = "{{.HTTP}}"

[[listener]]
name = "https"
address = "{{.HTTPS}}"
tls = true
protocols = ["http/1.1", "h2", "h3"]
headers = "demo"

[headers.demo]               # "basic" less one: a browser that trusts the demo's CA would remember for a year that
preset = "basic"             # everything on localhost speaks TLS
remove = ["Strict-Transport-Security"]

[[tls.certificate]]          # from the demo's own local CA
cert = "{{.Cert}}"
key = "{{.Key}}"

[headers.web]                # the pages need nothing but themselves; what they show is text, and a script that made markup of it would be stopped
preset = "strict"
content_security_policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
remove = ["Strict-Transport-Security"]

[[route]]
name = "api"
path = "/api"
service = "api"

[[route]]
name = "live"                # WebSockets
path = "/ws"
service = "api"

[[route]]
name = "openapi"
path = "=/openapi.json"
service = "api"

[[route]]                    # the front end, in the folder that "valor-api web --out web" writes
name = "web"
path = "/"
files = { root = "web", fallback = "index.html" }
headers = "web"

[service.api]
health = { path = "/api/readiness", interval = "1s", timeout = "1s", rise = 2, fall = 2 }

# "weir weights api blue=50 green=50" shifts clients at run time; what is here is what "reset" returns to.
[service.api.group.blue]
weight = 100
targets = ["{{.Blue}}"]

[service.api.group.green]
weight = 0
targets = ["{{.Green}}"]
`
