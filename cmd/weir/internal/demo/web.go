package demo

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// webFolder is the front end's, beside the configuration that names it.
const webFolder = "web"

// writeWeb has the API write its front end where the edge serves it from. An edge that is told of a new release by a newer API finds it whole at any moment.
func writeWeb(ctx context.Context, o Options) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, o.API, "web", "--out", filepath.Join(o.Dir, webFolder))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("write front end: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}
