package configs

import (
	"slices"
	"strconv"
	"strings"
)

// notBuilt is everything of the contract that this version does not do yet. Such a key is an error,
// never parsed and ignored: a rate limit that silently does nothing is worse than none. Whoever builds
// one deletes its line here. "*" stands for any name or index; with values, only those are refused
// (one that ends with ":" stands for every value that starts so).
func notBuilt() []gate {
	return []gate{
		{path: "route.*.cache"},
	}
}

type gate struct {
	path   string
	values []string
}

func (g gate) matches(segments []string, value any) bool {
	pattern := g.path
	for i, s := range segments {
		p, rest, more := strings.Cut(pattern, ".")
		if p != "*" && p != s || more != (i < len(segments)-1) {
			return false
		}
		pattern = rest
	}
	if g.values == nil {
		return true
	}
	text, isText := value.(string)
	if on, ok := value.(bool); ok && !isText {
		text = strconv.FormatBool(on)
	}
	return slices.ContainsFunc(g.values, func(v string) bool {
		return v == text || strings.HasSuffix(v, ":") && strings.HasPrefix(text, v)
	})
}

// name is how messages call what is not built: the path without names and indexes.
func (g gate) name() string {
	return strings.ReplaceAll(strings.ReplaceAll(g.path, ".*.", "."), ".*", "")
}

// refuseNotBuilt reports every gated key of a decoded file and removes it, so that nothing further
// on says anything about it.
func refuseNotBuilt(r *report, gates []gate, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			inner := joinKey(path, k)
			if refused(r, gates, inner, v[k]) {
				delete(v, k)
				continue
			}
			refuseNotBuilt(r, gates, inner, v[k])
		}
	case []map[string]any:
		for i := range v {
			refuseNotBuilt(r, gates, joinIndex(path, i), v[i])
		}
	case []any:
		for i := range v {
			if inner := joinIndex(path, i); !refused(r, gates, inner, v[i]) {
				refuseNotBuilt(r, gates, inner, v[i])
			}
		}
	}
}

func refused(r *report, gates []gate, path string, value any) bool {
	segments := splitPath(path)
	i := slices.IndexFunc(gates, func(g gate) bool { return g.matches(segments, value) })
	if i < 0 {
		return false
	}
	g := gates[i]
	if g.values == nil {
		r.key(path, "%s: not supported yet", g.name())
		return true
	}
	if on, ok := value.(bool); ok {
		r.value(path, "%s = %t: not supported yet", g.name(), on)
		return true
	}
	text, _ := value.(string)
	r.value(path, "%s = %s: not supported yet", g.name(), r.quote(path, text))
	return true
}
