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

// Revision says which of its states the replicas' common document is in. The zero value is no document.
type Revision struct {
	// Line is made with the first revision and kept by those that follow. Numbers are compared within a line only: in another one somebody else has counted.
	Line   string `json:"line"`
	Number uint64 `json:"number"`
	// Mark is a random word of each write. A Redis that lost its last writes, as one that fails over may, is given the same number again by another write.
	Mark string `json:"mark"`
}

// Write is a change of the document. It is stored if the document is still at From, which is what keeps replicas that cannot see each other from writing one after
// the other what each has decided alone.
type Write struct {
	From, To Revision
	Document []byte
	// Trial is that of a rollout which this replica judges, or wants to; nil: the write is of something else.
	Trial *Stake
}

// Stake is what a write means for the lease and the evidence of a trial.
type Stake struct {
	Trial string
	// Leave gives the lease back; else the write takes or renews it, and is refused if another replica has it.
	Leave bool
	// Heard is how many reports of the others are in the document, of all there were.
	Heard uint64
}

// readScript returns the document unless it is at the revision that is known.
const readScript = `
local at = redis.call('HMGET', KEYS[1], 'line', 'number', 'mark')
if not at[1] or (at[1] == ARGV[1] and at[2] == ARGV[2] and at[3] == ARGV[3]) then
  return {at[1] or '', at[2] or '0', at[3] or '', ''}
end
return {at[1], at[2], at[3], redis.call('HGET', KEYS[1], 'document')}
`

// writeScript stores the document (KEYS[1]) if it is at the revision ARGV[1..3] and, of a trial, nobody else has the lease (KEYS[2]). The reports that are in the document go
// from the list (KEYS[3]) with the same step, and KEYS[4] says how many have gone: whoever goes on with the document hears each of the others once. A Redis that does not know how many have gone, as at the beginning or
// when it has lost that, cannot tell which are left: none are.
const writeScript = `
local at = redis.call('HMGET', KEYS[1], 'line', 'number', 'mark')
if (at[1] or '') ~= ARGV[1] or (at[2] or '0') ~= ARGV[2] or (at[3] or '') ~= ARGV[3] then
  return 0
end
if KEYS[2] then
  local holder = redis.call('GET', KEYS[2])
  if holder and holder ~= ARGV[8] then
    return 0
  end
end
redis.call('HSET', KEYS[1], 'line', ARGV[4], 'number', ARGV[5], 'mark', ARGV[6], 'document', ARGV[7])
if KEYS[2] then
  if ARGV[9] == '0' then
    redis.call('DEL', KEYS[2])
  else
    redis.call('SET', KEYS[2], ARGV[8], 'PX', ARGV[9])
  end
  local gone = tonumber(redis.call('GET', KEYS[4]) or '-1')
  if gone < 0 then
    redis.call('DEL', KEYS[3])
  elseif tonumber(ARGV[10]) > gone then
    redis.call('LTRIM', KEYS[3], ARGV[10] - gone, -1)
  end
  redis.call('SET', KEYS[4], ARGV[10], 'PX', ARGV[11])
end
return 1
`

// Document is the replicas' common document with its revision; nil if that is the known one, or none is stored.
func (c *Client) Document(known Revision) (document []byte, at Revision, err error) {
	var list []string
	err = c.do(c.ctx, observe.ClusterOverlay, func(ctx context.Context) (err error) {
		list, err = redis.NewScript(readScript).Run(ctx, c.redis, []string{c.key("overlay")}, known.Line, number(known), known.Mark).StringSlice()
		return err
	})
	if err == nil && len(list) != 4 {
		err = errors.New("redis answers in another form")
	}
	if err != nil {
		return nil, at, fmt.Errorf("read overlay of the replicas: %w", err)
	}
	if at.Number, err = strconv.ParseUint(list[1], 10, 64); err != nil {
		return nil, Revision{}, fmt.Errorf("read overlay of the replicas: its revision is %q", list[1])
	}
	at.Line, at.Mark = list[0], list[2]
	if list[3] != "" {
		document = []byte(list[3])
	}
	return document, at, nil
}

// Replace carries a write out; false: another replica was faster. After an error it may have been carried out, or not.
func (c *Client) Replace(w Write) (ok bool, err error) {
	names := []string{c.key("overlay")}
	args := []any{w.From.Line, number(w.From), w.From.Mark, w.To.Line, number(w.To), w.To.Mark, w.Document}
	if t := w.Trial; t != nil {
		life := LeaseLife
		if t.Leave {
			life = 0
		}
		k := c.trialKeys(t.Trial)
		names = append(names, k[:3]...)
		args = append(args, c.options.Replica, life.Milliseconds(), strconv.FormatUint(t.Heard, 10), reportsLife.Milliseconds())
	}
	err = c.do(c.ctx, observe.ClusterOverlay, func(ctx context.Context) (err error) {
		ok, err = redis.NewScript(writeScript).Run(ctx, c.redis, names, args...).Bool()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("write overlay of the replicas: %w", err)
	}
	return ok, nil
}

func number(r Revision) string { return strconv.FormatUint(r.Number, 10) }

// Replica is this process's name among the replicas.
func (c *Client) Replica() string { return c.options.Replica }

// Away reports that the link has been down for so long.
func (c *Client) Away(least time.Duration) bool {
	st := c.State()
	return !st.Up && time.Since(st.Since) >= least
}
