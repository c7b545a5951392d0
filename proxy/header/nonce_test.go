package header_test

import (
	"strings"
	"testing"

	"github.com/valor-ivx/weir/proxy/header"
	"github.com/valor-ivx/weir/proxy/message"
)

// TestNonce: every slot of the policy is filled, wherever it is, and on a 304 there is no Content-Security-Policy at all, not the upstream's either.
func TestNonce(t *testing.T) {
	nonce := strings.Repeat("n", len(header.NonceSlot))
	p := header.New(header.Options{Preset: header.Strict, ContentSecurityPolicy: "script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'"})
	want := "Content-Security-Policy: script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce + "'"
	for name, apply := range map[string]func([]byte, *message.Header, bool) []byte{"forward": p.Forward, "answer": p.Answer} {
		h := &message.Header{}
		lines := apply([]byte("before\r\n"), h, true)
		header.Fill(lines, []byte(nonce))
		if got := string(lines); !strings.Contains(got, want+"\r\n") || strings.Contains(got, header.NonceSlot) || !strings.HasPrefix(got, "before\r\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
	h := fields("Content-Security-Policy: default-src *", "ETag: a")
	rest := strings.Join(sent(h, p.Unmodified().Forward(nil, h, true)), "\n")
	if strings.Contains(rest, "Content-Security-Policy") || !strings.Contains(rest, "X-Frame-Options: DENY") || !strings.Contains(rest, "ETag: a") || !p.Nonced() {
		t.Errorf("304: %q", rest)
	}
	if header.New(header.Options{Preset: header.Strict}).Nonced() {
		t.Error("a nonce that nobody asked for")
	}
}
