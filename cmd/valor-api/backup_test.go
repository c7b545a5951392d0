package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The verb copies the file of a running service, under writes; another service goes on with the copy, in which is all that was acknowledged before.
func TestBackupOfARunningService(t *testing.T) {
	dir := t.TempDir()
	database, to := filepath.Join(dir, "live.db"), filepath.Join(dir, "copy.db")
	live := start(t, database)
	var before []string
	for n := range 50 {
		id, err := live.save(fmt.Sprint("T", n))
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, id)
	}
	enough := make(chan struct{})
	var wg sync.WaitGroup
	for n := range 4 {
		wg.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
				}
				if _, err := live.save(fmt.Sprint("W", n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	code, said := backup(t, "file:"+database, to)
	close(enough)
	wg.Wait()
	if code != 0 || said != "backed up to "+to+"\n" {
		t.Fatalf("exit %d: %s", code, said)
	}
	copied := start(t, to)
	for _, id := range before {
		if code, body, err := get(copied.url + "/api/runs/" + id); err != nil || code != 200 {
			t.Errorf("run %s: %d %s, %v", id, code, body, err)
		}
	}
	if _, err := copied.save("AFTER"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info, err)
	}
	if code, said := backup(t, "file:"+database, to); code != 1 || !strings.Contains(said, "is there already") {
		t.Errorf("over a backup: exit %d: %s", code, said)
	}
	if code, said := backup(t, "postgres://u:hunter2@h/db", filepath.Join(dir, "x")); code != 1 || !strings.Contains(said, "pg_dump") || strings.Contains(said, "hunter2") {
		t.Errorf("of PostgreSQL: exit %d: %s", code, said)
	}
}

// backup runs the verb with nothing but the database in its environment.
func backup(t *testing.T, database, to string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), built, "backup", to)
	cmd.Env = []string{"VALOR_DATABASE=" + database}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}
