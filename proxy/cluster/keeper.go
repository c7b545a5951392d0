package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	beatEvery = time.Second
	beatLife  = 5 * time.Second // a replica that missed so many beats is gone: a Redis that restarts takes less, a share that is waited for no longer

	retryFirst = 50 * time.Millisecond // after the link fell: most often it is one connection that was closed
	retryMost  = 2 * time.Second
)

// beatScript enters this replica, forgets those that were not seen for ARGV[2] ms, and counts. The time is Redis's: replicas' clocks differ. What is ahead of it
// was entered before it was set back.
const beatScript = `
local t = redis.call('TIME')
local now, life = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[2])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - life)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
redis.call('PEXPIRE', KEYS[1], life)
return redis.call('ZCARD', KEYS[1])
`

// keep beats as long as the link lives, sooner again when it has fallen.
func (c *Client) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	retry := retryFirst
	for {
		wait := beatEvery
		if !c.State().Up {
			wait = retry/2 + rand.N(retry/2) // replicas do not come back in step
			retry = min(2*retry, retryMost)
		} else {
			retry = retryFirst
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-c.ctx.Done():
			return
		}
		c.beat()
	}
}

// beat is one sign of life.
func (c *Client) beat() {
	replicas := 0
	err := c.try(c.ctx, observe.ClusterBeat, func(ctx context.Context) (err error) {
		replicas, err = redis.NewScript(beatScript).Run(ctx, c.redis, []string{c.key("replicas")}, c.options.Replica, beatLife.Milliseconds()).Int()
		return err
	})
	if err == nil {
		c.rose(replicas)
	}
}
