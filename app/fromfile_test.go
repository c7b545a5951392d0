package app_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets come as files too: alone as they are, inside a URL escaped, and never in what is said about them.
func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "${file:" + path + "}"
	}
	jwt, password, empty := file("jwt", secret+"\n"), file("password", "h/u n+t:e@r?2#%\n"), file("empty", "\n")
	c, err := load("VALOR_JWT_SECRET="+jwt, "VALOR_DATABASE=postgres://valor:"+password+"@db/valor", "VALOR_CACHE=redis://:"+password+"@redis/0",
		"VALOR_PROVIDER_URL=https://figures.example", "VALOR_PROVIDER_KEY="+password)
	if err != nil {
		t.Fatal(err)
	}
	const escaped = "h%2Fu%20n%2Bt%3Ae%40r%3F2%23%25"
	if string(c.Secret) != secret || string(c.Postgres) != "postgres://valor:"+escaped+"@db/valor" || string(c.CacheRedis) != "redis://:"+escaped+"@redis/0" ||
		string(c.ProviderKey) != "h/u n+t:e@r?2#%" {
		t.Errorf("%q %q %q %q", string(c.Secret), string(c.Postgres), string(c.CacheRedis), string(c.ProviderKey))
	}
	for value, want := range map[string]string{
		"${file:" + filepath.Join(dir, "none") + "}": "no such file", empty: "is empty", "${file:" + dir + "}": "is a directory", "${file:/x": "is not closed",
	} {
		_, err := load("VALOR_JWT_SECRET=" + value)
		if err == nil || !strings.HasPrefix(err.Error(), "VALOR_JWT_SECRET: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", value, err, want)
		}
	}
}
