package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/valor-ivx/weir/proxy/observe"
)

// LeaseLife is how long a replica that is not heard of is the one that judges a rollout: as long as it counts as one of the replicas.
const LeaseLife = beatLife

const (
	// mostReports of one trial wait in Redis. The one that judges takes them several times a second; while there is none, who reports keeps what it has, added up.
	mostReports = 4096
	// reportsLife is how long what is left of a trial stays in Redis after the last report.
	reportsLife = time.Hour
	// mostHeard is how many reports are read at a time.
	mostHeard = 512
)

// trialKeys are the lease, the list of reports, how many of them have gone from it, and who has reported how often.
func (c *Client) trialKeys(trial string) [4]string {
	name := c.key("rollout:" + trial)
	return [4]string{name + ":lease", name + ":reports", name + ":gone", name + ":batches"}
}

// holdScript renews the lease (KEYS[1]) if it is this replica's, and returns whose it is and the reports from number ARGV[3] on.
const holdScript = `
local holder = redis.call('GET', KEYS[1])
if holder ~= ARGV[1] then
  return {holder or ''}
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local gone = tonumber(redis.call('GET', KEYS[3]) or '-1')
if gone < 0 then
  redis.call('DEL', KEYS[2])
  gone = tonumber(ARGV[3])
end
redis.call('SET', KEYS[3], gone, 'PX', ARGV[5])
local from = math.max(0, tonumber(ARGV[3]) - gone)
local list = redis.call('LRANGE', KEYS[2], from, from + ARGV[4] - 1)
table.insert(list, 1, holder)
return list
`

// Hold renews this replica's lease of a trial. The holder is who has it, "" for nobody; if it is this replica, reports are what came from the others after the first heard ones.
func (c *Client) Hold(trial string, heard uint64) (holder string, reports []string, err error) {
	k := c.trialKeys(trial)
	err = c.do(c.ctx, observe.ClusterRollout, func(ctx context.Context) (err error) {
		reports, err = redis.NewScript(holdScript).Run(ctx, c.redis, k[:3], c.options.Replica, LeaseLife.Milliseconds(), strconv.FormatUint(heard, 10), mostHeard, reportsLife.Milliseconds()).StringSlice()
		return err
	})
	if err == nil && len(reports) == 0 {
		err = errors.New("redis answers in another form")
	}
	if err != nil {
		return "", nil, fmt.Errorf("hold lease of rollout: %w", err)
	}
	return reports[0], reports[1:], nil
}

// reportScript adds a report to the list (KEYS[2]) unless the replica's batch (ARGV[2], in KEYS[4]) has come before, or there is no room, and returns who has the lease.
const reportScript = `
local taken = 1
if ARGV[3] ~= '' and tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or '0') < tonumber(ARGV[2]) then
  if redis.call('LLEN', KEYS[2]) < tonumber(ARGV[4]) then
    redis.call('RPUSH', KEYS[2], ARGV[3])
    redis.call('HSET', KEYS[4], ARGV[1], ARGV[2])
    for i = 2, 4 do
      redis.call('PEXPIRE', KEYS[i], ARGV[5])
    end
  else
    taken = 0
  end
end
return {redis.call('GET', KEYS[1]) or '', taken}
`

// Report hands what this replica has counted of a trial to the one that judges, and says who that is, "" for nobody. Batches are numbered from 1: one that is handed in again,
// because nobody knows whether it arrived, is counted once. An empty report asks for the holder alone. taken is false when there is no room.
func (c *Client) Report(trial string, batch uint64, report string) (holder string, taken bool, err error) {
	k := c.trialKeys(trial)
	var answer []any
	err = c.do(c.ctx, observe.ClusterRollout, func(ctx context.Context) (err error) {
		answer, err = redis.NewScript(reportScript).Run(ctx, c.redis, k[:], c.options.Replica, strconv.FormatUint(batch, 10), report, mostReports, reportsLife.Milliseconds()).Slice()
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("report to rollout: %w", err)
	}
	if len(answer) == 2 {
		name, isName := answer[0].(string)
		n, isNumber := answer[1].(int64)
		if isName && isNumber {
			return name, n == 1, nil
		}
	}
	return "", false, errors.New("report to rollout: redis answers in another form")
}
