package configs

import (
	"slices"
	"strings"
)

// Bounds of a shadow's keys that no tag can say.
const (
	mostShadowed  = 32
	leastCompared = 1 << 10
	mostCompared  = 8 << 20
)

// shadow refuses groups that are not there, and what would compare nothing.
func (c checker) shadow(s *Service, path string) {
	o := s.Shadow
	if c.bad(path) {
		return
	}
	names := make([]string, len(s.Groups))
	for i := range s.Groups {
		names[i] = s.Groups[i].Name
	}
	to, from := joinKey(path, "to"), joinKey(path, "from")
	switch {
	case c.bad(to) || c.bad(from):
	case !slices.Contains(names, o.To):
		c.value(to, "service %q has no group %s%s", s.Name, c.quote(to, o.To), didYouMean(o.To, names))
	case c.pos.has(from) && !slices.Contains(names, o.From):
		c.value(from, "service %q has no group %s%s", s.Name, c.quote(from, o.From), didYouMean(o.From, names))
	case o.From == o.To:
		c.value(from, "a group is not compared with itself")
	case o.From == "" && len(names) < 2:
		c.value(to, "service %q has no other group to compare with", s.Name)
	case o.From == "":
		c.key(path, "shadow needs from: several groups could be compared with %q", o.To)
	}
	if at := joinKey(path, "share"); o.Share == 0 && !c.bad(at) {
		c.value(at, "share must be above 0: leave shadow out to ask nothing")
	}
	if at := joinKey(path, "max_body"); !c.bad(at) && (o.MaxBody < leastCompared || o.MaxBody > mostCompared) {
		c.value(at, "max_body must be from 1KiB to 8MiB")
	}
	c.shadowed(o, path)
}

// shadowed checks what is compared.
func (c checker) shadowed(o *Shadow, path string) {
	for i, name := range o.CompareHeaders {
		at := joinIndex(joinKey(path, "compare_headers"), i)
		switch {
		case c.bad(at):
		case !isToken(name):
			c.value(at, "header %s is no name of a field", c.quote(at, name))
		case i >= mostShadowed:
			c.value(at, "more than %d headers", mostShadowed)
		}
	}
	for i, place := range o.IgnorePaths {
		at := joinIndex(joinKey(path, "ignore_paths"), i)
		switch {
		case c.bad(at):
		case !isPlace(place):
			c.value(at, `path %s must be "$", then .KEY or [] for each step, as in "$.items[].price"`, c.quote(at, place))
		case i >= mostShadowed:
			c.value(at, "more than %d paths", mostShadowed)
		}
	}
}

// isPlace: as shadow.ParsePattern reads it.
func isPlace(s string) bool {
	rest, ok := strings.CutPrefix(s, "$")
	if !ok || rest == "" {
		return false
	}
	for rest != "" {
		if after, element := strings.CutPrefix(rest, "[]"); element {
			rest = after
			continue
		}
		key := rest[1:]
		end := strings.IndexAny(key, ".[")
		if end < 0 {
			end = len(key)
		}
		if rest[0] != '.' || end == 0 {
			return false
		}
		rest = key[end:]
	}
	return true
}

// onlyOther is the group beside one of two, "" where there are more or fewer.
func onlyOther(groups []Group, name string) string {
	other := ""
	for i := range groups {
		switch {
		case groups[i].Name == name:
		case other != "":
			return ""
		default:
			other = groups[i].Name
		}
	}
	return other
}
