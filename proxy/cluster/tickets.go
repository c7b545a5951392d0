package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/valor-ivx/weir/proxy/observe"
	edgetls "github.com/valor-ivx/weir/tls"
)

// Tickets keep the secrets of session tickets for all replicas, encrypted. Each cluster.secret has its own, so that replicas that are being given another
// secret one by one do not replace each other's. What was read last is in a file of this machine too, for starts while Redis is away.
type Tickets struct {
	client *Client
	local  edgetls.TicketStore
}

// NewTickets are the tickets of c with their copy in file. c has a secret.
func (c *Client) NewTickets(file string) *Tickets {
	return &Tickets{client: c, local: edgetls.NewFileTickets(file)}
}

func (t *Tickets) key() string {
	return t.client.key("tickets:" + hex.EncodeToString(t.client.keys.tickets.keys[0].id[:]))
}

// Load implements edgetls.TicketStore.
func (t *Tickets) Load(ctx context.Context) ([]byte, error) {
	sealed, err := t.get(ctx)
	switch {
	case errors.Is(err, redis.Nil):
		return nil, nil
	case err != nil:
		if here, failed := t.local.Load(ctx); failed == nil && here != nil {
			return here, nil
		}
		return nil, fmt.Errorf("load session tickets: %w", err)
	}
	data, _, err := t.client.keys.tickets.open(t.key(), sealed)
	if err != nil {
		return nil, fmt.Errorf("load session tickets: %w", err)
	}
	t.copyHere(ctx, data)
	return data, nil
}

// replaceScript stores ARGV[2] if what is stored is ARGV[1], "" for nothing.
const replaceScript = `
if (redis.call('GET', KEYS[1]) or '') == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2])
  return 1
end
return 0
`

// Replace implements edgetls.TicketStore.
func (t *Tickets) Replace(ctx context.Context, old, data []byte) (bool, error) {
	sealed, err := t.get(ctx)
	var stored []byte
	switch {
	case errors.Is(err, redis.Nil):
	case err != nil:
		return false, fmt.Errorf("replace session tickets: %w", err)
	default:
		if stored, _, err = t.client.keys.tickets.open(t.key(), sealed); err != nil {
			return false, fmt.Errorf("replace session tickets: %w", err)
		}
	}
	if !bytes.Equal(stored, old) {
		return false, nil
	}
	ok := false
	next := t.client.keys.tickets.seal(t.key(), data, time.Now())
	err = t.client.ask(ctx, observe.ClusterTickets, func(ctx context.Context) (err error) {
		ok, err = redis.NewScript(replaceScript).Run(ctx, t.client.redis, []string{t.key()}, sealed, next).Bool()
		return err
	})
	if err != nil {
		return false, fmt.Errorf("replace session tickets: %w", err)
	}
	if ok {
		t.copyHere(ctx, data)
	}
	return ok, nil
}

func (t *Tickets) get(ctx context.Context) (sealed []byte, err error) {
	err = t.client.ask(ctx, observe.ClusterTickets, func(ctx context.Context) (err error) {
		sealed, err = t.client.redis.Get(ctx, t.key()).Bytes()
		return err
	})
	return sealed, err
}

// copyHere keeps what Redis has. Without the copy nothing is lost but resumptions after a start without Redis.
func (t *Tickets) copyHere(ctx context.Context, data []byte) {
	if have, err := t.local.Load(ctx); err == nil && !bytes.Equal(have, data) {
		_, _ = t.local.Replace(ctx, have, data)
	}
}
