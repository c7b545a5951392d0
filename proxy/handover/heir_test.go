package handover_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/handover"
)

// TestHelloIsWhole: a process hears of all its sockets, where that fits what is said before it begins and where it does not.
func TestHelloIsWhole(t *testing.T) {
	for _, sockets := range []int{1, 200} { // 200 are 24 kB
		l := listen(t, "tcp", "127.0.0.1:0")
		estate := make([]handover.Estate, sockets)
		for i := range estate {
			estate[i] = handover.Estate{Socket: handover.Socket{Network: "tcp", Name: strings.Repeat("n", 60), Address: "127.0.0.1:0"}, Descriptor: l.(*net.TCPListener)}
		}
		heard := filepath.Join(t.TempDir(), "heard")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a guard
		h, err := handover.Start(ctx, []string{"/bin/sh", "-c", `head -n 1 <&3 >"$0" && echo '{"word":"ready","version":"x"}' >&4`, heard}, estate)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := h.AwaitReady(ctx); err != nil || v != "x" {
			t.Fatalf("%q %v", v, err)
		}
		h.Kill()
		cancel()
		f, err := os.Open(heard)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || strings.Count(string(b), `"name":"nnn`) != len(estate) || !strings.HasSuffix(string(b), "}\n") {
			t.Errorf("%d sockets: heard %.200s…, %v", len(estate), b, err)
		}
	}
}
