package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestE2EStateBelongsToOne: a second weir on the state folder of one that runs is refused, and told whose it is, after an upgrade too; when nobody has it any more it begins.
func TestE2EStateBelongsToOne(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c := upgradeConf(t, dir)
	l := founded(t, dir, c.String(), nil).begin()
	second := filepath.Join(dir, "second.toml")
	save(t, second, strings.Replace(c.String(), "admin.sock", "second.sock", 1))
	refused := func() {
		t.Helper()
		out, code := command(t, dir, nil, "run", "-c", second)
		if want := fmt.Sprintf("belongs to another weir, process %d: stop it first", l.now()); code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d, says %q, want %q", code, out, want)
		}
	}
	refused()
	l.upgrade()
	refused()
	l.end()
	run(t, dir, c).stop()
}
