package proxy_test

import (
	"context"
	"net/http"
	"testing"
)

// TestQueueOfStreams: streams of one HTTP/2 connection wait for slots on their own: one that is reset frees its place, the others are served.
func TestQueueOfStreams(t *testing.T) {
	e, up, answers := held(t, long(1, 2), bots)
	client, base := http2Client(t, e)
	ask := func(ctx context.Context, agent string) <-chan int {
		status := make(chan int, 1)
		go func() {
			req, err := http.NewRequestWithContext(ctx, "GET", base+"/", nil)
			if err != nil {
				status <- 0
				return
			}
			req.Header.Set("User-Agent", agent)
			res, err := client.Do(req)
			if err != nil {
				status <- 0
				return
			}
			_ = res.Body.Close()
			status <- res.StatusCode
		}()
		return status
	}
	first := ask(t.Context(), "person")
	expect(t, "first request", up.heads)
	ctx, reset := context.WithCancel(t.Context())
	gone := ask(ctx, "person")
	e.waiting(1)
	second := ask(t.Context(), "person")
	e.waiting(2)
	if status := expect(t, "third answer", ask(t.Context(), "ExampleBot")); status != http.StatusServiceUnavailable {
		t.Errorf("a full queue: %d", status)
	}
	e.logged(503, "queue_full", 0)
	reset()
	expect(t, "end of the stream that was reset", gone)
	e.logged(499, "client_gone", 0)
	e.waiting(1)
	for _, status := range []<-chan int{first, second} {
		answers <- ok
		if got := expect(t, "answer", status); got != http.StatusOK {
			t.Errorf("%d", got)
		}
	}
}
