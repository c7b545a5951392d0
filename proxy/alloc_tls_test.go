package proxy_test

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/valor-ivx/weir/tls/certtest"
	"github.com/valor-ivx/weir/upstream"
)

// secretPeer is silentPeer behind TLS. What crypto/tls allocates at its end is counted with the rest.
func secretPeer(t testing.TB) string {
	t.Helper()
	c := &tls.Config{Certificates: []tls.Certificate{certtest.New(t, certtest.For("a.test"), nil).TLS()}}
	return newPeer(t, func(w *wire) {
		_ = w.SetDeadline(time.Time{})
		speakSilently(tls.Server(w.Conn, c))
	}).address
}

// allocationsOf counts them over many rounds, after some to warm up.
func allocationsOf(do func()) float64 {
	for range 500 {
		do()
	}
	const rounds = 5000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range rounds {
		do()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / rounds
}

// TestExchangeOverTLSAllocatesLittle: what a keep-alive exchange with a TLS upstream allocates beyond what crypto/tls does for the same bytes between two ends
// without us: one record that is looked for before the connection is used again.
func TestExchangeOverTLSAllocatesLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	address := secretPeer(t)
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	bare := exchanger{t: t, conn: tls.Client(raw, &tls.Config{InsecureSkipVerify: true}), request: []byte(browserGet), buf: make([]byte, 8<<10), size: len(silentAnswer)}
	defer func() { _ = bare.conn.Close() }()
	least := allocationsOf(bare.do)
	o := defaults(address)
	o.quiet, o.transport = true, upstream.Transport{TLS: true, Insecure: true}
	x := newExchanger(t, newEdge(t, o), browserGet)
	per := allocationsOf(x.do)
	t.Logf("%.2f allocations per exchange, %.2f between two bare ends", per, least)
	if per > least+1.5 { // two would be one too many
		t.Errorf("%.2f allocations per exchange, want at most one more than %.2f", per, least)
	}
}
