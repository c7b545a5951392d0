package upstream

import (
	"io"
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/valor-ivx/weir/proxy/http2"
)

// TestGreetedLate: settings that have come count, however late it is when somebody looks.
func TestGreetedLate(t *testing.T) {
	ours, theirs := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, theirs) }() // ends with the pipe, as does the next
	go func() { _ = xhttp2.NewFramer(theirs, nil).WriteSettings() }()
	c := http2.NewClientConn(ours, http2.ClientOptions{Scheme: "http", Authority: "a"})
	ended := make(chan error, 1)
	go func() { ended <- c.Serve() }()
	<-c.Ready()
	for range 200 { // of two that are ready select takes either
		if err := greeted(c, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	_ = c.Close()
	<-ended
	_ = theirs.Close()
}
