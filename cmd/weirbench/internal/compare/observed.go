package compare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/peer"
)

// observedTrial gives the CPU per request of a weir without an access log and of a second one, on the same core, that writes it as JSON to a file, and what that adds. Metrics are in both.
func observedTrial(ctx context.Context, t *trial) (_ []float64, err error) {
	program, job := t.program, t.job
	program.Dir, job.Log = filepath.Join(t.dir, "observed"), true
	if job.Listen, err = peer.FreeAddr(); err != nil {
		return nil, err
	}
	if job.Admin, err = peer.FreeAddr(); err != nil {
		return nil, err
	}
	logging, err := peer.Start(ctx, program, job)
	if err != nil {
		return nil, err
	}
	values, answered, err := t.inTurns(ctx, [2]side{{proxy: t.proxy}, {proxy: logging}})
	// What it still holds is written when it ends, so lines are counted after.
	if err := errors.Join(err, logging.Stop()); err != nil {
		return nil, err
	}
	lines, err := countLines(filepath.Join(program.Dir, "access.log"))
	if err != nil {
		return nil, err
	}
	if lines < answered[1]/2 { // a proxy that does not do what it is measured for
		return nil, fmt.Errorf("%d lines are in the access log after %d requests", lines, answered[1])
	}
	if lines < answered[1] { // lines that are dropped cost less than those that are written
		t.note("%d of %d lines of the access log were lost: its disk was too slow", answered[1]-lines, answered[1])
	}
	return values, nil
}

func countLines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("open access log: %w", err)
	}
	defer f.Close()
	block, lines := make([]byte, 1<<20), 0
	for {
		n, err := f.Read(block)
		lines += bytes.Count(block[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read access log: %w", err)
		}
	}
}
