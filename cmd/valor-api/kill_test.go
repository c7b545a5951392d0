package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/valor-ivx/weir/app/pgtest"
	"github.com/valor-ivx/weir/app/store"
)

// databases is a database that processes share: a file, or one of PostgreSQL.
type databases struct{ path, postgres string }

func (d databases) env() []string {
	if d.postgres != "" {
		return []string{"VALOR_DATABASE=" + d.postgres, "VALOR_DATABASE_TIMEOUT=1m"} // none ends because the machine is busy
	}
	return nil
}

// cluster is the PostgreSQL server of the tests here, started by the first that needs it and ended by TestMain.
var cluster pgtest.Shared

// postgres is an empty database.
func postgres(t *testing.T) databases { return databases{postgres: cluster.Database(t)} }

// settle waits until PostgreSQL has noticed the deaths: a commit that it has received it carries out, acknowledged or not.
func (d databases) settle(t *testing.T) {
	t.Helper()
	if d.postgres == "" {
		return
	}
	conn, err := pgx.Connect(t.Context(), d.postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for left := 1; left > 0; {
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'valor-api' AND datname = current_database()`).Scan(&left)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTwoProcessesStartTogetherOnPostgres(t *testing.T) {
	for round := range 5 {
		startTogether(t, round, postgres(t))
	}
}

// Both colours write runs, notes and scenarios to one database; blue is killed in the middle of it. Whatever was acknowledged is
// still there, the counts and the audit log agree with the rows, and green never stops.
func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { killAmongWriters(t, databases{path: filepath.Join(t.TempDir(), "shared.db")}) })
	t.Run("postgres", func(t *testing.T) { killAmongWriters(t, postgres(t)) })
}

// acknowledgement is a write that was acknowledged: what must be there after it.
type acknowledgement struct {
	run, scenario, note string // the id of a run, the name of a scenario or the ticker of a note
	version             int64
}

func killAmongWriters(t *testing.T, d databases) {
	const writers, before, after = 4, 200, 200
	blue := start(t, d.path, append(d.env(), "VALOR_COLOR=blue")...)
	green := start(t, d.path, append(d.env(), "VALOR_COLOR=green")...)

	var mu sync.Mutex // guards list
	var list []acknowledgement
	kill, enough := make(chan struct{}), make(chan struct{})
	write := func(i *instance, name string) error {
		for n := 0; ; n++ {
			select {
			case <-enough:
				return nil
			default:
			}
			done, err := i.write(name, n)
			if err != nil {
				return err
			}
			mu.Lock()
			list = append(list, done)
			switch len(list) {
			case before:
				close(kill)
			case before + after:
				close(enough)
			}
			mu.Unlock()
		}
	}
	var wg sync.WaitGroup
	greenErrors := make([]error, writers)
	for n := range writers {
		wg.Go(func() { _ = write(blue, fmt.Sprint("BLUE", n)) }) // blue's writers end by its death
		wg.Go(func() { greenErrors[n] = write(green, fmt.Sprint("GREEN", n)) })
	}
	<-kill
	if err := blue.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err := errors.Join(greenErrors...); err != nil {
		t.Fatalf("green stumbled over blue's death: %v", err)
	}
	if err := green.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-green.exited
	d.settle(t)
	checkWrites(t, d, list)
}

// write does the nth write of a writer: runs, notes and scenarios in turn.
func (i *instance) write(name string, n int) (acknowledgement, error) {
	switch n % 3 {
	case 0:
		id, err := i.save(name)
		return acknowledgement{run: id}, err
	case 1:
		var got struct{ Version int64 }
		err := i.post("/api/notes/"+name, `{"content": "`+name+`"}`, &got)
		return acknowledgement{note: name, version: got.Version}, err
	}
	scenario := fmt.Sprint(name, " ", n)
	return acknowledgement{scenario: scenario}, i.post("/api/scenarios", `[{"name": "`+scenario+`", "ticker": "A", "inputs": {}}]`, nil)
}

func (i *instance) post(path, body string, into any) error {
	res, err := http.Post(i.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", path, res.StatusCode, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// checkWrites reads the database after the death of both processes.
func checkWrites(t *testing.T, d databases, list []acknowledgement) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Path: d.path, Postgres: d.postgres})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	owner := store.Owner{Tenant: "demo", User: "demo"}
	there := contents(t, s, owner)
	for _, a := range list {
		switch {
		case a.run != "" && !there.runs[a.run]:
			t.Errorf("acknowledged run %s is gone", a.run)
		case a.scenario != "" && !there.scenarios[a.scenario]:
			t.Errorf("acknowledged scenario %s is gone", a.scenario)
		case a.note != "" && there.notes[a.note] < a.version:
			t.Errorf("note %s is at version %d, %d was acknowledged", a.note, there.notes[a.note], a.version)
		}
	}
	written := len(there.runs) + len(there.scenarios)
	for _, version := range there.notes {
		written += int(version)
	}
	if entries := audited(t, s, owner); entries != written {
		t.Errorf("%d entries in the audit log for %d writes", entries, written)
	}
}

// content is what an owner has: versions by ticker, ids and names.
type content struct {
	runs, scenarios map[string]bool
	notes           map[string]int64
}

func contents(t *testing.T, s *store.Store, o store.Owner) content {
	t.Helper()
	c := content{map[string]bool{}, map[string]bool{}, map[string]int64{}}
	page := store.RunPage{Total: 1}
	var err error
	for offset := int64(0); offset < page.Total; offset += 100 {
		if page, err = s.Runs(t.Context(), o, store.RunQuery{Limit: 100, Offset: offset}); err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Runs {
			c.runs[r.ID] = true
		}
	}
	if int64(len(c.runs)) != page.Total {
		t.Errorf("%d runs listed, %d counted", len(c.runs), page.Total)
	}
	records, _, err := s.Records(t.Context(), o, store.RecordQuery{Kind: store.DCFScenario, Limit: 10000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		c.scenarios[r.Name] = true
	}
	notes, _, err := s.Notes(t.Context(), o, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		c.notes[n.Ticker] = n.Version
	}
	return c
}

func audited(t *testing.T, s *store.Store, o store.Owner) (n int) {
	t.Helper()
	for before, more := int64(0), true; more; {
		list, next, err := s.Audit(t.Context(), o, before, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			before = e.Seq
			if e.Request == "" {
				t.Errorf("%+v has no request", e)
			}
		}
		n, more = n+len(list), next
	}
	return n
}
