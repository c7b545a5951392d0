package server

import (
	"path/filepath"

	"github.com/valor-ivx/weir/configs"
	edgetls "github.com/valor-ivx/weir/tls"
)

// openTickets makes every listener of the process resume sessions from the same secrets, and staples what OCSP responders answer to the certificates of every
// configuration.
func (s *Server) openTickets(cfg *configs.Config) {
	s.tickets = edgetls.NewTickets(edgetls.TicketOptions{
		Store: s.ticketStore(cfg), Rotation: cfg.TLS.SessionTicketRotation, Logger: s.log,
	})
	s.certs.UseTickets(s.tickets)
	s.stapler = edgetls.NewStapler(edgetls.StaplerOptions{Folder: filepath.Join(cfg.Admin.StateDir, "ocsp"), Logger: s.log}, s.certs)
}

// ticketStore is where a configuration keeps the secrets of session tickets.
func (s *Server) ticketStore(cfg *configs.Config) edgetls.TicketStore {
	file := filepath.Join(cfg.Admin.StateDir, "tickets.json")
	if l := s.cluster.Load(); l != nil && l.from.secret != "" {
		return l.NewTickets(file)
	}
	return edgetls.NewFileTickets(file)
}
