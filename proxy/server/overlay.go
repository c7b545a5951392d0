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
	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// overlayVersion is raised when an older weir could misread the file. Version 1 had weights alone, and reads as this one without the rest.
const overlayVersion = 2

// overlay is what operators set at run time over the configuration file. It is a value: changes make another one.
type overlay struct {
	Version int `json:"version"`
	// Revision is the one of the replicas that it is, or was when this one last saw them.
	Revision cluster.Revision          `json:"revision,omitzero"`
	Services map[string]serviceOverlay `json:"services"`
}

// serviceOverlay is one service's part of it.
type serviceOverlay struct {
	// Weights are in hundredths of a percent, every group named; nil: the file's.
	Weights map[string]uint32 `json:"weights,omitempty"`
	// Groups are those that drain or are evicted, Targets the same by group and address.
	Groups  map[string]mark            `json:"groups,omitempty"`
	Targets map[string]map[string]mark `json:"targets,omitempty"`
	Pause   *pause                     `json:"pause,omitempty"`
	// Epoch of the assignment of clients; 0 is the first. Round counts drains, so that cookies tell who was there before one. Both only grow, and outlive a reset: a cookie
	// must never become valid again, or older than it is.
	Epoch uint64    `json:"epoch,omitempty"`
	Round uint32    `json:"round,omitempty"`
	Since time.Time `json:"since,omitzero"` // of the weights
	By    string    `json:"by,omitempty"`
	// Rollout is the last rollout, under way or over; nil: none.
	Rollout *rollout.State `json:"rollout,omitempty"`
	// Owner is the replica that leads the rollout; "" where there is none, or nobody does for now. Alone says that this replica has ended the rollout while it could tell no other.
	Owner string `json:"owner,omitempty"`
	Alone bool   `json:"alone,omitempty"`
}

// mark is what an operator has said of a group or a target.
type mark struct {
	Evicted bool      `json:"evicted,omitempty"` // else it drains
	Round   uint32    `json:"round,omitempty"`   // in which a group began to
	Since   time.Time `json:"since"`
	By      string    `json:"by"`
}

// pause is that of a service.
type pause struct {
	MaxWaiting int           `json:"max_waiting"`
	Timeout    time.Duration `json:"timeout"` // ns
	Since      time.Time     `json:"since"`
	By         string        `json:"by"`
}

// with returns a copy in which the service has the given overlay.
func (o overlay) with(service string, s serviceOverlay) overlay {
	next := overlay{Version: overlayVersion, Revision: o.Revision, Services: maps.Clone(o.Services)}
	if next.Services == nil {
		next.Services = map[string]serviceOverlay{}
	}
	next.Services[service] = s
	return next
}

// reset returns a copy in which the file says everything about the service. Clients are dealt anew if that can change their group.
func (o overlay) reset(service string) overlay {
	s, ok := o.Services[service]
	if !ok {
		return o
	}
	kept := serviceOverlay{Epoch: s.Epoch, Round: s.Round}
	if s.Weights != nil || len(s.Groups) > 0 {
		kept.Epoch = s.epoch() + 1
	}
	return o.with(service, kept)
}

// epoch is that of the assignment of clients, from 1.
func (s serviceOverlay) epoch() uint64 { return max(s.Epoch, 1) }

// shares returns the weights in force for a service and why its overlay, if it has one, is not: one whose groups differ from the file's is void.
func (o overlay) shares(service string, file []balancer.Share) (shares []balancer.Share, void string) {
	s := o.Services[service]
	if void = s.unfit(file); void != "" || s.Weights == nil {
		return file, void
	}
	shares = make([]balancer.Share, len(file))
	for i, f := range file {
		shares[i] = balancer.Share{Name: f.Name, Weight: s.Weights[f.Name]}
	}
	return shares, ""
}

// unfit says why the overlay is not one of a service with these groups; "": it is.
func (s serviceOverlay) unfit(file []balancer.Share) string {
	has := func(name string) bool {
		return slices.ContainsFunc(file, func(f balancer.Share) bool { return f.Name == name })
	}
	if s.Weights != nil {
		var sum uint64
		for _, f := range file {
			w, named := s.Weights[f.Name]
			if !named {
				return fmt.Sprintf("the file has group %q, the overlay has not", f.Name)
			}
			sum += uint64(w)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Weights)) {
			if !has(name) {
				return fmt.Sprintf("the overlay has group %q, the file has not", name)
			}
		}
		if sum != balancer.WeightSum {
			return "its weights do not sum to 100"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Groups)) {
		if !has(name) {
			return fmt.Sprintf("the overlay has group %q, the file has not", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Targets)) {
		if !has(name) {
			return fmt.Sprintf("the overlay has a target of group %q, the file has no such group", name)
		}
	}
	return ""
}

// standings are what the overlay says of the groups, by index. The overlay is not void.
func (s serviceOverlay) standings(file []balancer.Share) []balancer.Standing {
	list := make([]balancer.Standing, len(file))
	for i, f := range file {
		if m, ok := s.Groups[f.Name]; ok {
			list[i] = balancer.Standing{Evicted: m.Evicted, DrainedIn: m.Round}
		}
	}
	return list
}

// overlayFile is where the overlay survives the process. Server.mu guards it.
type overlayFile struct{ path string }

// load reads the file; a missing one is an empty overlay. One that cannot be read is an error: weights that an operator set must not be lost silently.
func (f overlayFile) load() (overlay, error) {
	b, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return overlay{Version: overlayVersion}, nil
	}
	if err != nil {
		return overlay{Version: overlayVersion}, fmt.Errorf("read runtime overlay: %w", err)
	}
	o, err := readOverlay(b)
	if err != nil {
		return o, fmt.Errorf("read runtime overlay %s: %w", f.path, err)
	}
	return o, nil
}

// readOverlay is the overlay that a text says.
func readOverlay(text []byte) (overlay, error) {
	var o overlay
	if err := json.Unmarshal(text, &o); err != nil {
		return overlay{Version: overlayVersion}, err
	}
	if o.Version < 1 || o.Version > overlayVersion {
		return overlay{Version: overlayVersion}, fmt.Errorf("written by a weir with another format (version %d, this one knows 1 to %d)", o.Version, overlayVersion)
	}
	o.Version = overlayVersion
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
