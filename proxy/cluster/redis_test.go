package cluster_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/leaktest"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/porttest"
)

func TestMain(m *testing.M) {
	logging.Disable() // of the tests' own clients
	// certmagic's storage of files, which the contract is held against, leaves its goroutines to find out by themselves that a lock is gone.
	known := goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")
	leaktest.Main(m, known)
}

// redisServer is Debian's redis-server, which can be killed and started again on its address. It keeps what it has in a folder, as one in production does.
type redisServer struct {
	t       *testing.T
	address string
	dir     string
	process *exec.Cmd
}

func newRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("WEIR_TEST_ALL") == "1" {
			t.Fatal("needs redis-server (make deps)")
		}
		t.Skip("skipped: needs redis-server (make deps)")
	}
	r := &redisServer{t: t, address: porttest.Reserve(t), dir: t.TempDir()}
	r.start()
	t.Cleanup(r.kill)
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	_, port, _ := net.SplitHostPort(r.address)
	r.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", r.dir, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := r.process.Start(); err != nil {
		r.t.Fatal(err)
	}
	c := r.client()
	defer func() { _ = c.Close() }()
	eventually(r.t, "redis answers", func() bool { return c.Ping(context.Background()).Err() == nil })
}

func (r *redisServer) kill() {
	if r.process != nil {
		_ = r.process.Process.Kill()
		_ = r.process.Wait()
		r.process = nil
	}
}

func (r *redisServer) url() string { return "redis://" + r.address }

func (r *redisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: r.address, DialerRetries: 1, MaxRetries: -1})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(60 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// secret passes for one that openssl made.
const secret = "tSdXkhEzHA0jDPs1X0fJlPPFsqmyT9IlkEcl6sNoIuY="

// join is one more replica, which leaves with the test.
func join(t *testing.T, url string, change ...func(*cluster.Options)) *cluster.Client {
	t.Helper()
	m := observe.NewMetrics(observe.Build{})
	o := cluster.Options{
		URL: url, Secret: secret, Prefix: "weir:", Timeout: 20 * time.Second, Replica: t.Name() + time.Now().String(), Log: zap.NewNop(), Metrics: m.Cluster(),
	}
	for _, f := range change {
		f(&o)
	}
	c, err := cluster.New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}
