package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	"github.com/valor-ivx/weir/proxy/observe"
)

// routeWhy says what the route of a request that has ended takes.
func (g *generation) routeWhy(r *observe.Recorded) string {
	if r.Route == unrouted {
		return "no route took it"
	}
	routes := g.plan.config.Routes
	i := slices.IndexFunc(routes, func(c configs.Route) bool { return c.Name == r.Route })
	switch {
	case i < 0:
		return fmt.Sprintf("a route of generation %d, which the one in force does not have", r.Generation)
	case len(routes[i].Hosts) == 0:
		return "any host, path " + routes[i].Path.String()
	}
	return "host " + strings.Join(routes[i].Hosts, ", ") + ", path " + routes[i].Path.String()
}

// groupWhy says how a request that has ended came to its group; "" if it came to none. Names are the configuration's in force; of what a group's match wants only the name is said:
// who knows its value can ask for the group.
func (g *generation) groupWhy(r *observe.Recorded) string {
	if r.Placed == observe.PlacedNowhere {
		return ""
	}
	why := g.placedWhy(r)
	switch {
	case r.Group == "":
		return fmt.Sprintf("dealt to %s, which could not serve it: %s", r.Dealt, why)
	case r.Group != r.Dealt && r.Attempts > 1:
		return fmt.Sprintf("dealt to %s, which failed it: %s", r.Dealt, why)
	case r.Group != r.Dealt:
		return fmt.Sprintf("failover from %s, which had no live target: %s", r.Dealt, why)
	}
	return why
}

func (g *generation) placedWhy(r *observe.Recorded) string {
	weight := admin.Weight(r.Weight).String() + " %"
	if r.Assigned != "" {
		weight += " in a rollout"
	}
	c := g.serviceConfig(r.Service)
	switch r.Placed {
	case observe.PlacedDealt:
		return "by weight, " + weight
	case observe.PlacedNew:
		return "a new client, by weight, " + weight
	case observe.PlacedCookie:
		return "the client's, by cookie weir_" + r.Service
	case observe.PlacedHeader:
		return "the client's, by header " + c.Sticky.Name
	case observe.PlacedAppCookie:
		return "the client's, by cookie " + c.Sticky.Name
	case observe.PlacedAddress:
		return "the client's, by its address"
	case observe.PlacedUnnamed:
		return "the client's, by its address: it shows no " + strings.Replace(c.Sticky.String(), ":", " ", 1)
	case observe.PlacedAsked:
		return "asked for by " + matchName(c, r.Dealt)
	}
	return ""
}

// serviceConfig is a service of the file, an empty one if there is none of that name any more.
func (g *generation) serviceConfig(name string) *configs.Service {
	for i := range g.plan.config.Services {
		if g.plan.config.Services[i].Name == name {
			return &g.plan.config.Services[i]
		}
	}
	return &configs.Service{}
}

// matchName is what asks for a group: "header X-Canary".
func matchName(c *configs.Service, group string) string {
	for i := range c.Groups {
		m := c.Groups[i].Match
		if c.Groups[i].Name != group || m == nil {
			continue
		}
		header, _ := m.HeaderPair()
		cookie, _ := m.CookiePair()
		switch {
		case header != "" && cookie != "":
			return "header " + header + " or cookie " + cookie
		case header != "":
			return "header " + header
		}
		return "cookie " + cookie
	}
	return "its match"
}
