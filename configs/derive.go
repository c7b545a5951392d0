package configs

import (
	"path/filepath"
	"strconv"
)

// derive fills in the defaults that follow from other values, so that the effective configuration is
// explicit, and makes paths start at the file's folder.
func derive(cfg *Config, r *report, f *files) {
	if !r.pos.has("admin.state_dir") {
		cfg.Admin.StateDir = defaultStateDir(f)
	}
	cfg.Admin.StateDir = f.path(cfg.Admin.StateDir)
	for _, out := range []*string{&cfg.Log.Output, &cfg.Log.AccessOutput, &cfg.Log.Audit} {
		*out = outputPath(*out, f)
	}
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; !r.pos.has(joinKey(joinIndex("listener", i), "max_uri")) && l.MaxHeader > 0 {
			l.MaxURI = min(l.MaxURI, l.MaxHeader)
		}
	}
	for i := range cfg.Services {
		s := &cfg.Services[i]
		group := joinKey(joinKey("service", s.Name), "group")
		if len(s.Groups) == 1 && !r.pos.has(joinKey(joinKey(group, s.Groups[0].Name), "weight")) {
			s.Groups[0].Weight = WeightFull
		}
		if o := s.Shadow; o != nil && o.From == "" {
			o.From = onlyOther(s.Groups, o.To)
		}
	}
	for i := range cfg.Limits {
		if l := &cfg.Limits[i]; !r.pos.has(joinKey(joinKey("limit", l.Name), "burst")) {
			l.Burst = l.Rate.Count
		}
	}
	for i := range cfg.Listeners {
		if l := &cfg.Listeners[i]; l.TLS && !r.pos.has(joinKey(joinIndex("listener", i), "protocols")) {
			l.Protocols = []string{"http/1.1", "h2"}
		}
	}
	nameReportPaths(cfg.Headers)
	lowerHosts(cfg.Routes)
	nameListeners(cfg.Listeners, r.pos)
	nameRoutes(cfg.Routes, r.pos)
}

// outputPath keeps the two streams apart from files that happen to have their names.
func outputPath(out string, f *files) string {
	if isStream(out) {
		return out
	}
	if path := f.path(out); !isStream(path) {
		return path
	}
	return "./" + filepath.Base(out)
}

func isStream(out string) bool { return out == "stdout" || out == "stderr" }

// defaultStateDir follows systemd (StateDirectory=), then the FHS for root, then the XDG base
// directories for everyone else.
func defaultStateDir(f *files) string {
	if dir, _ := f.env("STATE_DIRECTORY"); dir != "" {
		return filepath.SplitList(dir)[0]
	}
	if f.root {
		return "/var/lib/weir"
	}
	// The base directory specification says to ignore relative values.
	if dir, _ := f.env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "weir")
	}
	home, _ := f.env("HOME")
	if home == "" {
		// A user without a home, as some containers have: the state must still go somewhere stable.
		return "/var/lib/weir"
	}
	return filepath.Join(home, ".local", "state", "weir")
}

// lowerHosts puts hosts into the form they are compared in; what is no host is left for check.
func lowerHosts(routes []Route) {
	for i := range routes {
		for j, h := range routes[i].Hosts {
			if normal, err := normalHost(h); err == nil {
				routes[i].Hosts[j] = normal
			}
		}
	}
}

func nameListeners(listeners []Listener, pos *positions) {
	n := namer{}
	for _, l := range listeners {
		n[l.Name] = 1
	}
	for i := range listeners {
		if !pos.has(joinIndex("listener", i) + ".name") {
			listeners[i].Name = n.unique(listeners[i].Address)
		}
	}
}

func nameRoutes(routes []Route, pos *positions) {
	n := namer{}
	for _, rt := range routes {
		n[rt.Name] = 1
	}
	for i := range routes {
		if pos.has(joinIndex("route", i) + ".name") {
			continue
		}
		name := routes[i].Path.String()
		if len(routes[i].Hosts) > 0 {
			name = routes[i].Hosts[0] + name
		}
		routes[i].Name = n.unique(name)
	}
}

// namer counts how often each name was wanted; names in the map are taken.
type namer map[string]int

// unique gives name, or name#2, name#3, … if it is taken, and takes it.
func (n namer) unique(name string) string {
	candidate := name
	for n[candidate] > 0 {
		n[name]++
		candidate = name + "#" + strconv.Itoa(n[name])
	}
	n[candidate] = 1
	return candidate
}
