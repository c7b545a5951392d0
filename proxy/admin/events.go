package admin

import (
	"errors"
	"net/http"
	"time"
)

// frameTimeout is how long a frame may take to be written before its watcher is given up: the connection is dead or stuck.
const frameTimeout = 10 * time.Second

// events streams frames as server-sent events (WHATWG HTML §9.2) until the client leaves, is too slow, or the server ends.
func (a *api) events(w http.ResponseWriter, r *http.Request) {
	if !streamable(w, r) {
		return
	}
	watch, err := a.hub.join()
	if errors.Is(err, errManyWatchers) {
		problem(http.StatusServiceUnavailable, "there are as many watchers as may be").write(w, r)
		return
	}
	if err != nil {
		a.finish(w, r, answer{}, err)
		return
	}
	defer a.hub.leave(watch)
	c := beginStream(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case frame, ok := <-watch.frames:
			if !ok || writeFrame(w, c, frame) != nil {
				return
			}
		}
	}
}

// streamable reports a request that may be answered by a stream; others it answers itself.
func streamable(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return false
	}
	// A page of another origin could read nothing of a stream, and hold all the places there are.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		problem(http.StatusForbidden, "events are not for pages of other origins").write(w, r)
		return false
	}
	return true
}

// beginStream sends the head of a stream.
func beginStream(w http.ResponseWriter) *http.ResponseController {
	c := http.NewResponseController(w)
	// The server's deadlines are for calls that end. The one on reading would end this one: net/http reads on, to see the client leave. Where the connection
	// cannot have deadlines, those of the server are in force, and a watcher has to come again.
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(frameTimeout))
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	_ = c.Flush() // an error is seen by the write that follows
	return c
}

// writeFrame writes one event. JSON has no line break outside of strings, and none inside them.
func writeFrame(w http.ResponseWriter, c *http.ResponseController, frame []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(frameTimeout))
	for _, part := range [...][]byte{[]byte("data: "), frame, []byte("\n\n")} {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return c.Flush()
}
