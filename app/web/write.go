package web

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// kept is how many releases' files stay in the folder: a page that was opened before the last deploy may still ask for its own.
const kept = 2

// history is the file that says which names belong to which release, the newest first. Edges do not serve names that begin with a dot.
const history = ".releases.json"

// Write puts a built tree into a folder, made if absent, which an edge may be serving meanwhile. Every file comes into being whole, by renaming, and the index after everything that it refers to, so whoever
// reads the folder at any moment finds a release whole: this one or the one before, whose files stay until the next. What is there already and the same is not touched. Nothing is removed but
// what an earlier Write has put there. A second Write of the same folder waits for the first.
func Write(dir string, files []File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write web tree: %w", err)
	}
	root, err := os.OpenRoot(dir) // no link in the folder leads a write out of it
	if err != nil {
		return fmt.Errorf("write web tree: %w", err)
	}
	defer func() { _ = root.Close() }()
	unlock, err := lock(root)
	if err != nil {
		return fmt.Errorf("write web tree: %w", err)
	}
	defer unlock()
	if err := publish(root, withCompressed(files)); err != nil {
		return fmt.Errorf("write web tree to %s: %w", dir, err)
	}
	return nil
}

// publish keeps this order whatever happens in between: what the index refers to, then the note of what was written, then the index, and what is too old last. A Write that was cut short is completed by the next.
func publish(root *os.Root, files []File) error {
	releases, err := readHistory(root)
	if err != nil {
		return err
	}
	var index File
	var names []string
	for _, f := range files {
		if f.Name == Index {
			index = f
			continue
		}
		names = append(names, f.Name)
		if err := put(root, f); err != nil {
			return err
		}
	}
	if len(releases) == 0 || !slices.Equal(releases[0], names) {
		releases = append([][]string{names}, releases...)
	}
	if err := writeHistory(root, releases); err != nil {
		return err
	}
	if err := put(root, index); err != nil {
		return err
	}
	if len(releases) <= kept {
		return nil
	}
	if err := discard(root, releases); err != nil {
		return err
	}
	return writeHistory(root, releases[:kept])
}

// discard removes the files of old releases that no newer one has.
func discard(root *os.Root, releases [][]string) error {
	current := slices.Concat(releases[:kept]...)
	for _, name := range slices.Concat(releases[kept:]...) {
		if slices.Contains(current, name) || path.Dir(name)+"/" != assets {
			continue
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func readHistory(root *os.Root) (releases [][]string, err error) {
	b, err := root.ReadFile(history)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &releases); err != nil {
		return nil, fmt.Errorf("read %s: %w", history, err)
	}
	return releases, nil
}

func writeHistory(root *os.Root, releases [][]string) error {
	b, err := json.Marshal(releases)
	if err != nil {
		return err
	}
	return put(root, File{history, append(b, '\n')})
}

// put makes a file that others see whole or not at all. One that is there with this content keeps its time, which edges derive validators from.
func put(root *os.Root, f File) error {
	if now, err := root.ReadFile(f.Name); err == nil && bytes.Equal(now, f.Body) {
		return nil
	}
	folder := path.Dir(f.Name)
	if err := root.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	name := path.Join(folder, ".new-"+rand.Text())
	out, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = out.Write(f.Body)
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = root.Rename(name, f.Name)
	}
	if err != nil {
		_ = root.Remove(name)
	}
	return err
}

// worthwhile is the size in bytes from which a compressed sibling saves a packet.
const worthwhile = 1400

// withCompressed adds what edges send in place of a file to clients that accept it. The index has none: two files cannot be exchanged at one moment.
func withCompressed(files []File) []File {
	var all []File
	for _, f := range files {
		all = append(all, f)
		if f.Name == Index || len(f.Body) < worthwhile || !slices.Contains([]string{".js", ".css", ".svg"}, path.Ext(f.Name)) {
			continue
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err == nil {
			_, err = z.Write(f.Body)
		}
		if err = errors.Join(err, z.Close()); err != nil {
			continue // memory does not fail; without a sibling the file itself is sent
		}
		all = append(all, File{f.Name + ".gz", b.Bytes()})
	}
	return all
}

// lock keeps a second Write out of the folder. The kernel lets go when the process ends, however it ends.
func lock(root *os.Root) (unlock func(), err error) {
	f, err := root.OpenFile(strings.TrimSuffix(history, ".json")+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil
}
