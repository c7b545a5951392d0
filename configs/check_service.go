package configs

import "strings"

func (c checker) service(s *Service) {
	path := joinKey("service", s.Name)
	if !isLabel(s.Name) {
		c.key(path, "service name %q: %s", s.Name, labelRule)
	}
	if s.Health != nil {
		c.health(s, joinKey(path, "health"))
	}
	if a, at := s.AdaptiveConcurrency, joinKey(path, "adaptive_concurrency"); a != nil && a.Max < a.Min && !c.bad(joinKey(at, "min")) && !c.bad(joinKey(at, "max")) {
		c.key(at, "adaptive_concurrency: max %d is less than min %d", a.Max, a.Min)
	}
	if s.Hedge != nil {
		c.hedge(s, joinKey(path, "hedge"))
	}
	if s.Breaker != nil {
		c.breaker(s.Breaker, joinKey(path, "breaker"))
	}
	c.rollout(&s.Rollout, joinKey(path, "rollout"))
	if s.Shadow != nil {
		c.shadow(s, joinKey(path, "shadow"))
	}
	c.transport(s, path)
	if groups := joinKey(path, "group"); len(s.Groups) == 0 {
		if !c.bad(path) {
			c.key(path, "service %q has no group: add [%s.NAME] with targets", s.Name, groups)
		}
		return
	}
	for i := range s.Groups {
		c.group(s, &s.Groups[i])
	}
	c.weights(s)
	c.matches(s)
}

func (c checker) health(s *Service, path string) {
	h := s.Health
	at, grpc := joinKey(path, "path"), joinKey(path, "grpc")
	switch byPath, byGRPC := c.pos.has(at), c.pos.has(grpc); {
	case c.bad(path) || c.bad(at) || c.bad(grpc):
	case byPath && byGRPC:
		c.key(grpc, "health.path and health.grpc are two different checks: leave one out")
	case byGRPC && !s.HTTP2():
		c.key(grpc, "health.grpc needs protocol h2 or h2c, not %s", s.Protocol)
	case byGRPC && h.GRPC == "":
		c.value(grpc, `grpc is empty: "*" asks for the server as a whole`)
	case byGRPC:
		if strings.ContainsFunc(h.GRPC, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			c.value(grpc, "grpc %s must be the name of a service, as package.Service", c.quote(grpc, h.GRPC))
		}
	case !byPath:
		c.key(path, "path is missing")
	case !isRequestTarget(h.Path):
		c.value(at, `path %s must start with "/" and be plain ASCII without spaces`, c.quote(at, h.Path))
	}
	timeout, interval := joinKey(path, "timeout"), joinKey(path, "interval")
	if !c.bad(timeout) && !c.bad(interval) && h.Timeout > h.Interval {
		at := timeout
		if !c.pos.has(at) {
			at = interval
		}
		c.value(at, "health.timeout %s is longer than health.interval %s", shortDuration(h.Timeout), shortDuration(h.Interval))
	}
}

// isRequestTarget: origin-form of RFC 9112 §3.2.1, a path and perhaps a query, never a fragment.
func isRequestTarget(s string) bool {
	return strings.HasPrefix(s, "/") &&
		!strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' })
}

func (c checker) group(s *Service, g *Group) {
	path := joinKey(joinKey(joinKey("service", s.Name), "group"), g.Name)
	if !isLabel(g.Name) {
		c.key(path, "group name %q: %s", g.Name, labelRule)
	}
	targets := joinKey(path, "targets")
	if len(g.Targets) == 0 && !c.bad(targets) && !c.bad(path) {
		c.value(targets, "group %q has no targets", g.Name)
	}
	seen := map[string]string{}
	for i, t := range g.Targets {
		at := joinIndex(targets, i)
		if !c.bad(at) {
			c.onlyTarget(t, at, seen)
		}
	}
}

func (c checker) onlyTarget(t Target, path string, seen map[string]string) {
	if other, twice := seen[t.String()]; twice {
		c.value(path, "target is already in this group, on line %d", c.pos.value(other).line)
		return
	}
	seen[t.String()] = path
}

// weights: a lone group may leave its weight out; several must each state one, so that nobody has to
// guess what a missing one means, and they must make 100.
func (c checker) weights(s *Service) {
	groups := joinKey(joinKey("service", s.Name), "group")
	var sum Weight
	first := ""
	complete := true
	for _, g := range s.Groups {
		at := joinKey(joinKey(groups, g.Name), "weight")
		sum += g.Weight
		switch {
		case c.bad(at):
			complete = false
		case !c.pos.has(at) && len(s.Groups) > 1:
			complete = false
			c.key(joinKey(groups, g.Name), "group %q states no weight: with several groups each must, and they must sum to 100", g.Name)
		case first == "" || c.pos.spans[at].value < c.pos.spans[first].value:
			first = at
		}
	}
	if complete && sum != WeightFull {
		c.value(first, "the weights of service %q sum to %s, not 100", s.Name, sum)
	}
}

const labelRule = `letters, digits, "_", "-" and ".", starting with a letter or digit, at most 63`

// isLabel holds names to what fits unescaped into a URL path, a metric label and a command line.
func isLabel(name string) bool {
	if name == "" || len(name) > 63 || !isAlnum(name[0]) {
		return false
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
