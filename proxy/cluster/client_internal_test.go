package cluster

import (
	"errors"
	"testing"

	"go.uber.org/zap"
)

// TestFewerReplicas: others that are missed at once have not gone, be it that Redis was away or that everybody stood still; that they are back is believed at once.
func TestFewerReplicas(t *testing.T) {
	c, err := New(Options{URL: "redis://127.0.0.1:1", Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.redis.Close() }()
	for i, step := range []struct {
		seen, want int
		falls      bool
	}{
		{3, 3, false}, {1, 3, false}, {1, 3, false}, {3, 3, false}, // all stood still, and beat one after another
		{2, 3, false}, {2, 3, false}, {2, 3, false}, {2, 3, false}, {2, 3, false}, {2, 2, false}, // one has gone
		{1, 2, false}, {1, 2, false}, {1, 2, true}, {1, 2, false}, {1, 2, false}, {1, 2, false}, {1, 2, false}, {1, 1, false}, // Redis forgot them when it was away
		{4, 4, false},
	} {
		if step.falls {
			c.fell(errors.New("away"))
		}
		if c.rose(step.seen); c.State().Replicas != step.want {
			t.Fatalf("step %d: %d replicas, want %d", i, c.State().Replicas, step.want)
		}
	}
}
