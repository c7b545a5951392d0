package store_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/valor-ivx/weir/app/store"
)

func TestPostgresPool(t *testing.T) {
	s := open(t, store.Options{Postgres: postgres(t), Conns: 3, StatementTimeout: time.Minute})
	create(t, s, ann, 1, "A")
	if p := s.Pools(); len(p) != 1 || p[0].Name != "postgres" || p[0].Stats.MaxOpenConnections != 3 {
		t.Errorf("%+v", p)
	}
}

// A statement that waits for a lock or runs for longer than it may ends, and leaves nothing.
func TestPostgresStatementsEnd(t *testing.T) {
	db := store.Options{Postgres: postgres(t), StatementTimeout: 6 * time.Second} // 3 s for a lock
	s := open(t, db)
	tx, err := rawDB(t, db).Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(`LOCK TABLE notes IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	note := store.Note{Ticker: "A", WrittenAt: at(1)}
	if _, err := s.WriteNote(t.Context(), ann, note, 0); err == nil || !strings.Contains(err.Error(), "lock timeout") && !strings.Contains(err.Error(), "statement timeout") {
		t.Errorf("written through a lock: %v", err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.WriteNote(t.Context(), ann, note, 0); err != nil || n.Version != 1 {
		t.Errorf("after the lock: %+v, %v", n, err)
	}
	if list, _, err := s.Audit(t.Context(), ann, 0, 10); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

// Two transactions that wait for each other: PostgreSQL undoes one of them. When it is ours it is begun again.
func TestPostgresDeadlocksAreTriedAgain(t *testing.T) {
	db := store.Options{Postgres: postgres(t), StatementTimeout: time.Minute}
	s := open(t, db)
	save(t, s, ann, scenario(1, "A", "a"), scenario(2, "B", "b"))
	raw := rawDB(t, db)
	tx, err := raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	touch := `UPDATE records SET inputs = inputs WHERE record_id = $1`
	if _, err := tx.Exec(touch, "id2"); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	go func() {
		saved <- s.SaveRecords(context.Background(), ann, []store.Record{scenario(3, "A", "a"), scenario(4, "B", "b")})
	}()
	for waiting := 0; waiting == 0; { // for id2, with id1 in its hand
		if err := raw.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tx.Exec(touch, "id1"); err == nil {
		err = tx.Commit()
		if err != nil {
			t.Error(err)
		}
	} else if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	if err := <-saved; err != nil {
		t.Errorf("not tried again: %v", err)
	}
	for _, id := range []string{"id1", "id2"} {
		if r, err := s.Record(t.Context(), ann, store.DCFScenario, id); err != nil || r.Version != 2 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestPostgresThatIsNotThere(t *testing.T) {
	for _, dsn := range []string{"postgres://u:hunter2@/db?host=" + t.TempDir(), "postgres://u:hunter2@h:bad/db", "postgres://u:hunter2@h/db?sslmode=perhaps"} {
		s, err := store.Open(t.Context(), store.Options{Postgres: dsn})
		if err == nil {
			s.Close()
			t.Fatalf("opened %s", dsn)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in the error: %v", err)
		}
	}
}
