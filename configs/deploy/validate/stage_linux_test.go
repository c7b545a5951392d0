package validate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const adminToken = "monitoring-token-of-the-tests"

// stage is an edge in front of two colours of the API, with something of everything that has metrics, after it has had traffic.
type stage struct {
	t           *testing.T
	dir         string
	weir, api1  *process // api1 is blue
	edge        string   // the admin address
	plain, tls  string   // listeners
	blue, green string   // of the API
	faulty      string   // one that answers 500
	client      *http.Client
}

const stageConfig = `
[admin]
address = "127.0.0.1:0"
token = %[1]q
state_dir = "state"
[log]
output = "weir.log"
[cluster]
redis = "redis://%[2]s"
secret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMhISE="
[[tls.certificate]]
cert = "pair.pem"
key = "pair.pem"
[[listener]]
name = "http"
address = "127.0.0.1:0"
[[listener]]
name = "https"
address = "127.0.0.1:0"
tls = true
protocols = ["http/1.1", "h2", "h3"]
[limit.tight]
rate = "1/h"
burst = 1
shared = true
[limit.few]
concurrency = 100
[access.office]
allow_file = "office.txt"
[auth.staff]
type = "basic"
users_file = "staff.htpasswd"
[waf.own]
mode = "block"
ruleset = "none"
rules_file = "rules.conf"
[headers.app]
content_security_policy = "default-src 'self'"
csp_report = true
[service.api]
health = { path = "/api/readiness", interval = "1s", timeout = "1s" }
breaker = { max_requests = 1000 }
adaptive_concurrency = { min = 10, max = 100 }
hedge = { delay = "30s" }
shadow = { to = "green", from = "blue" }
group.blue = { weight = 75, targets = [%[3]q] }
group.green = { weight = 25, targets = [%[4]q] }
[service.faulty.group.only]
targets = [%[5]q]
[service.gone.group.only]
targets = [{ dns = "localhost:1" }]
[[route]]
name = "limited"
path = "/limited"
service = "api"
limits = ["tight", "few"]
[[route]]
name = "staff"
path = "/staff"
service = "api"
auth = "staff"
access = ["office"]
waf = "own"
[[route]]
name = "faulty"
path = "/api/faulty"
service = "faulty"
[[route]]
name = "gone"
path = "/gone"
service = "gone"
[[route]]
name = "api"
path = "/api"
service = "api"
headers = "app"
`

// newStage starts everything and waits until each request of the traffic is in the metrics.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.save("pair.pem", pair(t))
	s.save("office.txt", "127.0.0.1\n")
	s.save("staff.htpasswd", "ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n") // "password"
	s.save("rules.conf", `SecRule ARGS:attack "@streq yes" "id:1,phase:1,deny,log"`+"\n")
	s.api1, s.blue = s.api("blue")
	_, s.green = s.api("green")
	_, s.faulty = s.api("faulty", "VALOR_FAULT_ERRORS=1")
	redis := miniredis.RunT(t)
	s.save("weir.toml", fmt.Sprintf(stageConfig, adminToken, redis.Addr(), s.blue, s.green, s.faulty))
	cmd := exec.Command(filepath.Join(binaries(t), "weir"), "run", "-c", "weir.toml")
	cmd.Dir = s.dir
	s.weir = start(t, cmd)
	s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	s.find()
	s.traffic()
	return s
}

func (s *stage) save(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// api starts a colour of the bundled API.
func (s *stage) api(color string, env ...string) (*process, string) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(binaries(s.t), "valor-api"))
	cmd.Dir = s.dir
	cmd.Env = append(append(os.Environ(), "VALOR_ADDRESS=127.0.0.1:0", "VALOR_COLOR="+color, "VALOR_ENV=demo", "VALOR_DATABASE=file:"+filepath.Join(s.dir, "shared.db"),
		"VALOR_JWT_SECRET="+strings.Repeat("s", 64)), env...)
	p := start(s.t, cmd)
	return p, p.address(s.t)
}

// find learns which of weir's addresses is which: the one that answers with the status knows the others.
func (s *stage) find() {
	s.t.Helper()
	eventually(s.t, "weir is ready", func() bool {
		select {
		case <-s.weir.done:
			log, _ := os.ReadFile(filepath.Join(s.dir, "weir.log"))
			s.t.Fatalf("weir has ended: %s%s", s.weir.out.String(), log)
		default:
		}
		for _, address := range listening(s.t, s.weir.cmd.Process.Pid) {
			var status struct {
				Listeners []struct{ Name, Address string }
			}
			if code, body := s.ask("GET", "http://"+address+"/v1/status", "", "Authorization", "Bearer "+adminToken); code != http.StatusOK || json.Unmarshal([]byte(body), &status) != nil {
				continue
			}
			s.edge = address
			for _, l := range status.Listeners {
				if l.Name == "http" {
					s.plain = l.Address
				} else {
					s.tls = l.Address
				}
			}
		}
		return s.edge != "" && s.plain != "" && s.tls != ""
	})
}

// ask is one request; 0 when there was no answer.
func (s *stage) ask(method, url, body string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

// traffic is what makes series appear that are not there from the start: other methods, protocols and codes than GET, HTTP/1.1 and 200.
func (s *stage) traffic() {
	s.t.Helper()
	http1, http2 := "http://"+s.plain, "https://"+s.tls
	for range 20 { // so that both colours have some
		s.ask("POST", http1+"/api/dcf", "{}", "Content-Type", "application/json")
		s.ask("GET", http2+"/api/health", "")
	}
	want := map[int]bool{}
	for _, r := range []struct {
		code              int
		method, url, body string
		header            []string
	}{
		{http.StatusNotFound, "GET", http1 + "/nowhere", "", nil},
		{http.StatusNotFound, "GET", http1 + "/limited", "", nil}, // the API knows no such path
		{http.StatusTooManyRequests, "GET", http1 + "/limited", "", nil},
		{http.StatusUnauthorized, "GET", http1 + "/staff?password=secret&q=1", "", []string{"Referer", "http://example.com/?token=secret", "User-Agent", `quotes " and \ and é`}},
		{http.StatusForbidden, "GET", http1 + "/staff?attack=yes", "", []string{"Authorization", "Basic YW5uOnBhc3N3b3Jk"}},
		{http.StatusInternalServerError, "GET", http1 + "/api/faulty", "", nil},
		{http.StatusBadGateway, "GET", http1 + "/gone", "", nil},
		{http.StatusNoContent, "POST", http1 + "/.well-known/csp-reports/app", `{"csp-report":{"document-uri":"http://example.com/","violated-directive":"script-src","blocked-uri":"inline"}}`, []string{"Content-Type", "application/csp-report"}},
	} {
		if code, body := s.ask(r.method, r.url, r.body, r.header...); code != r.code {
			s.t.Fatalf("%s %s: %d %s, want %d", r.method, r.url, code, body, r.code)
		}
		want[r.code] = true
	}
	eventually(s.t, "the metrics have every answer", func() bool {
		_, text := s.ask("GET", "http://"+s.edge+"/metrics", "", "Authorization", "Bearer "+adminToken)
		for code := range want {
			if !strings.Contains(text, fmt.Sprintf(`code="%d"`, code)) {
				return false
			}
		}
		return strings.Contains(text, `weir_upstream_up{group="green",service="api",target="`+s.green+`"} 1`)
	})
}

// keepGoing is a little more traffic: rates need some between two scrapes.
func (s *stage) keepGoing() {
	s.t.Helper()
	s.ask("POST", "http://"+s.plain+"/api/dcf", "{}", "Content-Type", "application/json")
	s.ask("GET", "https://"+s.tls+"/api/faulty", "")
}

// pair is a key and a certificate of its own for localhost.
func pair(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 3, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		if err := pem.Encode(&b, block); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
