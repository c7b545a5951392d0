package edgetls_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	edgetls "github.com/valor-ivx/weir/tls"
)

// BenchmarkChoice is what the choice of a certificate adds to a handshake, whose signature alone takes about 20 µs.
func BenchmarkChoice(b *testing.B) {
	a := newAuthority(b)
	key := ecKey(b)
	for _, n := range []int{1, 1000} {
		pairs := make([]edgetls.Pair, n)
		for i := range pairs {
			pairs[i] = a.leaf(fmt.Sprintf("c%d", i), key, now.AddDate(0, 0, 60), fmt.Sprintf("tenant-%d.example.com", i))
		}
		choose := manager(b, pairs...).Config(nil, 0).GetCertificate
		hello := &tls.ClientHelloInfo{
			ServerName: fmt.Sprintf("tenant-%d.example.com", n/2), SupportedVersions: []uint16{tls.VersionTLS13},
			SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := choose(hello); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
