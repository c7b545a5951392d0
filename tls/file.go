package edgetls

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// writeAtomic makes file hold data, whole or not at all, even across a crash: temporary file in the same folder, fsync, commit, fsync
// of the folder. commit is os.Rename, which replaces, or os.Link, which fails with fs.ErrExist.
func writeAtomic(file string, data []byte, mode fs.FileMode, commit func(temp, file string) error) error {
	dir := filepath.Dir(file)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-*") // 0600
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err == nil {
		err = commit(temp.Name(), file)
	}
	// After a rename there is nothing left to remove.
	if gone := os.Remove(temp.Name()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}
