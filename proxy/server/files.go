package server

import (
	"fmt"
	"strings"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/files"
	"github.com/valor-ivx/weir/proxy/message"
)

// trees are the folders that routes serve, by path: those of a route, and of several with the same. What two generations have both is the same.
type trees map[string]*files.Tree

// openTrees opens what old does not have.
func openTrees(cfg *configs.Config, old *generation) (trees, error) {
	var before trees
	if old != nil {
		before = old.trees
	}
	list := trees{}
	for _, r := range cfg.Routes {
		if r.Files == nil || list[r.Files.Root] != nil {
			continue
		}
		t := before[r.Files.Root]
		if t == nil {
			var err error
			if t, err = files.OpenTree(r.Files.Root); err != nil {
				list.closeBut(before)
				return nil, fmt.Errorf("route %s: %w", r.Name, err)
			}
		}
		list[r.Files.Root] = t
	}
	return list, nil
}

// closeBut ends what others does not go on with. Requests under way keep what they have open.
func (l trees) closeBut(others trees) {
	for path, t := range l {
		if others[path] != t {
			t.Close()
		}
	}
}

// trees are those in force, nil before the first.
func (s *Server) trees() trees {
	if current := s.current.Load(); current != nil {
		return current.trees
	}
	return nil
}

// siteOf is how a route's folder is served, nil for a route with a service. What not everybody may have must not be kept by caches that everybody asks.
func (l trees) siteOf(r *configs.Route) *files.Site {
	if r.Files == nil {
		return nil
	}
	return files.New(l[r.Files.Root], files.Options{
		Index: r.Files.Index, Fallback: r.Files.Fallback, MaxAge: r.Files.MaxAge, Private: r.Auth != "" || len(r.Access) > 0,
	})
}

// service reports a route that asks one. For a route with files it tells which one the request would be answered with, by looking for it as the data path does.
func (e *explanation) service() bool {
	site := e.route.Files
	if site == nil {
		return true
	}
	if m := message.MethodOf([]byte(strings.ToUpper(e.request.Method))); e.request.Method != "" && m != message.GET && m != message.HEAD {
		e.step("files", "405", "files are read with GET and HEAD")
		return e.end("405 method not allowed")
	}
	now := time.Now()
	f, err := site.Find(e.path, &e.header, now)
	if err != nil {
		answer := proxy.FileError(err)
		e.step("files", answer.Reason.String(), "%v", err)
		return e.end("%d %s", answer.Status, answer.Reason)
	}
	defer f.Close()
	if f.File == nil {
		e.step("files", "folder "+f.Name, "it has an index: the client is sent to the path with a slash at its end")
		return e.end("308 to %s/", e.path)
	}
	why := "found below root"
	if f.Fallback {
		why = "fallback: nothing has that name, and the client accepts text/html"
	}
	e.step("files", "file "+f.Name, "%s; %s, %d bytes, Cache-Control %s", why, f.Type, f.Size, f.Keep)
	return e.end("file %s", f.Name)
}
