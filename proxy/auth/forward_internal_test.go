package auth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/valor-ivx/weir/proxy/message"
)

// TestForwardIsBounded: when as many questions as may be are under way the next waits for its turn, and is out if that does not come.
func TestForwardIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	f, err := NewForward(ForwardOptions{Name: "sso", URL: s.URL, UserHeader: "X-User", Timeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range forwardAtATime {
		<-f.slots
	}
	asker := &client{}
	r := &Request{Header: &message.Header{}, Asker: asker, Method: []byte("GET"), Path: []byte("/")}
	if v := f.Authenticate(r); v.Denial == nil || v.Denial.Why != Unavailable || !errors.Is(v.Denial.Err, errForwardBusy) || f.Good() {
		t.Errorf("no turn: %+v", v.Denial)
	}
	asker.gone.Store(true)
	f.options.Timeout = time.Minute
	if v := f.Authenticate(r); v.Denial == nil || v.Denial.Why != Gone {
		t.Errorf("a client that leaves while it waits: %+v", v.Denial)
	}
	asker.gone.Store(false)
	f.slots <- struct{}{}
	if v := f.Authenticate(r); v.Denial != nil || !f.Good() {
		t.Errorf("its turn: %+v", v.Denial)
	}
	if f.slots <- <-f.slots; len(f.slots) != 1 {
		t.Error("the turn is not given back")
	}
}
