package server

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/cluster"
	"github.com/valor-ivx/weir/proxy/observe"
	"github.com/valor-ivx/weir/proxy/rollout"
)

// store is where the overlay survives this process. Its methods are called under Server.mu.
type store interface {
	// save stores what is to be in force next and returns it as it was stored; the stake is that of a rollout, nil: the change is none of a rollout's. After errStale another
	// replica was faster and what it has changed is in force: whoever wants the change has to look again.
	save(next overlay, stake *cluster.Stake) (overlay, error)
}

var _, _ store = ownStore{}, sharedStore{}

var errStale = errors.New("another replica has changed the overlay meanwhile")

// store is the one of the configuration in force.
func (s *Server) store() store {
	if l := s.cluster.Load(); l != nil {
		return sharedStore{s, l}
	}
	return ownStore{s.overlay}
}

// ownStore is the overlay of a weir without replicas.
type ownStore struct{ file overlayFile }

// save implements store. What is changed without the replicas is none of their revisions.
func (o ownStore) save(next overlay, _ *cluster.Stake) (overlay, error) {
	next.Revision.Mark = ""
	return next, o.file.save(next)
}

// mostTries is how often a change is tried that other replicas' changes get in the way of. Each of those was one somebody asked for.
const mostTries = 8

// insist tries a change until no other replica was faster.
func insist(try func() error) error {
	for range mostTries {
		if err := try(); !errors.Is(err, errStale) {
			return err
		}
	}
	return &admin.BusyError{Detail: "other replicas change weights, drains or rollouts all the time: nothing was changed, try again"}
}

// insist is the same under Server.mu, which is free between two tries: each asks Redis once or twice, and a reload or a rollback must not wait for all of them.
func (s *Server) insist(try func() error) error {
	return insist(func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return try()
	})
}

// put makes an overlay the one in force, for whoever builds the next snapshot. Under Server.mu.
func (s *Server) put(o overlay) {
	s.runtime = o
	s.replicas.known.Store(&o.Revision)
	s.replicas.lone.Store(o.lone())
}

// copyHere keeps a copy of the replicas' overlay on this machine, for a start while Redis is away. Without it nothing else is lost. Under Server.mu.
func (s *Server) copyHere(o overlay) {
	if s.handed.Load() {
		return // the file is another process's
	}
	err := s.overlay.save(o)
	if failed := err != nil; failed != s.replicas.uncopied {
		if s.replicas.uncopied = failed; failed {
			s.log.Error("no copy of the overlay on this machine: a start while redis is away would go on with an older one", observe.Err(err))
		}
	}
}

// sharedStore is the overlay of all replicas, with a copy in the file. What it stores is in force on the others as soon as they look.
type sharedStore struct {
	server *Server
	link   *link
}

// save implements store.
func (c sharedStore) save(next overlay, stake *cluster.Stake) (overlay, error) {
	s := c.server
	from := s.runtime.Revision
	if !s.runtime.lone() {
		stored, err := c.replace(next, from, stake)
		if !errors.Is(err, errStale) {
			return stored, err
		}
	}
	document, at, err := c.link.Document(from)
	if err != nil {
		return overlay{}, unavailable(err)
	}
	if err := c.receive(document, at); err != nil {
		return overlay{}, unavailable(err)
	}
	return overlay{}, errStale
}

// unavailable is a change that the replicas could not agree on.
func unavailable(err error) error {
	return &admin.AwayError{Detail: "nothing was changed here: replicas agree on weights, drains and rollouts through redis, and could not: " + err.Error() +
		"; read the status before trying again, or take [cluster] out of the file to change this replica alone"}
}

// replace stores the overlay where from is; errStale: it is not there any more.
func (c sharedStore) replace(next overlay, from cluster.Revision, stake *cluster.Stake) (overlay, error) {
	next.Revision = cluster.Revision{Line: cmp.Or(next.Revision.Line, rand.Text()), Number: max(from.Number, next.Revision.Number) + 1, Mark: rand.Text()}
	b, err := json.Marshal(next)
	if err != nil {
		return next, fmt.Errorf("write runtime overlay: %w", err)
	}
	ok, err := c.link.Replace(cluster.Write{From: from, To: next.Revision, Document: b, Trial: stake})
	switch {
	case err != nil:
		return next, unavailable(err)
	case !ok:
		return next, errStale
	}
	c.server.copyHere(next)
	return next, nil
}

// receive takes in what the replicas have (nil: what this one knows), at a revision. What this one has decided alone while Redis was away, and what a Redis that lost something
// has forgotten, goes there.
func (c sharedStore) receive(document []byte, at cluster.Revision) error {
	s := c.server
	mine := s.runtime.Revision
	switch {
	case at == cluster.Revision{}:
		if len(s.runtime.Services) == 0 {
			return nil
		}
		return c.give("redis has no overlay yet: this replica's is now that of all", at)
	case at.Line == mine.Line && at.Number < mine.Number:
		return c.give("redis has forgotten the last changes of the overlay: this replica has given them back", at)
	case document == nil:
		if !s.runtime.lone() {
			return nil
		}
		return c.give("a rollback that was made while redis was away is now that of all replicas", at)
	}
	theirs, err := readOverlay(document)
	if err != nil {
		return fmt.Errorf("overlay of the replicas, revision %d: %w", at.Number, err)
	}
	theirs.Revision = at
	merged, won, lost := theirs.withLone(s.runtime)
	for _, name := range lost {
		s.log.Warn("a rollback that was made while redis was away is not in force any more: the other replicas have ended that rollout, or begun another", zap.String(observe.KeyService, name))
	}
	if won != nil {
		if merged, err = c.replace(merged, at, nil); err != nil {
			if errors.Is(err, errStale) {
				return nil // the next look finds out by whom
			}
			return err
		}
		s.log.Warn("a rollback that was made while redis was away is now that of all replicas", zap.Strings("weir.services", won))
	}
	if (mine.Line != at.Line || mine.Mark == "") && len(s.runtime.Services) > 0 {
		s.log.Warn("weights, drains and rollouts of this replica give way to those of the others", zap.Uint64("weir.revision", at.Number))
	}
	s.copyHere(merged)
	s.adopt(merged)
	return nil
}

// give stores what this replica has.
func (c sharedStore) give(what string, at cluster.Revision) error {
	s := c.server
	stored, err := c.replace(s.runtime.together(), at, nil)
	if errors.Is(err, errStale) {
		return nil // another replica gave its own: the next look finds it
	}
	if err != nil {
		return err
	}
	s.put(stored)
	s.log.Warn(what, zap.Uint64("weir.revision", stored.Revision.Number))
	return nil
}

// lone reports a rollback that the other replicas have not heard of.
func (o overlay) lone() bool {
	for _, set := range o.Services {
		if set.Alone {
			return true
		}
	}
	return false
}

// together is a copy in which nothing is known to this replica alone.
func (o overlay) together() overlay {
	for name, set := range o.Services {
		if set.Alone {
			set.Alone = false
			o = o.with(name, set)
		}
	}
	return o
}

// withLone is what the replicas have with what one of them has decided alone: the end of a rollout that is still under way, because back is the safe direction. Of what the others
// have ended meanwhile, or begun anew, it knew nothing.
func (o overlay) withLone(mine overlay) (merged overlay, won, lost []string) {
	merged = o
	for name, set := range mine.Services {
		if !set.Alone || set.Rollout == nil {
			continue
		}
		theirs := o.Services[name]
		if r := theirs.Rollout; r == nil || r.Phase.Over() || !r.Started.Equal(set.Rollout.Started) {
			lost = append(lost, name)
			continue
		}
		theirs.Rollout, theirs.Weights, theirs.Since, theirs.By, theirs.Owner = set.Rollout, set.Weights, set.Since, set.By, ""
		if set.Rollout.Phase == rollout.RolledBack {
			theirs.Epoch = theirs.epoch() + 1
		}
		merged = merged.with(name, theirs)
		won = append(won, name)
	}
	slices.SortFunc(won, strings.Compare)
	slices.SortFunc(lost, strings.Compare)
	return merged, won, lost
}
