package server

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/valor-ivx/weir/balancer"
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/upstream"
)

// serviceEffects tell of weights, clients and rollouts.
func (s *Server) serviceEffects(cfg *configs.Config, old *generation) (list []admin.Effect) {
	kept := map[string]bool{}
	for i := range cfg.Services {
		c := &cfg.Services[i]
		kept[c.Name] = true
		before := old.sharesOf(c.Name)
		after, void := s.runtime.shares(c.Name, fileShares(c))
		say := func(format string, args ...any) {
			list = append(list, admin.Effect{Subject: "service " + c.Name, Text: fmt.Sprintf(format, args...)})
		}
		if void != "" && old.voids[c.Name] == "" {
			say("what was set at run time no longer holds: %s", void)
		}
		if moved := movedShare(before, after); before != nil && moved > 0 {
			say("the weights become %s: %s %% of the clients change their group", inWords(after), configs.Weight(moved))
		}
		if file := fileShares(c); void == "" && !slices.Equal(file, after) && !slices.Equal(file, oldFile(old, c.Name)) {
			say("the file's new weights %s are not in force before `weir weights %s reset`: those set at run time stay", inWords(file), c.Name)
		}
		if void != "" && s.rollingOut(c.Name) {
			say("the rollout under way ends: %s", void)
		}
	}
	for name := range old.services {
		if kept[name] {
			continue
		}
		text := "ends: requests under way are finished, new ones are for the routes that are left"
		if s.rollingOut(name) {
			text += "; so does its rollout"
		}
		list = append(list, admin.Effect{Subject: "service " + name, Text: text})
	}
	slices.SortFunc(list, func(a, b admin.Effect) int { return cmp.Compare(a.Subject, b.Subject) })
	return list
}

// rollingOut reports a rollout under way.
func (s *Server) rollingOut(service string) bool {
	r := s.rollouts.get(service)
	return r != nil && !r.runner.View().Phase.Over()
}

// oldFile is what the file in force says of a service's weights, nil where it has none.
func oldFile(old *generation, service string) []balancer.Share {
	cfg := old.plan.config
	for i := range cfg.Services {
		if cfg.Services[i].Name == service {
			return fileShares(&cfg.Services[i])
		}
	}
	return nil
}

// inWords is "blue 75, green 25".
func inWords(shares []balancer.Share) string {
	words := make([]string, len(shares))
	for i, s := range shares {
		words[i] = s.Name + " " + configs.Weight(s.Weight).String()
	}
	return strings.Join(words, ", ")
}

// movedShare is the share of clients, in hundredths of a percent, whose group is another one after a change of weights: what groups win, which is what the others lose.
func movedShare(before, after []balancer.Share) (moved uint32) {
	for _, a := range after {
		was := uint32(0)
		if i := slices.IndexFunc(before, func(b balancer.Share) bool { return b.Name == a.Name }); i >= 0 {
			was = before[i].Weight
		}
		if a.Weight > was {
			moved += a.Weight - was
		}
	}
	return moved
}

// poolEffects tell of targets, by group.
func poolEffects(p *prepared, old *generation) (list []admin.Effect) {
	for key, was := range old.pools {
		list = append(list, targetEffects(key, was, p.pools[key])...)
	}
	for key, pool := range p.pools {
		if old.pools[key] == nil {
			list = append(list, targetEffects(key, nil, pool)...)
		}
	}
	slices.SortFunc(list, func(a, b admin.Effect) int { return cmp.Compare(a.Subject, b.Subject) })
	return list
}

func targetEffects(key poolKey, was, will *upstream.Pool) (list []admin.Effect) {
	before, after := peersOf(was), peersOf(will)
	say := func(address, format string, args ...any) {
		list = append(list, admin.Effect{Subject: "service " + key.service + ", group " + key.group + ", target " + address, Text: fmt.Sprintf(format, args...)})
	}
	for address, peer := range before {
		if _, stays := after[address]; !stays {
			say(address, "gets no more requests; those in flight, %d now, are finished", peer.InFlight)
		}
	}
	for address := range after {
		_, known := before[address]
		switch {
		case known:
		case will.Options().Health != nil:
			say(address, "is new: it gets requests once a probe has found it healthy")
		default:
			say(address, "is new and gets requests at once: its service has no health check")
		}
	}
	return list
}

// peersOf are a pool's by address; of none, none.
func peersOf(p *upstream.Pool) map[string]upstream.PeerStatus {
	peers := map[string]upstream.PeerStatus{}
	if p == nil {
		return peers
	}
	for _, s := range p.Snapshot() {
		if s.State != upstream.Draining {
			peers[s.Address] = s
		}
	}
	return peers
}
