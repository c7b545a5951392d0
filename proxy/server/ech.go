package server

import (
	"path/filepath"
	"time"

	"github.com/valor-ivx/weir/configs"
	"github.com/valor-ivx/weir/proxy/admin"
	edgetls "github.com/valor-ivx/weir/tls"
)

// prepareECH reads the keys that a configuration wants, with a new one where it is due; nil when it wants none.
func (s *Server) prepareECH(cfg *configs.Config) (*edgetls.ECH, error) {
	e := cfg.TLS.ECH
	if e == nil {
		return nil, nil
	}
	return edgetls.OpenECH(filepath.Join(cfg.Admin.StateDir, "ech.json"), e.PublicName, e.Rotation, time.Now())
}

// ECH implements admin.Control.
func (c control) ECH() admin.ECH {
	g := c.s.current.Load()
	if g == nil || g.ech == nil {
		return admin.ECH{}
	}
	return admin.ECH{PublicName: g.plan.config.TLS.ECH.PublicName, ConfigList: g.ech.ConfigList()}
}
