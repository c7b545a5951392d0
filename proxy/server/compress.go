package server

import (
	"strings"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy"
	"github.com/valor-ivx/weir/proxy/compress"
	"github.com/valor-ivx/weir/proxy/message"
)

// compressions are what routes compress, by their names.
func (s *Server) compressions(cfg *configs.Config) map[string]*proxy.Compression {
	var names []string
	for i := range cfg.Routes {
		if cfg.Routes[i].Compress != nil {
			names = append(names, cfg.Routes[i].Name)
		}
	}
	handles := s.metrics.SetCompression(names)
	all := map[string]*proxy.Compression{}
	for i := range cfg.Routes {
		if c := cfg.Routes[i].Compress; c != nil {
			all[cfg.Routes[i].Name] = &proxy.Compression{Policy: compress.New(codings(c.Algorithms), int64(c.MinLength), c.Types), Metrics: handles[cfg.Routes[i].Name]}
		}
	}
	return all
}

func codings(names []string) (list []message.Coding) {
	for _, name := range names {
		for c := range message.Codings {
			if c.String() == name {
				list = append(list, c)
			}
		}
	}
	return list
}

// compress tells in which coding answers are sent.
func (e *explanation) compress() {
	c := e.route.Compress
	if c == nil {
		return
	}
	coding, ok := c.Policy.Choose(&e.header)
	switch {
	case !ok:
		e.step("admit", "compress nothing", "the request's Accept-Encoding %q takes none of the route's codings", acceptEncoding(&e.header))
	default:
		e.step("admit", "compress "+coding.String(), "answers of the route's types and length, unless they are coded or parts, or forbid it")
	}
}

func acceptEncoding(h *message.Header) string {
	var values []string
	for i := range h.Len() {
		if f := h.At(i); message.EqualFold(f.Name(), "accept-encoding") {
			values = append(values, string(f.Value()))
		}
	}
	return strings.Join(values, ", ")
}
