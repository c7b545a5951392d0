package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// overlayVersion is raised when an older weir could misread the file.
const overlayVersion = 2

// overlayBefore is the oldest version that is read: 1 had weights only.
const overlayBefore = 1

// overlay is what operators set at run time over the configuration file. It is a value: changes make another one.
type overlay struct {
	Version  int                       `json:"version"`
	Services map[string]serviceOverlay `json:"services"`
	// Epochs are those of services whose clients were dealt anew; 1 for the others. They outlive a reset: an epoch never comes back.
	Epochs map[string]uint64 `json:"epochs,omitempty"`
}

// serviceOverlay is one service's part of it.
type serviceOverlay struct {
	Weights map[string]uint32 `json:"weights"` // hundredths of a percent, every group named
	Since   time.Time         `json:"since"`
	By      string            `json:"by"`
	// Rollout is the last rollout, under way or over; nil: none.
	Rollout *rollout.State `json:"rollout,omitempty"`
}

// epoch of the assignment of a service's clients. A rollback raises it; a change of weights does not.
func (o overlay) epoch(service string) uint64 { return max(1, o.Epochs[service]) }

// raised returns a copy in which the service's clients are dealt anew.
func (o overlay) raised(service string) overlay {
	next := o
	next.Epochs = maps.Clone(o.Epochs)
	if next.Epochs == nil {
		next.Epochs = map[string]uint64{}
	}
	next.Epochs[service] = o.epoch(service) + 1
	return next
}

// with returns a copy in which the service has the given overlay.
func (o overlay) with(service string, s serviceOverlay) overlay {
	next := overlay{Version: overlayVersion, Services: maps.Clone(o.Services), Epochs: o.Epochs}
	if next.Services == nil {
		next.Services = map[string]serviceOverlay{}
	}
	next.Services[service] = s
	return next
}

// without returns a copy in which the service has none.
func (o overlay) without(service string) overlay {
	next := overlay{Version: overlayVersion, Services: maps.Clone(o.Services), Epochs: o.Epochs}
	delete(next.Services, service)
	return next
}

// shares returns the weights in force for a service and why its overlay, if it has one, is not: one whose groups differ from the file's is void.
func (o overlay) shares(service string, file []balancer.Share) (shares []balancer.Share, void string) {
	s, ok := o.Services[service]
	if !ok {
		return file, ""
	}
	var sum uint64
	shares = make([]balancer.Share, len(file))
	for i, f := range file {
		w, named := s.Weights[f.Name]
		if !named {
			return file, fmt.Sprintf("the file has group %q, the overlay has not", f.Name)
		}
		shares[i] = balancer.Share{Name: f.Name, Weight: w}
		sum += uint64(w)
	}
	if len(s.Weights) != len(file) {
		for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
			if !slices.ContainsFunc(file, func(f balancer.Share) bool { return f.Name == name }) {
				return file, fmt.Sprintf("the overlay has group %q, the file has not", name)
			}
		}
	}
	if sum != balancer.WeightSum {
		return file, "its weights do not sum to 100"
	}
	return shares, ""
}

// overlayFile is where the overlay survives the process. Server.mu guards it.
type overlayFile struct{ path string }

// load reads the file; a missing one is an empty overlay. One that cannot be read is an error: weights that an operator set must not be lost silently.
func (f overlayFile) load() (overlay, error) {
	o := overlay{Version: overlayVersion}
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("read runtime overlay: %w", err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return overlay{Version: overlayVersion}, fmt.Errorf("read runtime overlay %s: %w", f.path, err)
	}
	if o.Version < overlayBefore || o.Version > overlayVersion {
		return overlay{Version: overlayVersion}, fmt.Errorf("read runtime overlay %s: written by a weir with another format (version %d, this one knows up to %d)", f.path, o.Version, overlayVersion)
	}
	return o, nil
}

// save writes the overlay durably: when it returns, a kill or a power cut leaves the new file or, on error, the old one.
func (f overlayFile) save(o overlay) error {
	b, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return fmt.Errorf("write runtime overlay: %w", err)
	}
	return writeDurably(f.path, append(b, '\n'), 0o600)
}

// setAside moves a file that cannot be understood out of the way of the next save, keeping it for a person.
func (f overlayFile) setAside() error { return os.Rename(f.path, f.asidePath()) }

func (f overlayFile) asidePath() string { return f.path + ".unreadable" }

// writeDurably replaces a file: temporary file, fsync, rename, fsync of the folder (the rename itself is only durable after that).
func writeDurably(path string, data []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name()) // the error that matters is the first one
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	folder, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return errors.Join(folder.Sync(), folder.Close())
}
