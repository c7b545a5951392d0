package server

import (
	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/header"
)

// policies are what a configuration says about the fields of responses.
type policies struct {
	named      map[string]*header.Policy // tables and presets
	byListener []*header.Policy          // by proxy.Listener.Index
}

// policies compiles the tables of a configuration. Under Server.mu.
func (s *Server) policies(cfg *configs.Config) policies {
	p := policies{named: map[string]*header.Policy{}, byListener: make([]*header.Policy, len(s.names))}
	for _, name := range [...]string{"basic", "strict", "off"} {
		p.named[name] = header.New(header.Options{Preset: preset(name)})
	}
	for i := range cfg.Headers {
		h := &cfg.Headers[i]
		o := header.Options{
			Preset: preset(h.Preset), ContentSecurityPolicy: h.ContentSecurityPolicy, ReportOnly: h.ContentSecurityPolicyReportOnly, Reports: string(h.CSPReport), Remove: h.Remove,
		}
		for _, f := range h.Set {
			o.Set = append(o.Set, header.Field{Name: f.Name, Value: f.Value})
		}
		p.named[h.Name] = header.New(o)
	}
	for _, l := range cfg.Listeners {
		if i, known := s.indexes[l.Name]; known {
			p.byListener[i] = p.named[l.Headers]
		}
	}
	return p
}

func preset(name string) header.Preset {
	switch name {
	case "basic":
		return header.Basic
	case "strict":
		return header.Strict
	}
	return header.Off
}

// forRoute is the policies of a route by listener: the named one for all, or with no name each listener's own.
func (p policies) forRoute(name string) []*header.Policy {
	if name == "" {
		return p.byListener
	}
	list := make([]*header.Policy, len(p.byListener))
	for i := range list {
		list[i] = p.named[name]
	}
	return list
}
