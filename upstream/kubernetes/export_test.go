package kubernetes

import "time"

// Hasten makes the pauses after failures short.
func (c *Client) Hasten(pause time.Duration) { c.pause = pause }
