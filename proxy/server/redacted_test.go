package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/configs"
)

// secretKeys are the keys of the file whose values are secrets, by type.
func secretKeys(t reflect.Type, seen map[reflect.Type]bool) (keys []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("toml")
		switch {
		case key == "-":
		case f.Type == reflect.TypeFor[configs.Secret](), f.Type == reflect.TypeFor[configs.SecretSet]():
			keys = append(keys, t.Name()+"."+key)
		default:
			keys = append(keys, secretKeys(f.Type, seen)...)
		}
	}
	return keys
}

// TestNoSecretIsShown: GET /v1/config, status and the log have the value of none of the keys that are secrets, whatever is configured; a new one of those has to be added here.
func TestNoSecretIsShown(t *testing.T) {
	const s = "hunter2hunter2hunter2aBcDeFgHiJkLmNo" // long enough for every key, and base64url
	acme := "[tls.acme]\nemail = \"a@example.com\"\nchallenges = [\"dns-01\"]\n[[tls.acme.ca]]\ndirectory = \"https://127.0.0.1:1/dir\"\neab_kid = \"kid\"\neab_hmac = \"" + s + "\"\n[tls.acme.dns]\npropagation_timeout = \"60s\"\n"
	shown := map[string]bool{}
	for _, c := range []struct{ name, keys, top string }{
		{"admin", "Admin.token", ""},
		{"cluster", "Cluster.redis Cluster.secret Cluster.previous_secret", "[cluster]\nredis = \"redis://me:" + s + "@127.0.0.1:1/0\"\nsecret = \"" + s + "1\"\nprevious_secret = \"" + s + "2\"\n"},
		{"tracing", "Tracing.headers", "[tracing]\nendpoint = \"http://127.0.0.1:1\"\nheaders = { \"Authorization\" = \"Bearer " + s + "\", \"X-Scope\" = \"" + s + "\" }\n"},
		{"login", "Auth.client_secret", "[auth.login]\ntype = \"oidc\"\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"weir\"\nclient_secret = \"" + s + "\"\n"},
		{"cloudflare", "ACMECA.eab_hmac ACMEDNS.token", acme + "provider = \"cloudflare\"\ntoken = \"" + s + "\"\n"},
		{"route53", "ACMEDNS.secret_access_key ACMEDNS.session_token", acme + "provider = \"route53\"\naccess_key_id = \"id\"\nsecret_access_key = \"" + s + "\"\nsession_token = \"" + s + "\"\n"},
		{"rfc2136", "ACMEDNS.tsig_secret", acme + "provider = \"rfc2136\"\nnameserver = \"127.0.0.1:1\"\ntsig_key = \"weir\"\ntsig_secret = \"" + s + "\"\n"},
		{"httpreq", "ACMEDNS.password", acme + "provider = \"httpreq\"\nendpoint = \"https://127.0.0.1:1/\"\nusername = \"u\"\npassword = \"" + s + "\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tempDir(t)
			text := protectText(dir, "127.0.0.1:1", "", "host = [\"a.example.test\"]\n")
			text = strings.Replace(text, "state_dir", "token = \""+s+"\"\nstate_dir", 1)
			text = strings.Replace(text, "access = \"off\"", "output = \"log\"\nlevel = \"debug\"", 1) + c.top
			if strings.HasPrefix(c.top, "[tls.acme]") {
				text = strings.Replace(text, "address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\ntls = true\n", 1)
			}
			r := run(t, dir, text)
			told := map[string]string{}
			for _, path := range []string{"/v1/config", "/v1/status", "/v1/certificates", "/metrics"} {
				told[path] = r.call(http.StatusOK, "GET", path, "", "Authorization", "Bearer "+s)
			}
			r.stop()
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			told["log"] = string(log)
			for where, text := range told {
				if strings.Contains(text, "hunter2") {
					t.Errorf("%s shows a secret:\n%s", where, text)
				}
			}
			for _, key := range strings.Fields(c.keys) {
				shown[key] = true
				if _, name, _ := strings.Cut(key, "."); !strings.Contains(told["/v1/config"], "\""+name+"\":\"[redacted]\"") && key != "Tracing.headers" {
					t.Errorf("%s is not there as redacted:\n%s", key, told["/v1/config"])
				}
			}
			if c.name == "tracing" && !strings.Contains(told["/v1/config"], `"headers":{"Authorization":"[redacted]","X-Scope":"[redacted]"}`) {
				t.Errorf("the fields of the collector:\n%s", told["/v1/config"])
			}
		})
	}
	keys := secretKeys(reflect.TypeFor[configs.Config](), map[reflect.Type]bool{})
	if len(keys) != len(shown) || slices.ContainsFunc(keys, func(k string) bool { return !shown[k] }) {
		t.Errorf("secrets of the file are %q, those looked at %v", keys, shown)
	}
}
