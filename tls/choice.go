package edgetls

// Choice is what a handshake for a server name is answered with.
type Choice struct {
	// Certificates are those it is chosen from, best first: the first that the client's version, curves and signature schemes allow.
	Certificates []Info
	// Named: they are for that name. Else they are what is shown for names that nobody has one for.
	Named bool
}

// Choose tells what a handshake would be answered with, without one. address is where a client connects to that sends no server name; "": it sends one. It obtains nothing on demand.
func (s *Store) Choose(serverName, address string) Choice {
	c := Choice{Named: s.has(serverName) || serverName == "" && s.managed[address] != nil}
	for _, found := range s.candidates(serverName, address) {
		i := found.info()
		i.File = found.pair.Cert
		c.Certificates = append(c.Certificates, i)
	}
	return c
}
