package peer

import (
	"fmt"
	"os"
	"path/filepath"
)

// PathFile is a small file of the folder that NewWeb makes.
const PathFile = "/assets/small.json"

// NewWeb makes a folder to serve in dir: the origin's small answer as PathFile and as the index, and a file of 1 MiB as Path1M.
func NewWeb(dir string) (string, error) {
	web := filepath.Join(dir, "web")
	for _, path := range []string{PathFile, "/index.html"} {
		if _, err := writeConfig(filepath.Join(web, filepath.Dir(path)), filepath.Base(path), Answer); err != nil {
			return "", fmt.Errorf("make files: %w", err)
		}
	}
	if err := zeros(filepath.Join(web, Path1M), 1<<20); err != nil {
		return "", err
	}
	return web, os.Chmod(web, 0o755)
}
