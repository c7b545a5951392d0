package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app"
)

const secret = "0123456789abcdef0123456789abcdef"

// load reads "NAME=value" pairs.
func load(pairs ...string) (app.Config, error) {
	env := map[string]string{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		env[name] = value
	}
	return app.Load(func(name string) string { return env[name] })
}

func TestDefaults(t *testing.T) {
	c, err := load("VALOR_JWT_SECRET=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "127.0.0.1:5002" || c.DatabasePath != "valor.db" || c.Demo || c.Color != "" ||
		c.FaultErrors != 0 || c.FaultLatency != 0 || len(c.Warnings) != 0 || string(c.Secret) != secret {
		t.Errorf("defaults %+v", c)
	}
}

func TestEverythingSet(t *testing.T) {
	c, err := load("VALOR_ENV=demo", "VALOR_ADDRESS=[::1]:0", "VALOR_DATABASE=file:/data/x y.db", "VALOR_CACHE=memory",
		"VALOR_JWT_SECRET="+secret, "VALOR_COLOR=green", "VALOR_TLS_CERT=c.pem", "VALOR_TLS_KEY=k.pem",
		"VALOR_FAULT_ERRORS=0.05", "VALOR_FAULT_LATENCY=200ms")
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "[::1]:0" || c.DatabasePath != "/data/x y.db" || !c.Demo || c.Color != "green" ||
		c.FaultErrors != .05 || c.FaultLatency != 200*time.Millisecond || c.TLSCert != "c.pem" || len(c.Warnings) != 1 {
		t.Errorf("config %+v", c)
	}
}

func TestPostgres(t *testing.T) {
	const dsn = "postgres://u:hunter2@db/valor?sslmode=verify-full"
	c, err := load("VALOR_ENV=demo", "VALOR_DATABASE="+dsn, "VALOR_DATABASE_CONNECTIONS=50", "VALOR_DATABASE_TIMEOUT=2s")
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Postgres) != dsn || c.DatabasePath != "" || c.DatabaseConns != 50 || c.StatementTimeout != 2*time.Second || strings.Contains(fmt.Sprintf("%+v %#v", c, c), "hunter2") {
		t.Errorf("%+v", c)
	}
}

func TestCache(t *testing.T) {
	for value, want := range map[string]struct {
		redis string
		bytes int64
	}{"": {"", 64 << 20}, "memory": {"", 64 << 20}, "off": {}, "redis://:hunter2@h/1": {"redis://:hunter2@h/1", 0}, "unix:///run/redis.sock": {"unix:///run/redis.sock", 0}} {
		c, err := load("VALOR_ENV=demo", "VALOR_CACHE="+value)
		if err != nil || string(c.CacheRedis) != want.redis || c.CacheBytes != want.bytes || c.CacheTTL != 5*time.Minute || strings.Contains(fmt.Sprintf("%+v %#v", c, c), "hunter2") {
			t.Errorf("%s: %+v, %v", value, c, err)
		}
	}
	c, err := load("VALOR_ENV=demo", "VALOR_CACHE_SIZE=3MiB", "VALOR_CACHE_TTL=1h")
	if err != nil || c.CacheBytes != 3<<20 || c.CacheTTL != time.Hour {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := load("VALOR_ENV=demo", "VALOR_CACHE=off", "VALOR_CACHE_SIZE=3MiB"); err == nil {
		t.Error("a size of no cache was accepted")
	}
}

func TestDemoGeneratesASecretAndSaysSo(t *testing.T) {
	a, err := load("VALOR_ENV=demo")
	b, err2 := load("VALOR_ENV=demo")
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if len(a.Secret) < 32 || string(a.Secret) == string(b.Secret) || len(a.Warnings) != 1 {
		t.Errorf("secret of %d bytes, warnings %v", len(a.Secret), a.Warnings)
	}
}

func TestBadEnvironment(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"", "VALOR_JWT_SECRET: required in production"},
		{"VALOR_JWT_SECRET=short", "VALOR_JWT_SECRET: needs 32 bytes or more"},
		{"VALOR_ENV=Demo", `VALOR_ENV: "Demo" is neither production nor demo`},
		{"VALOR_ADDRESS=5002", `VALOR_ADDRESS: "5002" is not host:port`},
		{"VALOR_DATABASE=mysql://u:hunter2@h/db", "VALOR_DATABASE: the value is neither file:PATH nor postgres://…"},
		{"VALOR_DATABASE=valor.db", "VALOR_DATABASE: the value is neither file:PATH nor postgres://…"},
		{"VALOR_DATABASE_CONNECTIONS=0", `VALOR_DATABASE_CONNECTIONS: "0" is not a number from 1 to 1000`},
		{"VALOR_DATABASE_TIMEOUT=5s", "VALOR_DATABASE_TIMEOUT: only with a postgres://… database"},
		{"VALOR_DATABASE=file:", "VALOR_DATABASE: \"file:\" is not file:PATH with a plain path"},
		{"VALOR_DATABASE=file::memory:", "is not file:PATH with a plain path"},
		{"VALOR_DATABASE=file:x.db?_pragma=journal_mode(OFF)", "is not file:PATH with a plain path"},
		{"VALOR_CACHE=http://:hunter2@h:6379", "VALOR_CACHE: the value is none of memory, off, redis://…, rediss://… and unix://…"},
		{"VALOR_CACHE=redis", "VALOR_CACHE: the value is none of memory"},
		{"VALOR_CACHE_TTL=0s", `VALOR_CACHE_TTL: "0s" is not a time from 1s to 720h`},
		{"VALOR_CACHE_SIZE=64", `VALOR_CACHE_SIZE: "64" is not a size from 1MiB to 1048576MiB`},
		{"VALOR_CACHE_SIZE=0MiB", `VALOR_CACHE_SIZE: "0MiB" is not a size`},
		{"VALOR_COLOR=Blue\n", "VALOR_COLOR:"},
		{"VALOR_COLOR=" + strings.Repeat("b", 33), "VALOR_COLOR:"},
		{"VALOR_TLS_CERT=c.pem", "VALOR_TLS_CERT and VALOR_TLS_KEY: set both or neither"},
		{"VALOR_FAULT_ERRORS=0.1", "VALOR_FAULT_ERRORS and VALOR_FAULT_LATENCY: only with VALOR_ENV=demo"},
		{"VALOR_FAULT_LATENCY=1ms", "only with VALOR_ENV=demo"},
	} {
		pairs := []string{c.env}
		if !strings.Contains(c.env, "SECRET") && c.env != "" {
			pairs = append(pairs, "VALOR_JWT_SECRET="+secret)
		}
		_, err := load(pairs...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", c.env, err, c.want)
		}
	}
	for _, bad := range []string{"5", "1ms", "2m", "x"} {
		if _, err := load("VALOR_ENV=demo", "VALOR_DATABASE=postgres://h/db", "VALOR_DATABASE_TIMEOUT="+bad); err == nil {
			t.Errorf("VALOR_DATABASE_TIMEOUT=%s was accepted", bad)
		}
	}
	for _, bad := range []string{"VALOR_FAULT_ERRORS=2", "VALOR_FAULT_ERRORS=NaN", "VALOR_FAULT_ERRORS=5%",
		"VALOR_FAULT_LATENCY=200", "VALOR_FAULT_LATENCY=-1s", "VALOR_FAULT_LATENCY=2m"} {
		if _, err := load("VALOR_ENV=demo", bad); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestEveryErrorIsReported(t *testing.T) {
	_, err := load("VALOR_ADDRESS=x", "VALOR_CACHE=y", "VALOR_ENV=z", "VALOR_TLS_KEY=k")
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != 5 {
		t.Errorf("%d errors, want 5:\n%v", n, err)
	}
}

func TestTheSecretDoesNotPrint(t *testing.T) {
	c, err := load("VALOR_JWT_SECRET=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if strings.Contains(fmt.Sprintf(verb, c), secret) {
			t.Errorf("%s prints the secret", verb)
		}
	}
}
