package edgetls_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/letsencrypt/challtestsrv"
	"github.com/miekg/dns"

	"github.com/valor-ivx/weir/proxy/porttest"
	"github.com/valor-ivx/weir/tls/pebbletest"
)

// feeder puts what providers publish into the DNS that the CA asks, and counts.
type feeder struct {
	t   *testing.T
	dns *challtestsrv.ChallSrv
	url string // of its HTTP service: /present and /cleanup of httpreq, /update of acme-dns

	mu      sync.Mutex
	there   map[string][]string // name → values
	ever    map[string]int      // name → how often published
	most    int                 // values of one name at once
	deaf    bool                // publish nothing
	refuses bool                // answer 403
}

func newFeeder(t *testing.T, ca *pebbletest.CA) *feeder {
	t.Helper()
	f := &feeder{t: t, dns: ca.DNS, there: map[string][]string{}, ever: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *feeder) serve(w http.ResponseWriter, r *http.Request) {
	var m struct{ FQDN, Value, Subdomain, Txt string }
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	refuses := f.refuses
	f.mu.Unlock()
	user, password, _ := r.BasicAuth()
	switch {
	case refuses:
		http.Error(w, "not you", http.StatusForbidden)
	case r.URL.Path == "/hook/present" && user == "u" && password == "p":
		f.publish(m.FQDN, m.Value)
	case r.URL.Path == "/hook/cleanup" && user == "u" && password == "p":
		f.withdraw(m.FQDN, m.Value)
	case r.URL.Path == "/update" && r.Header.Get("X-Api-User") == "u" && r.Header.Get("X-Api-Key") == "p":
		f.withdraw(m.Subdomain+".acme-dns.test.", "") // keeps one here, where the real one keeps two
		f.publish(m.Subdomain+".acme-dns.test.", m.Txt)
	default:
		http.Error(w, "wrong request "+r.URL.Path, http.StatusBadRequest)
	}
}

func (f *feeder) publish(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ever[name]++
	if f.deaf {
		return
	}
	f.there[name] = append(f.there[name], value)
	f.most = max(f.most, len(f.there[name]))
	f.dns.AddDNSTXTRecord(name, value)
}

// withdraw removes a value, "" all of the name.
func (f *feeder) withdraw(name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dns.DeleteDNSTXTRecord(name)
	var left []string
	for _, v := range f.there[name] {
		if v != value && value != "" {
			left = append(left, v)
			f.dns.AddDNSTXTRecord(name, v)
		}
	}
	f.there[name] = left
}

func (f *feeder) published(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ever[name]
}

// left is every record that nobody withdrew.
func (f *feeder) left() (names []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, values := range f.there {
		if len(values) > 0 {
			names = append(names, name)
		}
	}
	return names
}

func (f *feeder) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// script is a program for the provider exec: this test binary, which tells the feeder (see TestHookProgram).
func (f *feeder) script() string {
	f.t.Helper()
	binary, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	path := filepath.Join(f.t.TempDir(), "hook")
	text := fmt.Sprintf("#!/bin/sh\nWEIR_TEST_HOOK=%s exec %s -test.run '^TestHookProgram$' -- \"$@\"\n", f.url, binary)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		f.t.Fatal(err)
	}
	return path
}

// TestHookProgram is no test: it is what script runs.
func TestHookProgram(t *testing.T) {
	url := os.Getenv("WEIR_TEST_HOOK")
	if url == "" {
		t.Skip("only for the provider exec's tests")
	}
	arguments := os.Args[len(os.Args)-3:]
	body, _ := json.Marshal(map[string]string{"fqdn": arguments[1], "value": arguments[2]}) // strings
	req, err := http.NewRequest(http.MethodPost, url+"/hook/"+arguments[0], bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("u", "p")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// Names and secrets of a name server.
const (
	tsigName   = "weir-key."
	tsigSecret = "c2VjcmV0IG9mIGEgdGVzdA=="
)

// nameServer is authoritative for zone and takes signed updates.
type nameServer struct {
	zone    string
	address string
	port    string

	mu       sync.Mutex
	txt      map[string][]string
	servers  map[string]string // host of an NS record → its address
	updates  int
	onUpdate func(name, value string, insert bool)
	broken   bool // answers SERVFAIL
}

// newNameServer listens by UDP and TCP on a port of ip; port "": any.
func newNameServer(t *testing.T, zone, ip, port string) *nameServer {
	t.Helper()
	n := &nameServer{zone: zone, txt: map[string][]string{}, servers: map[string]string{}}
	if port == "" {
		_, port, _ = net.SplitHostPort(porttest.Reserve(t))
	}
	n.port, n.address = port, net.JoinHostPort(ip, port)
	for _, network := range []string{"udp", "tcp"} {
		started := make(chan struct{})
		server := &dns.Server{Addr: n.address, Net: network, Handler: n, TsigSecret: map[string]string{tsigName: tsigSecret},
			MsgAcceptFunc:     func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }, // updates too
			NotifyStartedFunc: func() { close(started) }}
		ended := make(chan error, 1)
		go func() { ended <- server.ListenAndServe() }()
		select {
		case <-started:
		case err := <-ended:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-ended
		})
	}
	return n
}

// ServeDNS implements dns.Handler.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := strings.ToLower(q.Question[0].Name)
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	switch {
	case n.broken:
		m.Rcode = dns.RcodeServerFailure
	case q.Opcode == dns.OpcodeUpdate:
		m.Rcode = n.update(w, q)
		if signed := q.IsTsig(); signed != nil && w.TsigStatus() == nil {
			m.SetTsig(signed.Hdr.Name, signed.Algorithm, 300, int64(signed.TimeSigned))
		}
	case q.Question[0].Qtype == dns.TypeSOA && name == n.zone:
		m.Answer = append(m.Answer, &dns.SOA{Hdr: header(dns.TypeSOA), Ns: "ns." + n.zone, Mbox: "root." + n.zone, Serial: 1, Minttl: 1})
	case q.Question[0].Qtype == dns.TypeNS && name == n.zone:
		for host := range n.servers {
			m.Answer = append(m.Answer, &dns.NS{Hdr: header(dns.TypeNS), Ns: host})
		}
	case q.Question[0].Qtype == dns.TypeA && n.servers[name] != "":
		m.Answer = append(m.Answer, &dns.A{Hdr: header(dns.TypeA), A: net.ParseIP(n.servers[name])})
	case q.Question[0].Qtype == dns.TypeTXT:
		for _, v := range n.txt[name] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{v}})
		}
	}
	_ = w.WriteMsg(m)
}

func (n *nameServer) update(w dns.ResponseWriter, q *dns.Msg) int {
	if q.IsTsig() == nil || w.TsigStatus() != nil {
		return dns.RcodeNotAuth
	}
	if q.Question[0].Name != n.zone {
		return dns.RcodeNotZone
	}
	for _, r := range q.Ns {
		if txt, ok := r.(*dns.TXT); ok {
			n.updates++
			n.onUpdate(txt.Hdr.Name, strings.Join(txt.Txt, ""), txt.Hdr.Class == dns.ClassINET)
		}
	}
	return dns.RcodeSuccess
}

func (n *nameServer) set(name string, values ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.txt[name] = values
}
