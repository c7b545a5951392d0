package proxy_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy"
)

// registered are the proxy error types of RFC 9209, section 2.3, as IANA lists them.
func registered() []string {
	return strings.Fields(`dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited destination_ip_unroutable connection_refused connection_terminated
		connection_timeout connection_read_timeout connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received http_request_error http_request_denied
		http_response_incomplete http_response_header_section_size http_response_header_size http_response_body_size http_response_trailer_section_size http_response_trailer_size
		http_response_transfer_coding http_response_content_coding http_response_timeout http_upgrade_failed http_protocol_error proxy_internal_response proxy_internal_error
		proxy_configuration_error proxy_loop_detected`)
}

// Every reason has its row, and says where in the RFC's registry it belongs; a name that the registry has is never given to something else.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 3 {
			continue
		}
		reason := strings.Trim(cells[0], "| `")
		rows = append(rows, reason)
		switch standard := strings.Trim(cells[2], "| `"); {
		case slices.Contains(registered(), reason):
			if standard != "the same" {
				t.Errorf("%s is a name of the registry, and stands for %s", reason, standard)
			}
		case standard != "–" && !slices.Contains(registered(), standard):
			t.Errorf("%s: the registry has no %q", reason, standard)
		}
	}
	want := slices.Sorted(slices.Values(proxy.Reasons()[1:])) // without that of none
	if len(slices.Compact(slices.Clone(want))) != len(want) || want[0] == "" {
		t.Errorf("two reasons have one name, or one has none: %q", want)
	}
	if got := slices.Sorted(slices.Values(rows)); !slices.Equal(got, want) {
		t.Errorf("docs/reasons.md\n has %q\nwant %q", got, want)
	}
}
