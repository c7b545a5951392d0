package app

import (
	"fmt"
	"time"
)

// maxDrainDelay leaves drainTimeout of the minute or so that platforms give at most.
const maxDrainDelay = time.Minute

// loadDrain reads for how long requests are still taken after the word to stop: until whoever sends them has noticed that readiness says no. Without it a
// request that is on its way when its idle connection is closed has no answer, and one that must not be sent twice fails.
func (c *Config) loadDrain(v string) error {
	if v == "" {
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > maxDrainDelay {
		return fmt.Errorf("VALOR_DRAIN_DELAY: %q is not a time from 0 to %v", v, maxDrainDelay)
	}
	c.DrainDelay = d
	return nil
}
