package configs

import "slices"

// limits checks the names of limits; every value of theirs checks itself.
func (c checker) limits() {
	for _, l := range c.cfg.Limits {
		if !isLabel(l.Name) {
			c.key(joinKey("limit", l.Name), "limit name %q: %s", l.Name, labelRule)
		}
		c.limitCounts(l, joinKey("limit", l.Name))
		if shared := joinKey(joinKey("limit", l.Name), "shared"); l.Shared && l.Rate.Count == 0 && l.Concurrency > 0 && !c.bad(shared) {
			c.value(shared, "shared = true without rate: requests under way are counted in each weir alone")
		}
	}
}

// limitCounts: a limit without rate and concurrency limits nothing, and what a rate is made of needs one.
func (c checker) limitCounts(l Limit, path string) {
	rate, burst := joinKey(path, "rate"), joinKey(path, "burst")
	if at := joinKey(path, "concurrency"); l.Key.Has(KeyJWT) && c.pos.has(at) && !c.bad(at) {
		c.value(at, "concurrency cannot be counted by a claim of a token: it is counted before the token is read")
	}
	if c.pos.has(rate) || c.bad(path) || c.bad(rate) {
		return
	}
	switch {
	case !c.pos.has(joinKey(path, "concurrency")):
		c.key(path, "rate is missing, or concurrency")
	case c.pos.has(burst) && !c.bad(burst):
		c.value(burst, "burst without rate: there is no bucket that could hold it")
	}
}

// limitsOf checks the limits that a route names.
func (c checker) limitsOf(rt *Route, route string) {
	path := joinKey(route, "limits")
	if c.bad(path) {
		return
	}
	if len(rt.Limits) > MaxLimits {
		c.value(path, "limits has %d names: at most %d", len(rt.Limits), MaxLimits)
		return
	}
	known := make([]string, len(c.cfg.Limits))
	for i, l := range c.cfg.Limits {
		known[i] = l.Name
	}
	c.references(path, references{kind: "limit", names: rt.Limits, known: known})
}

// references are names of tables [KIND.NAME] in a list.
type references struct {
	kind         string
	names, known []string
}

// references checks that each name is a table's and is there once.
func (c checker) references(path string, r references) {
	if c.bad(r.kind) && len(r.known) == 0 {
		return
	}
	seen := map[string]bool{}
	for i, name := range r.names {
		at := joinIndex(path, i)
		switch {
		case seen[name]:
			c.value(at, "%s %s is named twice", r.kind, c.quote(at, name))
		case !slices.Contains(r.known, name):
			c.value(at, "%s %s does not exist: there is no [%s.%s]%s", r.kind, c.quote(at, name), r.kind, tableName(name, c.raw[at]), didYouMean(name, r.known))
		}
		seen[name] = true
	}
}
