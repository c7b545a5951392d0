package main

import (
	"fmt"
	"path/filepath"
	"testing"
)

// TestE2EUpgradeRotation: what replaced processes still have to say goes to the files that logrotate makes, though only the process that serves hears of rotations. A renamed file is compressed and removed at once here: nobody may write
// to it any more.
func TestE2EUpgradeRotation(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	access := filepath.Join(dir, "access.log")
	r := newRotator(t, dir, fmt.Sprintf("%s {\n\trotate 9\n\tcreate 0640\n\tcompress\n\tpostrotate\n\t\tkill -USR1 \"$(cat %s/weir.pid)\"\n\tendscript\n}\n", access, dir))
	c := newConf(dir, newBackend(t, "blue").address, newBackend(t, "green").address)
	c.log = "output = \"main.log\"\naccess_output = \"access.log\"\n"
	l := founded(t, dir, c.String(), nil, "--drain-timeout", "10m").begin()
	var sockets []*stream
	for range 3 {
		sockets = append(sockets, webSocket(t, l.address("http"))) // its line is written when it ends
		l.upgrade()
	}
	lines := func(text []byte) int {
		whole, stumps := linesOf(text, map[string]int{})
		if stumps != 0 {
			t.Errorf("half a line in\n%s", text)
		}
		return whole
	}
	for i, s := range sockets {
		r.rotate(t)
		s.finish("a WebSocket of a replaced process")
		eventually(t, 0, fmt.Sprintf("the line of process %d is in the new file", i), func() bool { return lines(slurp(t, access)) == 1 })
	}
	l.end()
	text, files := rotated(t, access)
	if n := lines(text); n != len(sockets) || files != len(sockets)+1 {
		t.Errorf("%d lines in %d files, of %d WebSockets", n, files, len(sockets))
	}
	measured(t, "logrotate after upgrades, compressing at once, while the processes before still have WebSockets", "%d processes, %d rotations: every line in the new file", len(sockets), len(sockets))
}
