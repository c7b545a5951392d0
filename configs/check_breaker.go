package configs

// mostAgentWords bounds the search that each request of a service costs.
const mostAgentWords = 64

func (c checker) breaker(b *Breaker, path string) {
	words := joinKey(path, "low_priority_user_agents")
	if c.bad(words) {
		return
	}
	if len(b.LowPriorityUserAgents) > mostAgentWords {
		c.value(words, "more than %d words", mostAgentWords)
	}
	for i, w := range b.LowPriorityUserAgents {
		at := joinIndex(words, i)
		switch {
		case c.bad(at):
		case len(w) < 3: // nearly every browser has any two letters somewhere
			c.value(at, "word %s is shorter than 3 bytes", c.quote(at, w))
		case len(w) > 100:
			c.value(at, "word is longer than 100 bytes")
		}
	}
}
