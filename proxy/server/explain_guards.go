package server

import (
	"slices"

	"github.com/valor-ivx/weir/configs"
)

// access tells what the route's access lists say to the client's address.
func (e *explanation) access() bool {
	for _, l := range e.route.Access {
		if !l.Permits(e.client) {
			e.step("admit", "access "+l.Name()+" refuses", "%s is denied, or not among those that are allowed", e.client)
			return e.end("403 access_denied")
		}
		e.step("admit", "access "+l.Name()+" permits", "%s", e.client)
	}
	return true
}

// guard names the route's authentication without asking it.
func (e *explanation) guard() {
	routes := e.g.plan.config.Routes
	i := slices.IndexFunc(routes, func(r configs.Route) bool { return r.Name == e.route.Name })
	if i < 0 || routes[i].Auth == "" {
		return
	}
	a := e.g.guards.auths[routes[i].Auth].config
	e.step("admit", "auth "+a.Name, "%s; %s", a.Type, refusals(a.Type))
}

// refusals is what a client gets that an authentication does not let in.
func refusals(t configs.AuthType) string {
	switch t {
	case configs.AuthMTLS:
		return "without a certificate that may come in 403"
	case configs.AuthOIDC:
		return "without a session pages are sent to log in, everything else is 401"
	case configs.AuthForward:
		return "the service's own answer unless that is 2xx, without one 503"
	}
	return "without valid credentials 401"
}
