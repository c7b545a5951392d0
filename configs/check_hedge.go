package configs

// hedge refuses what would never send anything twice.
func (c checker) hedge(s *Service, path string) {
	budget := joinKey(joinKey(joinKey("service", s.Name), "retry"), "budget")
	switch {
	case c.bad(path):
	case s.HTTP2():
		c.key(path, "hedge is not done with protocol %s", s.Protocol)
	case s.Retry.Budget == 0 && !c.bad(budget):
		c.key(path, "hedge needs a retry.budget above 0: second attempts are taken from it")
	}
}
