package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newSecureAPI runs the bundled API with TLS.
func newSecureAPI(t *testing.T, dir, colour string) (address string) {
	t.Helper()
	address = freeAddress(t)
	cmd := exec.Command(filepath.Join(programs(t), "valor-api"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "VALOR_ENV=demo", "VALOR_ADDRESS="+address, "VALOR_COLOR="+colour, "VALOR_DATABASE=file:"+filepath.Join(dir, colour+".db"),
		"VALOR_JWT_SECRET="+strings.Repeat("s", 64), "VALOR_TLS_CERT="+filepath.Join(dir, "api.pem"), "VALOR_TLS_KEY="+filepath.Join(dir, "api.pem"))
	p := start(t, cmd)
	eventually(t, 20*time.Second, colour+" listens", func() bool { // or the next check of a first one that fails is half a minute later
		if !p.running() {
			t.Fatalf("%s ended: %s%s", colour, p.out.String(), p.errs.String())
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return address
}

// TestE2EEncryptedToTheAPI: TLS from end to end, with the bundled API's own key pair behind the edge, checks included.
func TestE2EEncryptedToTheAPI(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ca := openCA(t)
	save(t, filepath.Join(dir, "api.pem"), leafPEM(t, ca))
	c := newConf(dir, newSecureAPI(t, dir, "blue"), newSecureAPI(t, dir, "green")).weights(50)
	c.service = fmt.Sprintf("protocol = \"https\"\ntls = { ca = %q }\nwhen_none_healthy = \"reject\"\nhealth = { path = \"/api/readiness\", interval = \"30s\", timeout = \"30s\" }\n", ca.RootFile())
	e := run(t, dir, c)
	e.probed("healthy", "healthy")
	k := dialKept(t, e.address("http"))
	colours := map[string]int{}
	for range 100 {
		res, _, err := k.do("GET", "/api/health", "")
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", res, err)
		}
		colours[res.Header.Get("X-Valor-Color")]++
	}
	if colours["blue"] != 50 || colours["green"] != 50 {
		t.Errorf("answers %v, want 50 of each", colours)
	}
	if plain, err := http.Get("http://" + c.blues[0] + "/api/health"); err == nil {
		_ = plain.Body.Close()
		if plain.StatusCode == http.StatusOK {
			t.Error("the API answers without TLS: nothing was shown")
		}
	}
	c.service = strings.Replace(c.service, "tls = ", "#", 1) // the system's roots, which do not know this CA
	replace(t, e.config, c.String())
	e.must("reload")
	e.probed("unhealthy", "unhealthy")
	if res, _, err := k.do("GET", "/api/health", ""); err != nil || res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("with untrusted targets: %v %v", res, err)
	}
	e.stop()
	measured(t, "protocol https to two colours of valor-api", "checks pass, 50 and 50 of 100; untrusted: 503, nothing forwarded")
}
