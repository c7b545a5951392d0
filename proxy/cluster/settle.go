package cluster

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/valor-ivx/weir/proxy/limit"
	"github.com/valor-ivx/weir/proxy/observe"
)

const (
	// settleEvery is the least time between two batches: 200 a second cost a replica and Redis little however many requests there are, and what a key takes
	// meanwhile is in its lease (limit.Sharing).
	settleEvery = 5 * time.Millisecond
	// settleMost keys go into a batch: about 2 ms of Redis's time, in which it serves nobody else.
	settleMost = 512
)

// settleScript puts what was taken on top of the time when each bucket will be full (generic cell rate algorithm: that time is all there is to a bucket),
// and returns how far ahead that time was of now then, in µs. A bucket that is further ahead than it can be (ARGV) was written under another clock or a
// lower rate. A full bucket is no key.
const settleScript = `
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local ahead = {}
for i, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key) or now), now)
  full = math.min(full, now + ARGV[2 * i]) + ARGV[2 * i - 1]
  redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000) + 1)
  ahead[i] = math.ceil(full - now)
end
return ahead
`

// settle hands on what requests have taken of shared limits.
func (c *Client) settle() {
	list := make([]limit.Debt, 0, settleMost)
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		select { // a whole pause has passed since the last batch
		case <-pace.C:
		case <-c.ctx.Done():
			return
		}
		pace.Reset(settleEvery)
		if !c.awaitLink() {
			return
		}
		list = c.sharing.Collect(list[:0], c.ctx.Done(), time.Now)
		if len(list) == 0 {
			continue
		}
		ahead, err := c.charge(list)
		now := time.Now()
		for i := range list {
			if err != nil {
				c.sharing.Fail(&list[i], now)
			} else {
				c.sharing.Settle(&list[i], time.Duration(ahead[i])*time.Microsecond, now)
			}
		}
	}
}

// awaitLink waits until the link is up; false: it is closed. Until then the list of those who wait is full sooner or later, and they have their share.
func (c *Client) awaitLink() bool {
	for !c.State().Up {
		select {
		case <-c.risen:
		case <-c.ctx.Done():
			return false
		}
	}
	return true
}

// charge settles a batch in one exchange.
func (c *Client) charge(list []limit.Debt) (ahead []int64, err error) {
	names := make([]string, len(list))
	args := make([]any, 0, 2*len(list))
	for i := range list {
		d := &list[i]
		names[i] = c.key("limit:" + d.Limit + ":" + base64.RawURLEncoding.EncodeToString(d.Key[:]))
		args = append(args, ceilMicro(d.Owed), ceilMicro(d.Most))
	}
	err = c.do(c.ctx, observe.ClusterLimits, func(ctx context.Context) (err error) {
		ahead, err = redis.NewScript(settleScript).Run(ctx, c.redis, names, args...).Int64Slice()
		return err
	})
	if err == nil && len(ahead) != len(list) {
		err = fmt.Errorf("settle limits: %d answers for %d keys", len(ahead), len(list))
	}
	return ahead, err
}

func ceilMicro(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }
