package server

import (
	"math"
	"time"

	"github.com/valor-ivx/weir/proxy"
)

// shareHalf is the time in which an assignment comes to count half in the observed share: long enough that 1 % of 100 requests a second is some thirty of them, short enough
// that what changes shows within a minute.
const shareHalf = 30 * time.Second

// shareWindows are the observed shares of all services as metrics say them: of what was assigned lately under the weights in force. The housekeeper owns it.
type shareWindows struct {
	at       time.Time
	services map[string][]shareWindow
}

// shareWindow is one group's.
type shareWindow struct {
	group    string
	baseline uint64  // of the weights that recent is about
	seen     uint64  // assigned at the last look
	recent   float64 // assigned, each one decayed by its age
}

// look takes in what was assigned since the last look and calls export with each group's share, 0 while there is none.
func (w *shareWindows) look(now time.Time, services map[string]*proxy.Service, export func(g *proxy.Group, share float64)) {
	decay := math.Exp2(-float64(now.Sub(w.at)) / float64(shareHalf))
	next := make(map[string][]shareWindow, len(services))
	for name, service := range services {
		list := make([]shareWindow, len(service.Groups))
		sum := 0.0
		for i := range service.Groups {
			g := &service.Groups[i]
			list[i] = windowOf(w.services[name], g)
			assigned := g.Assigned.Load()
			list[i].recent = list[i].recent*decay + float64(assigned-list[i].seen)
			list[i].seen = assigned
			sum += list[i].recent
		}
		for i := range list {
			share := 0.0
			if sum > 0 {
				share = list[i].recent / sum
			}
			export(&service.Groups[i], share)
		}
		next[name] = list
	}
	w.at, w.services = now, next
}

// windowOf is the group's window as it was, or a new one where the weights are others.
func windowOf(list []shareWindow, g *proxy.Group) shareWindow {
	for _, w := range list {
		if w.group == g.Name && w.baseline == g.Baseline {
			return w
		}
	}
	return shareWindow{group: g.Name, baseline: g.Baseline, seen: g.Baseline}
}
