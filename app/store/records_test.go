package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/valor-ivx/weir/app/store"
	"pgregory.net/rapid"
)

func scenario(n int, subject, name string) store.Record {
	return store.Record{ID: fmt.Sprint("id", n), Kind: store.DCFScenario, Subject: subject, Name: name, Inputs: json.RawMessage(fmt.Sprintf(`{"n": %d}`, n)), UpdatedAt: at(n)}
}

func save(t *testing.T, s *store.Store, o store.Owner, list ...store.Record) {
	t.Helper()
	if err := s.SaveRecords(t.Context(), o, list); err != nil {
		t.Fatal(err)
	}
}

func TestRecordComesBackAsItWasWritten(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		want := store.Record{ID: "r", Kind: store.MARun, Subject: "Bolt & Söhne '; --", Name: "%_", Inputs: json.RawMessage(`{"x":  "\u0000<b>"}`), Settings: json.RawMessage(`{}`),
			Results: json.RawMessage(`[1e400]`), Parties: json.RawMessage(`null`), UpdatedAt: at(1)}
		save(t, s, ann, want)
		got, err := s.Record(t.Context(), ann, store.MARun, "r")
		if err != nil {
			t.Fatal(err)
		}
		want.Version, want.CreatedAt, want.Seq = 1, at(1), got.Seq
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// Saving under a name that is taken makes the next version of what is there, under the id that it has.
func TestSavingAgainIsTheNextVersion(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		save(t, s, ann, scenario(1, "A", "base"), scenario(2, "A", "bull"))
		save(t, s, ann, scenario(3, "A", "base"), scenario(4, "B", "base"))
		save(t, s, bob, scenario(5, "A", "base"))
		got, err := s.Record(t.Context(), ann, store.DCFScenario, "id1")
		if err != nil || got.Version != 2 || string(got.Inputs) != `{"n": 3}` || got.CreatedAt != at(1) || got.UpdatedAt != at(3) {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Record(t.Context(), ann, store.DCFScenario, "id3"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the second id of one scenario: %v", err)
		}
		list, more, err := s.Records(t.Context(), ann, store.RecordQuery{Kind: store.DCFScenario, Limit: 10})
		if err != nil || more || fmt.Sprint(recordIDs(list)) != "[id4 id1 id2]" {
			t.Errorf("%v, %v, %v", recordIDs(list), more, err)
		}
	})
}

// An error in the middle of a batch leaves none of it.
func TestBatchesAreWhole(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		save(t, s, bob, scenario(9, "Z", "z"))
		taken := scenario(9, "C", "c") // its id is bob's
		if err := s.SaveRecords(t.Context(), ann, []store.Record{scenario(1, "A", "a"), scenario(2, "B", "b"), taken}); err == nil {
			t.Fatal("an id was given twice")
		}
		list, _, err := s.Records(t.Context(), ann, store.RecordQuery{Kind: store.DCFScenario, Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("%v, %v", recordIDs(list), err)
		}
		if entries, _, err := s.Audit(t.Context(), ann, 0, 10); err != nil || len(entries) != 0 {
			t.Errorf("the audit log tells of what did not happen: %v, %v", entries, err)
		}
	})
}

func TestRecordsOfOthers(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		save(t, s, ann, scenario(1, "A", "base"))
		key := store.RecordKey{Kind: store.DCFScenario, ID: "id1", Seen: store.AnyVersion}
		for _, o := range []store.Owner{bob, eve, {}} {
			_, err1 := s.Record(t.Context(), o, store.DCFScenario, "id1")
			_, err2 := s.UpdateRecord(t.Context(), o, key, scenario(2, "", ""))
			err3 := s.DeleteRecord(t.Context(), o, key, at(2))
			for _, err := range []error{err1, err2, err3} {
				if !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%v: %v", o, err)
				}
			}
			if list, _, err := s.Records(t.Context(), o, store.RecordQuery{Kind: store.DCFScenario, Limit: 10}); err != nil || len(list) != 0 {
				t.Errorf("%v lists %v, %v", o, list, err)
			}
		}
		key.Kind = store.LBOScenario // of another kind it is not there either
		if err := s.DeleteRecord(t.Context(), ann, key, at(2)); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
		if r, err := s.Record(t.Context(), ann, store.DCFScenario, "id1"); err != nil || r.Version != 1 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

func TestChangesNeedTheVersionThatIsThere(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		save(t, s, ann, scenario(1, "A", "base"))
		key := func(seen int64) store.RecordKey {
			return store.RecordKey{Kind: store.DCFScenario, ID: "id1", Seen: seen}
		}
		now, err := s.UpdateRecord(t.Context(), ann, key(1), scenario(2, "", ""))
		if err != nil || now.Version != 2 || string(now.Inputs) != `{"n": 2}` || now.Name != "base" || now.CreatedAt != at(1) || now.UpdatedAt != at(2) {
			t.Errorf("%+v, %v", now, err)
		}
		var other *store.ConflictError
		if _, err := s.UpdateRecord(t.Context(), ann, key(1), scenario(3, "", "")); !errors.As(err, &other) || other.Version != 2 {
			t.Errorf("a stale change: %v", err)
		}
		if err := s.DeleteRecord(t.Context(), ann, key(1), at(3)); !errors.As(err, &other) || other.Version != 2 {
			t.Errorf("a stale deletion: %v", err)
		}
		if now, err := s.UpdateRecord(t.Context(), ann, key(store.AnyVersion), scenario(4, "", "")); err != nil || now.Version != 3 {
			t.Errorf("%+v, %v", now, err)
		}
		if err := s.DeleteRecord(t.Context(), ann, key(3), at(5)); err != nil {
			t.Error(err)
		}
		if err := s.DeleteRecord(t.Context(), ann, key(3), at(6)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a second deletion: %v", err)
		}
		entries, _, err := s.Audit(store.WithRequest(t.Context(), "x"), ann, 0, 10)
		var said []string
		for _, e := range entries {
			said = append(said, fmt.Sprint(e.Action, " ", e.Kind, " ", e.Target, " ", e.Version))
		}
		if err != nil || strings.Join(said, "; ") != "delete dcf.scenario id1 3; update dcf.scenario id1 3; update dcf.scenario id1 2; create dcf.scenario id1 1" {
			t.Errorf("%v, %v", said, err)
		}
	})
}

// Writers of the same names in opposite orders all get through: each save is one version more.
func TestSaversDoNotBlockEachOther(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		const writers, rounds, names = 6, 10, 8
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			wg.Go(func() {
				for r := range rounds {
					var list []store.Record
					for n := range names {
						if w%2 == 1 {
							n = names - 1 - n
						}
						list = append(list, scenario(10000*w+100*r+n, "A", fmt.Sprint("name", n)))
					}
					errs[w] = errors.Join(errs[w], s.SaveRecords(t.Context(), ann, list))
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		list, _, err := s.Records(t.Context(), ann, store.RecordQuery{Kind: store.DCFScenario, Limit: 100})
		if err != nil || len(list) != names {
			t.Fatalf("%d scenarios, %v", len(list), err)
		}
		for _, r := range list {
			if r.Version != writers*rounds {
				t.Errorf("%s is at version %d of %d", r.Name, r.Version, writers*rounds)
			}
		}
	})
}

// Any order and search, walked from page to page, is the list sorted in memory.
func TestRecordsMatchAListSortedInMemory(t *testing.T) {
	each(t, func(t *testing.T, db store.Options) {
		s := open(t, db)
		var all []store.Record
		for i := range 37 {
			r := scenario(i, []string{"AAPL", "ÄPFEL", "b%"}[i%3], fmt.Sprint("Case ", i))
			r.UpdatedAt = at(i * 7 % 13)
			all = append(all, r)
			save(t, s, ann, r)
			save(t, s, bob, scenario(1000+i, "AAPL", fmt.Sprint("Case ", i)))
		}
		rapid.Check(t, func(t *rapid.T) {
			q := store.RecordQuery{Kind: store.DCFScenario, BySubject: rapid.Bool().Draw(t, "by subject"), Ascending: rapid.Bool().Draw(t, "ascending"),
				Search: rapid.SampledFrom([]string{"", "aapl", "äPF", "case 1", "%", "_", "zz", "\x00", "\xff"}).Draw(t, "search"), Limit: rapid.Int64Range(1, 40).Draw(t, "limit")}
			var got []string
			for {
				list, more, err := s.Records(t.Context(), ann, q)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, recordIDs(list)...)
				if !more {
					break
				}
				at := list[len(list)-1].Place(q.BySubject)
				q.From = &at
			}
			if want := recordIDs(expectedRecords(all, q)); !slices.Equal(got, want) {
				t.Fatalf("%+v:\ngot  %v\nwant %v", q, got, want)
			}
		})
	})
}

func expectedRecords(all []store.Record, q store.RecordQuery) []store.Record {
	var out []store.Record
	for _, r := range all {
		if strings.Contains(strings.ToLower(r.Subject+"\n"+r.Name), strings.ToLower(q.Search)) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b store.Record) int {
		if c := strings.Compare(a.Subject, b.Subject); q.BySubject && c != 0 {
			return c
		}
		return a.UpdatedAt.Compare(b.UpdatedAt)
	})
	if !q.Ascending {
		slices.Reverse(out)
	}
	return out
}

func recordIDs(list []store.Record) (ids []string) {
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids
}
