package proxy

import (
	"io"
	"testing"
	"time"
)

// lostClient has gone in the middle of its body.
type lostClient struct{ downstream }

func (lostClient) AwaitBody(time.Time) error { return io.ErrUnexpectedEOF }
func (lostClient) StopReading() error        { return nil }
func (lostClient) ResumeReading() error      { return nil }

// wokenConn stops the pump between its waking of the exchange and its end, until the exchange has come to join it.
type wokenConn struct {
	upside
	woken, joining chan bool
}

func (wokenConn) Flush() {}

func (c wokenConn) StopReading() error {
	c.woken <- true
	<-c.joining
	return nil
}

func (c wokenConn) StopWriting() error {
	close(c.joining)
	return nil
}

// unendedBody has more to come.
type unendedBody struct{ requestBody }

func (unendedBody) Complete() bool { return false }

// What stopped the body is known to an exchange that was woken by it and is quicker than the pump's own end.
func TestJoinKnowsWhyItWasWoken(t *testing.T) {
	p := &Proxy{options: Options{Now: func() int64 { return 0 }}}
	x := &Exchange{proxy: p, down: lostClient{}}
	conn := wokenConn{woken: make(chan bool), joining: make(chan bool)}
	x.attempt.x, x.attempt.conn = x, conn
	u := &x.upload
	u.t, u.active, u.body, u.done = &x.attempt, true, unendedBody{}, make(chan struct{}, 1)
	go u.pump(conn)
	<-conn.woken
	if cause := u.join(x); cause == nil || cause.Reason != ClientGone {
		t.Errorf("joined with %+v", cause)
	}
}
