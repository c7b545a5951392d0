package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/valor-ivx/weir/proxy/server"
)

// seen is an upstream that keeps the head of the last request it was sent.
type seen struct {
	mu    sync.Mutex
	count int
	last  http.Header
}

func (s *seen) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.last = r.Header.Clone()
}

// since gives the head of the only request that f caused, nil for none.
func (s *seen) since(t *testing.T, f func()) http.Header {
	t.Helper()
	s.mu.Lock()
	before := s.count
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count > before+1 {
		t.Errorf("%d requests arrived", s.count-before)
	}
	if s.count == before {
		return nil
	}
	return s.last
}

// guardedEdge is a server with files beside its configuration, over an upstream that tells what it saw.
func guardedEdge(t *testing.T, files map[string]string, top, inRoute string) (*running, *seen, string) {
	t.Helper()
	dir := shortDir(t)
	for name, text := range files {
		put(t, dir, name, text)
	}
	s := &seen{}
	blue := &colour{name: "blue", handler: s}
	blue.start(t)
	r := run(t, dir, protectText(dir, blue.address, top, inRoute))
	t.Cleanup(func() {
		r.stop()
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	return r, s, dir
}

// put replaces a file as editors do.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// askRaw sends one request with these lines on a connection of its own.
func askRaw(t *testing.T, address string, lines ...string) (*http.Response, string) {
	t.Helper()
	c := connect(t, address)
	defer func() { _ = c.conn.Close() }()
	_, err := io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+strings.Join(append(lines, "\r\n"), "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestAccessListsKeepClientsOut: by the derived address, before the upstream hears of it; files are followed, and one with a mistake changes nothing.
func TestAccessListsKeepClientsOut(t *testing.T) {
	r, up, dir := guardedEdge(t, map[string]string{"office.txt": "192.0.2.0/24\n2001:db8::/32\n"},
		"[client_ip]\ntrusted_proxies = [\"127.0.0.1\"]\n[access.office]\nallow_file = \"office.txt\"\ndeny = [\"192.0.2.66\"]\n", "access = \"office\"\n")
	from := func(ip string) (status int) {
		head := up.since(t, func() {
			res, body := askRaw(t, r.address, "X-Forwarded-For: "+ip)
			status = res.StatusCode
			if status == 403 && (!strings.Contains(body, `"reason":"access_denied"`) || res.Header.Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("%s: %v %s", ip, res.Header, body)
			}
		})
		if (head != nil) != (status == 200) {
			t.Errorf("%s: %d, and the upstream was asked: %t", ip, status, head != nil)
		}
		return status
	}
	for ip, want := range map[string]int{
		"192.0.2.7": 200, "192.0.2.66": 403, "192.0.3.1": 403, "2001:db8::1": 200, "2001:db9::1": 403, "::ffff:192.0.2.7": 200,
		"192.0.2.7, 198.51.100.1": 403, // the nearest one that is nobody's proxy
	} {
		if got := from(ip); got != want {
			t.Errorf("%s: %d, want %d", ip, got, want)
		}
	}
	good := func(want string) bool {
		return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), `weir_access_list_last_reload_successful{access="office"} `+want+"\n")
	}
	if !good("1") {
		t.Error("the metric is not 1 at first")
	}
	put(t, dir, "office.txt", "198.51.100.0/24\n10.0.0.0/33\n")
	eventually(t, "the mistake in a metric", func() bool { return good("0") })
	if from("192.0.2.7") != 200 || from("198.51.100.1") != 403 {
		t.Error("a file with a mistake changed the list")
	}
	put(t, dir, "office.txt", "198.51.100.0/24\n")
	eventually(t, "the new file", func() bool { return from("198.51.100.1") == 200 })
	if from("192.0.2.7") != 403 || !good("1") {
		t.Error("the new file is not in force")
	}
	metrics := r.call(http.StatusOK, "GET", "/metrics", "")
	if !strings.Contains(metrics, `reason="access_denied"`) || strings.Contains(metrics, `reason="access_denied"} 0`) {
		t.Error("refusals are not counted")
	}
	e := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://x/","client_ip":"192.0.2.7"}`)
	if !strings.Contains(e, "access office refuses") {
		t.Errorf("explain: %s", e)
	}
}

// TestBadAccessFileRefusesStart: check names file and line, and a start fails, rather than letting everybody in.
func TestBadAccessFileRefusesStart(t *testing.T) {
	for _, c := range []struct{ top, inRoute, want string }{
		{"[access.office]\nallow_file = \"bad.txt\"\n", "access = \"office\"\n", "bad.txt:2: not a network"},
		{"[auth.staff]\ntype = \"basic\"\nusers_file = \"bad.txt\"\n", "auth = \"staff\"\n", "bad.txt:1: no colon"},
		{"[auth.staff]\ntype = \"basic\"\nusers_file = \"gone.txt\"\n", "auth = \"staff\"\n", "no such file"},
	} {
		dir := t.TempDir()
		put(t, dir, "bad.txt", "10.0.0.0/8\nnobody\n")
		put(t, dir, "weir.toml", protectText(dir, "127.0.0.1:5002", c.top, c.inRoute))
		if ok, said := checked(filepath.Join(dir, "weir.toml")); ok || !strings.Contains(said, c.want) {
			t.Errorf("%s: %t %s", c.want, ok, said)
		}
	}
}

// TestBasicAuthAttacked: who has no password of the file does not reach the upstream, whatever else the request says; who has arrives under one name.
func TestBasicAuthAttacked(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("good"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	r, up, dir := guardedEdge(t, map[string]string{"staff": "ann:" + string(hash) + "\n"},
		"[auth.staff]\ntype = \"basic\"\nusers_file = \"staff\"\nrealm = \"staff only\"\n", "auth = \"staff\"\n")
	const good = "Authorization: Basic YW5uOmdvb2Q=" // ann:good
	for name, c := range map[string]struct {
		lines  []string
		status int
		reason string
	}{
		"none":                {nil, 401, "credentials_missing"},
		"wrong":               {[]string{"Authorization: Basic YW5uOmJhZA=="}, 401, "credentials_invalid"},
		"unknown":             {[]string{"Authorization: Basic ZXZlOmdvb2Q="}, 401, "credentials_invalid"},
		"twice":               {[]string{good, good}, 401, "credentials_invalid"},
		"bad, then good":      {[]string{"Authorization: Basic YW5uOmJhZA==", good}, 401, "credentials_invalid"},
		"another scheme":      {[]string{"Authorization: Bearer YW5uOmdvb2Q="}, 401, "credentials_invalid"},
		"the proxy's field":   {[]string{"Proxy-" + good}, 401, "credentials_missing"},
		"in another's name":   {[]string{"X-Forwarded-User: ann"}, 401, "credentials_missing"},
		"folded":              {[]string{"Authorization: Basic", " YW5uOmdvb2Q="}, 400, "http_request_error"},
		"good":                {[]string{good}, 200, ""},
		"forged name":         {[]string{good, "X-Forwarded-User: root"}, 200, ""},
		"forged, underscores": {[]string{"x_forwarded_user: root", good, "X-Forwarded_User: root"}, 200, ""},
		"name dropped":        {[]string{good, "Connection: close, X-Forwarded-User"}, 200, ""},
	} {
		var res *http.Response
		var body string
		head := up.since(t, func() { res, body = askRaw(t, r.address, c.lines...) })
		if res.StatusCode != c.status || c.reason != "" && !strings.Contains(body, `"reason":"`+c.reason+`"`) || (head != nil) != (c.status == 200) {
			t.Errorf("%s: %d %s, upstream asked: %t", name, res.StatusCode, body, head != nil)
			continue
		}
		if c.status == 401 && (res.Header.Get("WWW-Authenticate") != `Basic realm="staff only", charset="UTF-8"` || res.Header.Get("X-Content-Type-Options") != "nosniff") {
			t.Errorf("%s: %v", name, res.Header)
		}
		if c.status != 200 {
			continue
		}
		var users []string
		for field, values := range head {
			if strings.EqualFold(strings.ReplaceAll(field, "_", "-"), "X-Forwarded-User") {
				users = append(users, values...)
			}
		}
		if !slices.Equal(users, []string{"ann"}) || head.Get("Authorization") != "" {
			t.Errorf("%s: the upstream saw %v", name, head)
		}
	}
	put(t, dir, "staff", "eve:"+string(hash)+"\n")
	eventually(t, "ann to be kept out", func() bool {
		res, _ := askRaw(t, r.address, good)
		return res.StatusCode == 401
	})
	if res, _ := askRaw(t, r.address, "Authorization: Basic ZXZlOmdvb2Q="); res.StatusCode != 200 {
		t.Errorf("eve: %d", res.StatusCode)
	}
	if m := r.call(http.StatusOK, "GET", "/metrics", ""); !strings.Contains(m, `weir_auth_last_reload_successful{auth="staff"} 1`) || !strings.Contains(m, `reason="credentials_invalid"`) {
		t.Error("the scrape lacks what auth did")
	}
}

// TestUserIsLogged: the access log has the name and no part of the credentials, also of those that were refused; limits come before passwords.
func TestUserIsLogged(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("good"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	put(t, dir, "staff", "ann:"+string(hash)+"\n")
	blue := newColour(t, "blue")
	text := protectText(dir, blue.address, "[limit.login]\nrate = \"3/h\"\n[auth.staff]\ntype = \"basic\"\nusers_file = \"staff\"\nforward_credentials = true\n", "auth = \"staff\"\nlimits = [\"login\"]\n")
	r := run(t, dir, strings.Replace(text, `access = "off"`, `output = "access.log"`, 1))
	var statuses []int
	for _, pair := range []string{"YW5uOmdvb2Q=", "YW5uOmJhZA==", "YW5uOmJhZA==", "YW5uOmdvb2Q="} {
		res, _ := askRaw(t, r.address, "Authorization: Basic "+pair)
		statuses = append(statuses, res.StatusCode)
	}
	r.stop()
	blue.kill()
	defer func() { _ = os.RemoveAll(dir) }()
	if fmt.Sprint(statuses) != "[200 401 401 429]" {
		t.Errorf("answers %v", statuses)
	}
	log, err := os.ReadFile(filepath.Join(dir, "access.log"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(log), `"user.name":"ann"`); n != 1 {
		t.Errorf("ann is in %d lines:\n%s", n, log)
	}
	if strings.Count(string(log), `"weir.reason":"credentials_invalid"`) != 2 || strings.Contains(string(log), "YW5u") || strings.Contains(string(log), "good") {
		t.Errorf("the log:\n%s", log)
	}
}

// checked is what weir check says.
func checked(path string) (ok bool, said string) {
	var out strings.Builder
	ok = server.Check(path, &out)
	return ok, out.String()
}
