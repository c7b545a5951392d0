package configs

import (
	"io/fs"
	"strings"
	"time"
)

// RouteFiles answers GET and HEAD with the files of a folder, as an inline table or as [route.files] below its
// [[route]]. The whole path of the request is looked up below root. Hidden names (those that begin with a dot,
// but for /.well-known), links that lead out of root, and what is no regular file are 404. docs/files.md has the rest.
type RouteFiles struct {
	// Folder. One that is exchanged, by a link or by renaming, is served within a second.
	Root string `toml:"root" required:"true"`
	// File that a path with a slash at its end stands for; without the slash, clients are redirected to it.
	Index string `toml:"index" default:"index.html"`
	// Page, relative to root, for addresses that only a script on it understands: the answer to a GET or HEAD that accepts text/html by name, finds nothing, and does not end
	// like an asset (.js, .png, …). Left out: such addresses are 404.
	Fallback string `toml:"fallback"`
	// How long browsers may keep files without asking again; "0s": they ask each time (Cache-Control: no-cache) and hear 304. Pages, manifests and service workers are
	// always asked for, and names with a hash of their content never, for a year.
	MaxAge time.Duration `toml:"max_age" default:"0s" min:"0s" max:"8760h"`
}

// filesOf checks a route's folder and the page in it, so that a start or a reload finds what is misspelt.
func (c checker) filesOf(rt *Route, route string) {
	path := joinKey(route, "files")
	f := rt.Files
	if f == nil || c.bad(path) {
		return
	}
	if service := joinKey(route, "service"); c.pos.has(service) && !c.bad(service) {
		c.key(service, "service beside files: a route has one of the two. Give the files a route of their own, by path: nothing is tried in turn")
	}
	if priority := joinKey(route, "priority"); rt.Priority != PriorityNormal && !c.bad(priority) {
		c.key(priority, "priority beside files: it orders who waits for a service")
	}
	index := joinKey(path, "index")
	if !c.bad(index) && (strings.Contains(f.Index, "/") || !servable(f.Index)) {
		c.value(index, "index %s is not the name of a file", c.quote(index, f.Index))
	}
	root := joinKey(path, "root")
	if c.bad(root) {
		return
	}
	if f.Root == "" {
		c.value(root, "root is empty")
		return
	}
	named := f.Root
	f.Root = c.files.path(f.Root)
	switch info, err := c.files.stat(f.Root); {
	case err != nil:
		c.value(root, "root %s: %v", c.quote(root, named), withoutPath(err))
	case !info.IsDir():
		c.value(root, "root %s is not a folder", c.quote(root, named))
	default:
		c.fallbackOf(f, joinKey(path, "fallback"))
	}
}

func (c checker) fallbackOf(f *RouteFiles, path string) {
	if !c.pos.has(path) || c.bad(path) {
		return
	}
	if !servable(f.Fallback) {
		c.value(path, "fallback %s is not a path below root, as \"index.html\"", c.quote(path, f.Fallback))
		return
	}
	switch info, err := c.files.stat(f.Root + "/" + f.Fallback); {
	case err != nil:
		c.value(path, "fallback %s: %v", c.quote(path, f.Fallback), withoutPath(err))
	case !info.Mode().IsRegular():
		c.value(path, "fallback %s is not a file", c.quote(path, f.Fallback))
	}
}

// servable reports a relative path without hidden segments.
func servable(name string) bool {
	return fs.ValidPath(name) && !strings.HasPrefix(name, ".") && !strings.Contains(name, "/.") && !strings.Contains(name, "\\")
}
