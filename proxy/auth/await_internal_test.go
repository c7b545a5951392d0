package auth

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/valor-ivx/weir/proxy/message"
)

// client is one that has left or has not.
type client struct{ gone atomic.Bool }

func (c *client) Gone() bool { return c.gone.Load() }

func (c *client) Introduce(b []byte) []byte { return append(b, "X-Real-IP: 192.0.2.1\r\n"...) }

// TestWaiterNoticesItsClientLeave: who waits for a turn at the password check does not wait on for nobody; who stays gets a turn, or is told that there is none.
func TestWaiterNoticesItsClientLeave(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("good"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("ann:"+string(hash)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b, err := OpenBasic(BasicOptions{Name: "staff", UsersFile: file, Work: NewWork(1)})
		if err != nil {
			t.Fatal(err)
		}
		hold := make(chan struct{})
		go b.options.Work.do(&Request{}, func() { <-hold })
		synctest.Wait() // the only turn is taken

		h := &message.Header{}
		h.Add("Authorization", "Basic YW5uOmdvb2Q=")
		asker := &client{}
		r := &Request{Header: h, Now: time.Now(), Asker: asker}
		verdicts := make(chan Verdict, 1)
		ask := func() { verdicts <- b.Authenticate(r) }

		go ask()
		synctest.Wait()
		asker.gone.Store(true)
		from := time.Now()
		if v := <-verdicts; v.Denial == nil || v.Denial.Why != Gone || time.Since(from) > glance {
			t.Errorf("a client that left: %+v after %v", v.Denial, time.Since(from))
		}
		asker.gone.Store(false)
		from = time.Now()
		go ask()
		if v := <-verdicts; v.Denial == nil || v.Denial.Why != Busy || time.Since(from) != workPatience {
			t.Errorf("a client that stayed: %+v after %v", v.Denial, time.Since(from))
		}
		go ask()
		synctest.Wait()
		close(hold)
		if v := <-verdicts; v.Denial != nil {
			t.Errorf("a client whose turn came: %+v", v.Denial)
		}
	})
}

// TestTokenWaiterNoticesItsClientLeave: as TestWaiterNoticesItsClientLeave for the fetch of a new key.
func TestTokenWaiterNoticesItsClientLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &remoteKeys{fetcher: fetcher{wanted: make(chan chan struct{}, newKeyWaits), done: make(chan struct{})}} // its goroutine is busy with a fetch
		asker := &client{}
		asker.gone.Store(true)
		from := time.Now()
		if _, o := k.renewed(&Request{Asker: asker}); o != left || time.Since(from) > glance {
			t.Errorf("a client that left: %d after %v", o, time.Since(from))
		}
		from = time.Now()
		if _, o := k.renewed(&Request{Asker: &client{}}); o != late || time.Since(from) != newKeyWait {
			t.Errorf("a client that stayed: %d after %v", o, time.Since(from))
		}
		close(k.done)
		if _, o := k.renewed(&Request{Asker: &client{}}); o != late || time.Since(from) != newKeyWait {
			t.Errorf("at the end: %d after %v", o, time.Since(from))
		}
	})
}
