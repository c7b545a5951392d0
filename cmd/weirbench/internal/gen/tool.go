package gen

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

// tool is one run of a load generator that ends by itself and prints a summary.
type tool struct {
	name string
	args []string
	core int
	dir  string // where its output is kept while it runs
}

// run returns what the tool printed. It has ended when run returns.
func (t tool) run(ctx context.Context) (string, error) {
	out, err := os.CreateTemp(t.dir, t.name+"-*.txt")
	if err != nil {
		return "", fmt.Errorf("run %s: %w", t.name, err)
	}
	defer os.Remove(out.Name())
	defer out.Close()
	p, err := proc.Start(proc.Command{Path: t.name, Args: t.args, Core: t.core, Out: out})
	if err != nil {
		return "", err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), p.Stop(time.Second))
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		return "", fmt.Errorf("read %s's output: %w", t.name, err)
	}
	if p.Err() != nil {
		return "", fmt.Errorf("run %s: %w: %s", t.name, p.Err(), strings.TrimSpace(string(text)))
	}
	return string(text), nil
}
