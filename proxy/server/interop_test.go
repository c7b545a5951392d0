package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	edgetls "github.com/valor-ivx/weir/tls"
)

// site is a certificate that clients and targets trust, for grpc.test and 127.0.0.1, and the folder of an edge.
type site struct {
	dir   string
	root  string
	pair  edgetls.Pair
	roots *x509.CertPool
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{dir: shortDir(t), roots: x509.NewCertPool()}
	t.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	ca, err := edgetls.OpenLocalCA(filepath.Join(s.dir, "ca"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s.pair, err = ca.Leaf([]string{"grpc.test", "127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.root = ca.RootFile()
	root, err := os.ReadFile(s.root)
	if err != nil {
		t.Fatal(err)
	}
	s.roots.AppendCertsFromPEM(root)
	return s
}

// config is an edge with a TLS listener in front of one target. more are lines of its service.
func (s *site) config(protocol, target, more string) string {
	secure := ""
	if protocol == "h2" {
		secure = fmt.Sprintf("[service.api.tls]\nca = %q\nserver_name = \"grpc.test\"\n", s.root)
	}
	return fmt.Sprintf("[admin]\naddress = \"unix://%s/admin.sock\"\nstate_dir = \"state\"\n[log]\naccess = \"json\"\noutput = \"%s/access.log\"\n"+
		"[[tls.certificate]]\ncert = %q\nkey = %q\n[[listener]]\nname = \"https\"\naddress = \"127.0.0.1:0\"\ntls = true\n"+
		"[[route]]\nname = \"all\"\nservice = \"api\"\nmax_body = \"off\"\n"+
		"[service.api]\nprotocol = %q\nejection = { max_ejected = 0.0 }\n%s\n%s[service.api.group.blue]\ntargets = [%q]\n",
		s.dir, s.dir, s.pair.Cert, s.pair.Key, protocol, more, secure, target)
}

// grpcServer is gRPC's own, with the services of its interoperability suite.
func (s *site) grpcServer(t testing.TB, secure bool) (address string) {
	t.Helper()
	var options []grpc.ServerOption
	if secure {
		pair, err := tls.LoadX509KeyPair(s.pair.Cert, s.pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(&pair)))
	}
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, interop.NewTestServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		<-ended
	})
	return l.Addr().String()
}

// channel is a gRPC client of the edge at address.
func (s *site) channel(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{ServerName: "grpc.test", RootCAs: s.roots})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// alarm makes a failed interoperability case, which would end the process, a failed test.
type alarm struct{ grpclog.LoggerV2 }

func (alarm) Info(...any)                     {}
func (alarm) Infoln(...any)                   {}
func (alarm) Infof(string, ...any)            {}
func (alarm) InfoDepth(int, ...any)           {}
func (alarm) Warning(...any)                  {}
func (alarm) Warningln(...any)                {}
func (alarm) Warningf(string, ...any)         {}
func (alarm) Error(...any)                    {}
func (alarm) Errorln(...any)                  {}
func (alarm) Errorf(string, ...any)           {}
func (alarm) Fatal(args ...any)               { panic(fmt.Sprint(args...)) }
func (alarm) Fatalln(args ...any)             { panic(fmt.Sprintln(args...)) }
func (alarm) Fatalf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }
func (alarm) V(int) bool                      { return false }

// interopCases are those of gRPC's own client that need no cloud (interop/client), in its order. Left out: the credentials cases, which need Google's; orca_* and
// pick_first_unary, which are about a client's own balancer; cacheable_unary and the compressed ones of other languages, which the Go client lacks: two of the latter are
// made of its parts.
func interopCases(s *site, t testing.TB, edge string) map[string]func(context.Context, *grpc.ClientConn) {
	call := func(f func(context.Context, testpb.TestServiceClient, ...grpc.CallOption)) func(context.Context, *grpc.ClientConn) {
		return func(ctx context.Context, c *grpc.ClientConn) { f(ctx, testpb.NewTestServiceClient(c)) }
	}
	soak := func(reset bool) func(context.Context, *grpc.ClientConn) {
		return func(ctx context.Context, c *grpc.ClientConn) {
			interop.DoSoakTest(ctx, interop.SoakTestConfig{
				RequestSize: 271828, ResponseSize: 314159, PerIterationMaxAcceptableLatency: time.Minute, OverallTimeout: 5 * time.Minute,
				ServerAddr: edge, NumWorkers: 4, Iterations: 40, ChannelForTest: func() (*grpc.ClientConn, func()) {
					if reset {
						return s.channel(t, edge), func() {}
					}
					return c, func() {}
				},
			})
		}
	}
	return map[string]func(context.Context, *grpc.ClientConn){
		"empty_unary": call(interop.DoEmptyUnaryCall), "large_unary": call(interop.DoLargeUnaryCall), "client_streaming": call(interop.DoClientStreaming),
		"server_streaming": call(interop.DoServerStreaming), "ping_pong": call(interop.DoPingPong), "empty_stream": call(interop.DoEmptyStream),
		"timeout_on_sleeping_server": call(interop.DoTimeoutOnSleepingServer), "cancel_after_begin": call(interop.DoCancelAfterBegin),
		"cancel_after_first_response": call(interop.DoCancelAfterFirstResponse), "status_code_and_message": call(interop.DoStatusCodeAndMessage),
		"special_status_message": call(interop.DoSpecialStatusMessage), "custom_metadata": call(interop.DoCustomMetadata),
		"unimplemented_method": func(ctx context.Context, c *grpc.ClientConn) { interop.DoUnimplementedMethod(ctx, c) },
		"unimplemented_service": func(ctx context.Context, c *grpc.ClientConn) {
			interop.DoUnimplementedService(ctx, testpb.NewUnimplementedServiceClient(c))
		},
		"compressed_unary": func(ctx context.Context, c *grpc.ClientConn) {
			interop.DoLargeUnaryCall(ctx, testpb.NewTestServiceClient(c), grpc.UseCompressor(gzip.Name))
		},
		"compressed_streaming": func(ctx context.Context, c *grpc.ClientConn) {
			interop.DoPingPong(ctx, testpb.NewTestServiceClient(c), grpc.UseCompressor(gzip.Name))
		},
		"rpc_soak": soak(false), "channel_soak": soak(true),
	}
}

// TestGRPCInterop: gRPC's own client and server understand each other through the edge, over TLS in front and both ways behind.
func TestGRPCInterop(t *testing.T) {
	grpclog.SetLoggerV2(alarm{})
	for _, protocol := range []string{"h2c", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			s := newSite(t)
			r := run(t, s.dir, s.config(protocol, s.grpcServer(t, protocol == "h2"), ""))
			defer r.stop()
			channel := s.channel(t, r.address)
			for name, do := range interopCases(s, t, r.address) {
				t.Run(name, func(t *testing.T) {
					defer func() {
						if bug := recover(); bug != nil {
							t.Errorf("%v", bug)
						}
					}()
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
					defer cancel()
					do(ctx, channel)
				})
			}
			if _, err := testpb.NewTestServiceClient(channel).UnaryCall(t.Context(), &testpb.SimpleRequest{ResponseStatus: &testpb.EchoStatus{Code: 9}}); status.Code(err) != codes.FailedPrecondition {
				t.Errorf("an answer that is a status alone: %v", err)
			}
			if seen := r.call(http.StatusOK, "GET", "/v1/services/api", ""); !strings.Contains(seen, `"shared_connections":1`) {
				t.Errorf("the calls did not share one connection: %s", seen)
			}
			_ = channel.Close()
		})
	}
}
