package cluster_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/redistest"
	edgetls "github.com/valor-ivx/weir/tls"
)

// TestReplicasFindEachOther: they count themselves, and whoever leaves or dies is counted no more.
func TestReplicasFindEachOther(t *testing.T) {
	r := redistest.New(t)
	a := join(t, r.URL())
	if st := a.State(); !st.Up || st.Replicas != 1 || st.Address != r.Address {
		t.Fatalf("%+v", st)
	}
	b := join(t, r.URL())
	other := join(t, r.URL(), func(o *cluster.Options) { o.Prefix = "other:" })
	eventually(t, "a sees b", func() bool { return a.State().Replicas == 2 })
	if n := other.State().Replicas; n != 1 {
		t.Errorf("%d replicas under another prefix", n)
	}
	b.Close()
	eventually(t, "a is alone again", func() bool { return a.State().Replicas == 1 })
}

// TestDeadReplicaIsForgotten: one that says nothing more for five seconds of Redis's time is gone.
func TestDeadReplicaIsForgotten(t *testing.T) {
	r := miniredis.RunT(t)
	now := time.Unix(1_800_000_000, 0)
	r.SetTime(now)
	a := join(t, "redis://"+r.Addr())
	if _, err := r.ZAdd("weir:replicas", float64(now.UnixMilli()-4000), "dying"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ZAdd("weir:replicas", float64(now.UnixMilli()+3600_000), "from a clock that was ahead"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the one of the future is gone, the dying is still there", func() bool { return a.State().Replicas == 2 })
	r.SetTime(now.Add(2 * time.Second))
	eventually(t, "it is gone", func() bool { return a.State().Replicas == 1 })
}

// TestRedisAwayAndBack: killed and started again, it is missed at once and found again, and each is said once.
func TestRedisAwayAndBack(t *testing.T) {
	r := redistest.New(t)
	core, lines := observer.New(zapcore.InfoLevel)
	c := join(t, r.URL(), func(o *cluster.Options) { o.Log = zap.New(core) })
	for range 2 {
		r.Kill()
		eventually(t, "it is missed", func() bool { return !c.State().Up })
		if st := c.State(); st.Error == "" || st.Replicas != 1 {
			t.Errorf("%+v", st)
		}
		r.Start()
		eventually(t, "it is found", func() bool { return c.State().Up })
		if st := c.State(); st.Error != "" {
			t.Errorf("%+v", st)
		}
	}
	var said []string
	for _, l := range lines.All() {
		said = append(said, l.Message[:len("redis is")+6])
	}
	if got := strings.Join(said, "|"); got != "redis is there|redis is away: |redis is there|redis is away: |redis is there" && strings.Count(got, "away") != 2 {
		t.Errorf("said %s", got)
	}
}

// TestMuteRedis: one that takes connections and says nothing holds nobody up for longer than one exchange may take.
func TestMuteRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	began := time.Now()
	c := join(t, "redis://"+l.Addr().String(), func(o *cluster.Options) { o.Timeout = 50 * time.Millisecond })
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("start took %v", took)
	}
	if st := c.State(); st.Up || st.Error == "" {
		t.Errorf("%+v", st)
	}
}

// TestWrongPassword: an answer that is a refusal is Redis being away, and says so without the password.
func TestWrongPassword(t *testing.T) {
	r := miniredis.RunT(t)
	r.RequireAuth("right")
	c := join(t, "redis://:wrongpassword@"+r.Addr())
	if st := c.State(); st.Up || !strings.Contains(st.Error, "WRONGPASS") || strings.Contains(st.Error, "wrongpassword") {
		t.Errorf("%+v", st)
	}
	ok := join(t, "redis://:right@"+r.Addr())
	if !ok.State().Up {
		t.Errorf("%+v", ok.State())
	}
	if _, err := cluster.New(cluster.Options{URL: "http://:topsecret@x"}); err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("%v", err)
	}
}

// TestTLS: rediss:// takes the CA that is named, and no other.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := edgetls.OpenLocalCA(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Leaf([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	own, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	r := miniredis.NewMiniRedis()
	if err := r.StartTLS(&tls.Config{Certificates: []tls.Certificate{own}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	roots := x509.NewCertPool()
	root, err := os.ReadFile(ca.RootFile())
	if err != nil || !roots.AppendCertsFromPEM(root) {
		t.Fatal("no root", err)
	}
	if st := join(t, "rediss://"+r.Addr(), func(o *cluster.Options) { o.Roots = roots }).State(); !st.Up {
		t.Errorf("%+v", st)
	}
	stranger := join(t, "rediss://"+r.Addr())
	eventually(t, "the reason is told", func() bool { return strings.Contains(stranger.State().Error, "certificate") })
	if stranger.State().Up {
		t.Error("an unknown CA is trusted")
	}
}
