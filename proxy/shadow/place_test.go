package shadow_test

import (
	"testing"

	"github.com/valor-ivx/weir/proxy/message"
	"github.com/valor-ivx/weir/proxy/shadow"
)

func TestEndpointsNameKindsOfRequests(t *testing.T) {
	for path, want := range map[string]string{
		"/":                                  "GET /",
		"/api/users/":                        "GET /api/users/",
		"/api/v1/users/1234/orders/9f8e7d6c": "GET /api/v1/users/*/orders/*",
		"/u/3fa85f64-5717-4562-b3fc-2c963f66afa6": "GET /u/*",
		"/u/ann@example.com":                      "GET /u/*",
		"/u/a%20b":                                "GET /u/*",
		"/oauth2/s3":                              "GET /oauth2/s3",
		"/2024/05/x":                              "GET /*/*/x",
		"/report-2024.csv":                        "GET /*",
		"/style.css":                              "GET /style.css",
		"/a/b/c/d/e/f/g/h/i/j/k/l/m/n":            "GET /a/b/c/d/e/f/g/h/i/j/k/l/…",
		"/averyveryveryveryveryveryveryveryveryverylongslug": "GET /*",
	} {
		if got := shadow.EndpointOf("GET", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPatterns(t *testing.T) {
	for text, good := range map[string]bool{
		"$.a": true, "$[]": true, "$.a[].b": true, "$[][]": true, "$.*": true, "$.a-b_c": true, "$.a[]": true,
		"": false, "a": false, "$": false, "$.": false, "$..a": false, "$a": false, "$[0]": false, "$.a[": false, "$.a[]b": false, "$.a.": false,
	} {
		if _, err := shadow.ParsePattern(text); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSecretsAreKnownByTheirNames(t *testing.T) {
	for name, want := range map[string]bool{
		"password": true, "X-Api-Key": true, "api_key": true, "accessToken": true, "Set-Cookie": true, "sessionId": true, "client.secret": true, "PIN": true, "otp": true, "X-Auth": true,
		"name": false, "pinned": false, "author": false, "passenger": false, "price": false, "": false, "key": false, "Accept": false, "hotpink": false,
	} {
		if shadow.Secretive(name) != want {
			t.Errorf("%q: not %v", name, want)
		}
	}
}

// TestRequestsThatSayWhoTheyAreFrom: credentials are known by the fields made for them, and others and parameters by their names.
func TestRequestsThatSayWhoTheyAreFrom(t *testing.T) {
	for _, c := range []struct {
		field, value, query string
		want                bool
	}{
		{"Accept", "*/*", "page=1&sort=name", false}, {"Authorization", "Basic eDp5", "", true}, {"cookie", "a=b", "", true}, {"X-Api-Key", "k", "", true}, {"X_Auth_Token", "k", "", true},
		{"Client-Cert", ":Zm9v:", "", true}, {"Accept", "", "access_token=x", true}, {"Accept", "", "a=1&code=9", true}, {"Accept", "", "k%65y=1", true}, {"Accept", "", "key=AIza", true},
		{"Accept", "", "keyword=x", false}, {"User-Agent", "token", "", false},
	} {
		var head message.Request
		head.Header.Add(c.field, c.value)
		head.Query = []byte(c.query)
		if shadow.Telling(&head) != c.want {
			t.Errorf("%+v: not", c)
		}
	}
}
