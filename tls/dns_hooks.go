package edgetls

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// program is the provider "exec": a program of the operator's.
type program struct{ path string }

func (p program) publish(ctx context.Context, r record) error  { return p.run(ctx, "present", r) }
func (p program) withdraw(ctx context.Context, r record) error { return p.run(ctx, "cleanup", r) }

func (p program) run(ctx context.Context, verb string, r record) error {
	cmd := exec.CommandContext(ctx, p.path, verb, r.name, r.value)
	cmd.WaitDelay = 2 * time.Second // a child of its own may hold the output open
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w%s", p.path, verb, err, said(output))
	}
	return nil
}

// said is the end of what somebody printed, for an error.
func said(output []byte) string {
	const most = 300 // bytes: a line or two
	output = bytes.TrimSpace(output)
	if len(output) > most {
		output = output[len(output)-most:]
	}
	if len(output) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", output)
}

// httpHook is the provider "httpreq": POST of the record to the operator's service.
type httpHook struct {
	settings DNSSettings
	client   *http.Client
}

func (h httpHook) publish(ctx context.Context, r record) error  { return h.post(ctx, "present", r) }
func (h httpHook) withdraw(ctx context.Context, r record) error { return h.post(ctx, "cleanup", r) }

func (h httpHook) post(ctx context.Context, verb string, r record) error {
	return postJSON(ctx, h.client, strings.TrimSuffix(h.settings.Endpoint, "/")+"/"+verb, map[string]string{"fqdn": r.name, "value": r.value},
		func(req *http.Request) {
			if h.settings.Username != "" {
				req.SetBasicAuth(h.settings.Username, h.settings.Password)
			}
		})
}

// acmeDNS is the provider "acme-dns": a DNS server for challenges alone (https://github.com/joohoi/acme-dns), to whose subdomain the names' challenge names lead by
// CNAME. It forgets records by itself.
type acmeDNS struct {
	settings DNSSettings
	client   *http.Client
}

func (a acmeDNS) publish(ctx context.Context, r record) error {
	return postJSON(ctx, a.client, strings.TrimSuffix(a.settings.Endpoint, "/")+"/update",
		map[string]string{"subdomain": a.settings.Subdomain, "txt": r.value},
		func(req *http.Request) {
			req.Header.Set("X-Api-User", a.settings.Username)
			req.Header.Set("X-Api-Key", a.settings.Password)
		})
}

func (acmeDNS) withdraw(context.Context, record) error { return nil }

// postJSON sends a value and takes every status of success for one.
func postJSON(ctx context.Context, client *http.Client, url string, value any, prepare func(*http.Request)) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	prepare(req)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s%s", url, resp.Status, said(answer))
	}
	return err
}
