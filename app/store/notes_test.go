package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/store"
)

func write(t *testing.T, s *store.Store, ticker, content string, seen int64) store.Note {
	t.Helper()
	n, err := s.WriteNote(t.Context(), ann, store.Note{Ticker: ticker, Content: content, WrittenAt: at(1)}, seen)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNoteKeepsItsVersions(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		if _, err := s.Note(t.Context(), ann, "A", 0); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a note before the first: %v", err)
		}
		write(t, s, "A", "one \\ ' <b>", 0)
		write(t, s, "A", "zwö", 1)
		write(t, s, "A", "", store.AnyVersion)
		for version, want := range map[int64]string{0: "", 1: "one \\ ' <b>", 2: "zwö", 3: ""} {
			if n, err := s.Note(t.Context(), ann, "A", version); err != nil || n.Content != want || n.WrittenAt != at(1) || version > 0 && n.Version != version {
				t.Errorf("version %d: %+v, %v", version, n, err)
			}
		}
		list, err := s.NoteVersions(t.Context(), ann, "A")
		if err != nil || fmt.Sprint(list) != fmt.Sprint([]store.NoteVersion{{3, 0, at(1)}, {2, 4, at(1)}, {1, 11, at(1)}}) {
			t.Errorf("%v, %v", list, err)
		}
		var other *store.ConflictError
		for _, seen := range []int64{0, 1, 2, 4} {
			if _, err := s.WriteNote(t.Context(), ann, store.Note{Ticker: "A"}, seen); !errors.As(err, &other) || other.Version != 3 {
				t.Errorf("written over version %d: %v", seen, err)
			}
		}
		for _, o := range []store.Owner{bob, eve} {
			if _, err := s.Note(t.Context(), o, "A", 0); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%v reads ann's note: %v", o, err)
			}
		}
	})
}

func TestOldVersionsOfNotesGo(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		for i := range 103 {
			write(t, s, "A", fmt.Sprint(i), store.AnyVersion)
		}
		list, err := s.NoteVersions(t.Context(), ann, "A")
		if err != nil || len(list) != 100 || list[0].Version != 103 || list[99].Version != 4 {
			t.Errorf("%d versions, %v", len(list), err)
		}
	})
}

// Of all who write over the same version, one gets through; whoever writes over anything always does, and no version is written twice.
func TestNoteWritersAtOnce(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		const writers, rounds = 8, 10
		for round := range rounds {
			seen := int64(round * 2)
			var won atomic.Int64
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					_, err := s.WriteNote(t.Context(), ann, store.Note{Ticker: "A", Content: fmt.Sprint(w), WrittenAt: time.Now()}, seen)
					var other *store.ConflictError
					switch {
					case err == nil:
						won.Add(1)
					case !errors.As(err, &other) || other.Version != seen+1:
						t.Errorf("writer %d: %v", w, err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("round %d: %d writers got through", round, won.Load())
			}
			write(t, s, "A", "last", seen+1)
		}
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				if _, err := s.WriteNote(t.Context(), ann, store.Note{Ticker: "A", WrittenAt: time.Now()}, store.AnyVersion); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n, err := s.Note(t.Context(), ann, "A", 0); err != nil || n.Version != 2*rounds+writers {
			t.Errorf("%+v, %v", n, err)
		}
	})
}

func TestNotesAreListedByTicker(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		for _, ticker := range []string{"^GSPC", "MSFT", "AA", "A.B", "A", "AA", "Z"} {
			write(t, s, ticker, strings.Repeat("x", 100), store.AnyVersion)
		}
		var got []string
		for after, more := "", true; more; {
			list, next, err := s.Notes(t.Context(), ann, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range list {
				got = append(got, fmt.Sprint(n.Ticker, n.Version))
				after = n.Ticker
			}
			more = next
		}
		if strings.Join(got, " ") != "A1 A.B1 AA2 MSFT1 Z1 ^GSPC1" {
			t.Errorf("%v", got)
		}
	})
}

func TestAuditTellsWhoAndWhy(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		ctx := store.WithRequest(t.Context(), "req-1")
		u := store.User{ID: "u", Tenant: "t", Username: "Ann", Email: "a@b.c", Password: "x", CreatedAt: at(1)}
		session := func(n int) store.Session {
			return store.Session{ID: fmt.Sprint("s", n), User: "u", Hash: []byte{byte(n)}, CreatedAt: at(n), ExpiresAt: at(1000)}
		}
		if err := errors.Join(s.CreateUser(ctx, u, session(1)), s.CreateSession(ctx, u.Owner(), session(2)), s.EndSession(ctx, []byte{2}, at(3)), s.EndSession(ctx, []byte{2}, at(3))); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Refresh(ctx, []byte{1}, []byte{9}, at(4), at(1000)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the first ends the session, the second finds nothing
			if _, err := s.Refresh(ctx, []byte{1}, []byte{8}, at(5), at(1000)); !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		if err := s.CreateUser(ctx, store.User{ID: "v", Tenant: "t", Username: "ANN", Email: "x@y.z", CreatedAt: at(6)}, session(3)); !errors.Is(err, store.ErrTaken) {
			t.Fatal(err)
		}
		create(t, s, u.Owner(), 7, "A")
		var got []string
		for before, more := int64(0), true; more; {
			list, next, err := s.Audit(t.Context(), u.Owner(), before, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				got = append(got, fmt.Sprint(e.Action, " ", e.Kind, " ", e.Target, " ", e.At.Second(), " ", e.Request))
				before = e.Seq
			}
			more = next
		}
		want := "create run t-u-7[] 7 ; revoke session s1 5 req-1; delete session s2 3 req-1; create session s2 2 req-1; create account u 1 req-1"
		if strings.Join(got, "; ") != want {
			t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), want)
		}
		if list, _, err := s.Audit(t.Context(), ann, 0, 10); err != nil || len(list) != 0 {
			t.Errorf("others see %v, %v", list, err)
		}
		if _, err := s.UserByName(t.Context(), "a\x00"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a name that nobody can have: %v", err)
		}
	})
}
