package configs

func (c checker) routes() {
	if len(c.cfg.Routes) == 0 && !c.bad("route") {
		c.key("", "no [[route]]: every request would be answered 404")
	}
	services := make([]string, len(c.cfg.Services))
	for i, s := range c.cfg.Services {
		services[i] = s.Name
	}
	names := map[string]string{}
	seen := map[string]string{}
	for i := range c.cfg.Routes {
		rt, path := &c.cfg.Routes[i], joinIndex("route", i)
		c.name(joinKey(path, "name"), rt.Name, names)
		c.serviceOf(rt, path, services)
		c.filesOf(rt, path)
		c.limitsOf(rt, path)
		c.guardsOf(rt, path)
		c.wafOf(rt, path)
		c.compressOf(rt, path)
		c.headersNamed(joinKey(path, "headers"), rt.Headers)
		hosts := c.hosts(rt, joinKey(path, "host"))
		if c.bad(joinKey(path, "path")) || !hosts {
			continue
		}
		c.onlyRoute(rt, path, seen)
	}
}

func (c checker) serviceOf(rt *Route, route string, services []string) {
	path := joinKey(route, "service")
	if !c.pos.has(path) {
		if rt.Files == nil && !c.bad(joinKey(route, "files")) && !c.bad(path) {
			c.key(route, "service is missing")
		}
		return
	}
	if c.bad(path) || c.bad("service") && len(services) == 0 {
		return
	}
	for _, name := range services {
		if name == rt.Service {
			return
		}
	}
	c.value(path, "service %s does not exist: there is no [service.%s]%s",
		c.quote(path, rt.Service), tableName(rt.Service, c.raw[path]), didYouMean(rt.Service, services))
}

// tableName is how a header would spell a name, or "NAME" where it must not be shown.
func tableName(name, raw string) string {
	if raw != "" {
		return "NAME"
	}
	return joinKey("", name)
}

func (c checker) hosts(rt *Route, path string) bool {
	if c.bad(path) {
		return false
	}
	if c.pos.has(path) && len(rt.Hosts) == 0 {
		c.value(path, "host is empty; leave it out to match any")
		return false
	}
	for i, h := range rt.Hosts {
		at := joinIndex(path, i)
		if _, err := normalHost(h); err != nil {
			c.value(at, "host %s %v", c.quote(at, h), err)
		}
	}
	return !c.bad(path)
}

// onlyRoute refuses a second route for the same host and path: it would never be reached.
func (c checker) onlyRoute(rt *Route, path string, seen map[string]string) {
	hosts := rt.Hosts
	if len(hosts) == 0 {
		hosts = []string{""}
	}
	for i, h := range hosts {
		id := h + " " + rt.Path.id()
		other, twice := seen[id]
		if !twice {
			seen[id] = path
			continue
		}
		at, host := path, "any host"
		if h != "" {
			at = joinIndex(joinKey(path, "host"), i)
			host = c.quote(at, h)
		}
		c.value(at, "path %s of %s already has a route, on line %d",
			c.quote(joinKey(path, "path"), rt.Path.String()), host, c.pos.key(other).line)
	}
}
