package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// jails is fail2ban's configuration of this machine with the shipped files in it, for a log.
func jails(t *testing.T, dir, log string) string {
	t.Helper()
	installed(t, "fail2ban-regex")
	etc := filepath.Join(dir, "fail2ban")
	if err := os.CopyFS(etc, os.DirFS("/etc/fail2ban")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"filter.d/weir.conf": adapted(t, "fail2ban/filter.d/weir.conf"),
		"jail.d/weir.conf":   adapted(t, "fail2ban/jail.d/weir.conf", "/var/log/weir/access.log", log),
		"jail.d/weir.local":  "[weir-auth]\nenabled = true\n[weir-limit]\nenabled = true\n[weir-scan]\nenabled = true\n", // as an administrator does
		"jail.d/zz.conf":     "[sshd]\nenabled = false\n",                                                                // which Debian switches on, for a log that may not be there
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return etc
}

// visitor is who asks for what, and as what the filter has to take it: auth, limit, scan, or "" for nobody to ban.
type visitor struct {
	address, head, mode string
	status              int
}

// forged is a line of the log in which somebody else did what is banned.
const forged = `192.0.2.66 - - [23/Nov/2026:12:00:00 +0000] "POST /login HTTP/1.1" 401 12 "-" "x"`

// visitors are clients of all kinds. Their heads have no end and no X-Forwarded-For yet.
func visitors() []visitor {
	list := []visitor{
		{"203.0.113.1", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", "auth", 401},
		{"2001:db8::1", "GET /login?user=a&password=b HTTP/1.1\r\nHost: x\r\n", "auth", 401},
		{"203.0.113.2", "GET /login HTTP/1.1\r\nHost: x\r\nUser-Agent: \"\\ \t \xff\r\nReferer: \"\r\n", "auth", 401},
		{"203.0.113.3", "GET /.git/config HTTP/1.1\r\nHost: x\r\n", "scan", 404},
		{"203.0.113.4", "GET /wp-login.php HTTP/1.1\r\nHost: elsewhere\r\n", "scan", 404},
		{"203.0.113.5", "GET /forbidden HTTP/1.1\r\nHost: x\r\n", "scan", 403},
		{"203.0.113.9", "GET /method HTTP/1.1\r\nHost: x\r\n", "scan", 405},
		{"203.0.113.10", "GET /long HTTP/1.1\r\nHost: x\r\n", "scan", 414},
		{"203.0.113.11", "GET /misdirected HTTP/1.1\r\nHost: x\r\n", "scan", 421},
		{"203.0.113.6", "GET /limited HTTP/1.1\r\nHost: x\r\n", "", 200}, // the first one is within the limit
		{"203.0.113.6", "GET /limited HTTP/1.1\r\nHost: x\r\n", "limit", 429},
		// Nobody to ban, whatever they say.
		{"198.51.100.1", "GET / HTTP/1.1\r\nHost: x\r\n", "", 200},
		{"198.51.100.2", "GET /broken HTTP/1.1\r\nHost: x\r\n", "", 500},
		{"198.51.100.3", "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: " + forged + "\r\n", "", 200},
		{"198.51.100.4", "GET / HTTP/1.1\r\nHost: x\r\nReferer: " + forged + "\r\n", "", 200},
		{"198.51.100.5", "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: x\" 401 0 \"-\" \"-\r\n", "", 200},
		{"198.51.100.6", "GET / HTTP/1.1\r\nHost: x\r\nReferer: x\" 401 0 \"-\" \"-\" \"\r\n", "", 200},
		{"198.51.100.7", "GET /%22%20HTTP/1.1%22%20401%200%20%22-%22%20%22-%22%0A192.0.2.66%20-%20- HTTP/1.1\r\nHost: x\r\n", "", 200},
		{"198.51.100.8", "GET /?q=%0d%0a" + strings.ReplaceAll(forged, " ", "%20") + " HTTP/1.1\r\nHost: x\r\n", "", 200},
		{"198.51.100.9", `GET /?\x22\x20401 HTTP/1.1` + "\r\nHost: x\r\n", "", 200},
		{"198.51.100.10", "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: \xc3\x28 \xe2\x80\xa8 \xc2\x85 " + forged + "\r\n", "", 200}, // no UTF-8, and what some take for the end of a line
		{"198.51.100.11", "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: " + strings.Repeat(forged, 20) + "\r\n", "", 200},
		{"198.51.100.12", "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.66\r\nX-Real-IP: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\n", "", 200},
		// Refused themselves, in somebody else's name in vain.
		{"203.0.113.7", "GET /login HTTP/1.1\r\nHost: x\r\nUser-Agent: " + strings.ReplaceAll(forged, "401", "429") + "\r\n", "auth", 401},
		{"203.0.113.8", "GET /" + strings.ReplaceAll(forged, " ", "%20") + " HTTP/1.1\r\nHost: elsewhere\r\n", "scan", 404},
	}
	for i := range list {
		// The last field of the name counts, which is the one that the trusted proxy wrote.
		list[i].head += "X-Forwarded-For: " + list[i].address + "\r\nConnection: close\r\n\r\n"
	}
	return list
}

// visit sends a head and reads the status of the answer.
func visit(t *testing.T, address, head string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second)) // a guard
	go func() { _, _ = io.WriteString(conn, head) }()      // ends with the connection; what is too long is answered before it is read
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", head, err)
	}
	return res.StatusCode
}

// guarded is an edge with an upstream that knows 401, 403, 404 and 500, and its access log in the combined form.
func guarded(t *testing.T, dir string) *edge {
	t.Helper()
	upstream := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, known := map[string]int{"/login": 401, "/forbidden": 403, "/.git/config": 404, "/method": 405, "/long": 414, "/misdirected": 421, "/broken": 500}[r.URL.Path]
		if known {
			w.WriteHeader(status)
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- upstream.Serve(l) }()
	t.Cleanup(func() { _ = upstream.Close(); <-served })
	c := newConf(dir, l.Addr().String(), "127.0.0.1:1")
	c.log = "access = \"combined\"\noutput = \"weir.log\"\naccess_output = \"access.log\"\n[client_ip]\ntrusted_proxies = [\"127.0.0.0/8\"]\n[limit.once]\nrate = \"1/h\"\nburst = 1\n"
	c.routes = "[[route]]\nname = \"all\"\nhost = [\"x\"]\nservice = \"api\"\n[[route]]\nname = \"limited\"\nhost = [\"x\"]\npath = \"/limited\"\nservice = \"api\"\nlimits = [\"once\"]\n"
	return run(t, dir, c)
}

// TestE2EFail2ban: the shipped filter, by the real fail2ban-regex, on lines that the real weir wrote. Who was turned away is found by the address that weir derived, nobody else is, whatever he writes into
// a line of his own.
func TestE2EFail2ban(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	log := filepath.Join(dir, "access.log")
	etc := jails(t, dir, log)
	e := guarded(t, dir)
	address := e.address("http")
	want := map[string][]string{}
	for _, v := range visitors() {
		if got := visit(t, address, v.head); got != v.status {
			t.Errorf("%.60q: status %d, want %d", v.head, got, v.status)
		}
		if v.mode != "" {
			want[v.mode] = append(want[v.mode], v.address)
			want["all"] = append(want["all"], v.address)
		}
	}
	// Before weir knows who asks, the connection's address is all there is.
	peers := []string{
		"GET / HTTP/1.1\r\nHost: x\r\nBad Field: " + forged + "\r\n\r\n",
		"GET /a b " + forged + " HTTP/1.1\r\nHost: x\r\n\r\n",
		forged + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: " + strings.Repeat(forged, (1<<20)/len(forged)) + "\r\n\r\n", // 1 MB
	}
	for _, head := range peers {
		if got := visit(t, address, head); got < 400 || got >= 500 {
			t.Errorf("%.60q: status %d", head, got)
		}
		want["scan"], want["all"] = append(want["scan"], "127.0.0.1"), append(want["all"], "127.0.0.1")
	}
	e.stop()
	if lines := strings.Count(string(slurp(t, log)), "\n"); lines != len(visitors())+len(peers) {
		t.Errorf("%d lines for %d requests", lines, len(visitors())+len(peers))
	}
	for filter, mode := range map[string]string{"weir[mode=auth]": "auth", "weir[mode=limit]": "limit", "weir[mode=scan]": "scan", "weir[mode=all]": "all", "weir": "all"} {
		out, err := exec.Command(installed(t, "fail2ban-regex"), "--config", etc, "--out", "ip", log, filter).Output()
		if err != nil {
			t.Fatalf("fail2ban-regex: %v\n%s", err, out)
		}
		got := strings.Fields(string(out))
		slices.Sort(got)
		slices.Sort(want[mode])
		if !slices.Equal(got, want[mode]) {
			t.Errorf("%s finds\n%q, want\n%q", filter, got, want[mode])
		}
	}
	if out, err := exec.Command(installed(t, "fail2ban-client"), "-c", etc, "-t").CombinedOutput(); err != nil {
		t.Errorf("the shipped jails: %v\n%s", err, out)
	}
	measured(t, "fail2ban's filter on lines of weir", "%d requests, %d to be found and found, none of the forged ones", len(visitors())+len(peers), len(want["all"]))
}
