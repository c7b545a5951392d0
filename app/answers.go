package app

import (
	"context"
	"errors"
	"time"

	"github.com/valor-ivx/weir/app/api"
	"github.com/valor-ivx/weir/app/cache"
	"github.com/valor-ivx/weir/app/metrics"
	"github.com/valor-ivx/weir/app/store"
)

// answers is where computed answers are kept: a cache.Memory or a cache.Redis.
type answers interface {
	api.Cache
	Stats(context.Context) cache.Stats
	Close() error
}

// keepers are what outlives requests: what must not be lost, and what may.
type keepers struct {
	db      *store.Store
	answers answers
}

// openKeepers opens the database and the cache. It never waits for Redis, without which everything works.
func openKeepers(ctx context.Context, c Config) (k keepers, err error) {
	if k.db, err = store.Open(ctx, storeOptions(c)); err != nil {
		return k, err
	}
	if c.CacheRedis == "" {
		k.answers = cache.NewMemory(cache.MemoryOptions{Bytes: c.CacheBytes, TTL: c.CacheTTL, Now: time.Now})
		return k, nil
	}
	if k.answers, err = cache.NewRedis(cache.RedisOptions{URL: string(c.CacheRedis), TTL: c.CacheTTL, Now: time.Now}); err != nil {
		return k, errors.Join(err, k.db.Close())
	}
	return k, nil
}

func storeOptions(c Config) store.Options {
	return store.Options{Path: c.DatabasePath, Postgres: string(c.Postgres), Conns: c.DatabaseConns, StatementTimeout: c.StatementTimeout}
}

// Close closes both.
func (k keepers) Close() error { return errors.Join(k.answers.Close(), k.db.Close()) }

// cache is what handlers ask; nil when answers are not kept.
func (k keepers) cache(c Config) api.Cache {
	if c.CacheBytes == 0 && c.CacheRedis == "" {
		return nil
	}
	return k.answers
}

// pools are the connection pools of the database.
func (k keepers) pools() (list []metrics.Pool) {
	for _, p := range k.db.Pools() {
		list = append(list, metrics.Pool(p))
	}
	return list
}

// stats counts for a scrape, which must not wait for a Redis that does not answer.
func (k keepers) stats() metrics.Cache {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return metrics.Cache(k.answers.Stats(ctx))
}
