package server_test

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// TestGRPCHealth: targets are judged by gRPC's own health service, the server as a whole or one service of it, without TLS and over it; who has no such service is not well.
func TestGRPCHealth(t *testing.T) {
	for _, protocol := range []string{"h2c", "h2"} {
		for _, service := range []string{"*", "valuation.v1.Engine"} {
			t.Run(protocol+" "+service, func(t *testing.T) {
				s := newSite(t)
				var options []grpc.ServerOption
				if protocol == "h2" {
					pair, err := tls.LoadX509KeyPair(s.pair.Cert, s.pair.Key)
					if err != nil {
						t.Fatal(err)
					}
					options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
				}
				origin := grpc.NewServer(options...)
				judge := health.NewServer()
				name := strings.TrimPrefix(service, "*")
				judge.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
				healthpb.RegisterHealthServer(origin, judge)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- origin.Serve(l) }()
				t.Cleanup(func() {
					origin.Stop()
					<-ended
				})
				r := run(t, s.dir, s.config(protocol, l.Addr().String(), "when_none_healthy = \"reject\"\nhealth = { grpc = \""+service+"\", interval = \"300ms\", timeout = \"300ms\", rise = 1, fall = 1 }"))
				defer r.stop()
				channel := s.channel(t, r.address)
				code := func() codes.Code {
					_, err := healthpb.NewHealthClient(channel).Check(context.Background(), &healthpb.HealthCheckRequest{Service: name})
					return status.Code(err)
				}
				eventually(t, "healthy", func() bool { return code() == codes.OK })
				judge.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
				eventually(t, "not serving", func() bool { return code() == codes.Unavailable })
				judge.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
				eventually(t, "healthy again", func() bool { return code() == codes.OK })
				_ = channel.Close()
			})
		}
	}
}
