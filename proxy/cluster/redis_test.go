package cluster_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/leaktest"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/redistest"
)

func TestMain(m *testing.M) {
	logging.Disable() // of the tests' own clients
	// certmagic's storage of files, which the contract is held against, leaves its goroutines to find out by themselves that a lock is gone.
	known := goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")
	leaktest.Main(m, known)
}

// connect is a client of the test's own.
func connect(r *redistest.Server) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: r.Address, DialerRetries: 1, MaxRetries: -1})
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
