package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/valor-ivx/weir/proxy/observe"
)

// Storage is a certmagic.Storage that replicas share: one hash in Redis, key by key encrypted, so that listing and deleting a folder are one step. Beside it
// each replica has a copy of what it has read and written in files, under the names that a storage of files has. From the copy it
//
//   - reads while Redis is away, so that it starts and serves; orders wait for Redis, because without its locks every replica would order;
//   - puts a folder back that Redis has nothing of, because it lost it or never had it. Whole folders in one step: the certificate of one replica must not
//     meet the key of another.
//
// It is a value over the Client and the folder, but for its locks, which go on being renewed until Unlock or until the Client is closed.
type Storage struct {
	client *Client
	seal   sealer
	local  *certmagic.FileStorage

	mu   sync.Mutex // guards held
	held map[string]*heldLock
}

// NewStorage is the storage of c with its copy in folder. c has a secret.
func (c *Client) NewStorage(folder string) *Storage {
	return &Storage{client: c, seal: c.keys.certificates, local: &certmagic.FileStorage{Path: folder}, held: map[string]*heldLock{}}
}

// String names it in certmagic's logs.
func (s *Storage) String() string { return "redis " + s.client.options.Prefix + "certificates" }

// hash is the name of everything in Redis.
func (s *Storage) hash() string { return s.client.key("certificates") }

func (s *Storage) do(ctx context.Context, f func(ctx context.Context) error) error {
	return s.client.ask(ctx, observe.ClusterCertificates, f)
}

// Store implements certmagic.Storage.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	sealed := s.seal.seal(key, value, time.Now())
	err := s.do(ctx, func(ctx context.Context) error { return s.client.redis.HSet(ctx, s.hash(), key, sealed).Err() })
	if err != nil {
		return fmt.Errorf("store %s: %w", key, err)
	}
	s.copyHere(ctx, key, value)
	return nil
}

// Load implements certmagic.Storage.
func (s *Storage) Load(ctx context.Context, key string) ([]byte, error) {
	value, _, err := s.load(ctx, key)
	return value, err
}

func (s *Storage) load(ctx context.Context, key string) ([]byte, time.Time, error) {
	sealed, err := s.get(ctx, key)
	if errors.Is(err, redis.Nil) {
		if restored, _ := s.restore(ctx, path.Dir(key)); restored {
			sealed, err = s.get(ctx, key)
		}
	}
	switch {
	case errors.Is(err, redis.Nil):
		return nil, time.Time{}, fs.ErrNotExist
	case ctx.Err() != nil:
		return nil, time.Time{}, ctx.Err()
	case err == nil:
		value, stored, unsealed := s.seal.open(key, sealed)
		if unsealed == nil {
			s.copyHere(ctx, key, value)
			return value, stored, nil
		}
		err = unsealed
	}
	if value, stored, here := s.loadHere(ctx, key); here == nil {
		return value, stored, nil
	}
	return nil, time.Time{}, fmt.Errorf("load %s: %w", key, err)
}

func (s *Storage) get(ctx context.Context, key string) (sealed []byte, err error) {
	err = s.do(ctx, func(ctx context.Context) (err error) {
		sealed, err = s.client.redis.HGet(ctx, s.hash(), key).Bytes()
		return err
	})
	return sealed, err
}

// deleteScript deletes a key, or a folder with all that is in it, and says how many.
const deleteScript = `
local gone = redis.call('HDEL', KEYS[1], ARGV[1])
local below = ARGV[1] .. '/'
for _, key in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(key, 1, #below) == below then
    gone = gone + redis.call('HDEL', KEYS[1], key)
  end
end
return gone
`

// Delete implements certmagic.Storage.
func (s *Storage) Delete(ctx context.Context, key string) error {
	err := s.do(ctx, func(ctx context.Context) error {
		return redis.NewScript(deleteScript).Run(ctx, s.client.redis, []string{s.hash()}, key).Err()
	})
	if err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return s.local.Delete(ctx, key)
}

// Exists implements certmagic.Storage.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List implements certmagic.Storage.
func (s *Storage) List(ctx context.Context, folder string, recursive bool) ([]string, error) {
	all, err := s.names(ctx)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", folder, err)
	}
	below := folder + "/"
	if folder == "" {
		below = ""
	}
	seen := map[string]bool{}
	var list []string
	for _, name := range all {
		rest, ok := strings.CutPrefix(name, below)
		if !ok {
			continue
		}
		parts := strings.Split(rest, "/")
		if !recursive {
			parts = parts[:1]
		}
		for i := range parts { // folders are in the list too
			if at := below + strings.Join(parts[:i+1], "/"); !seen[at] {
				seen[at] = true
				list = append(list, at)
			}
		}
	}
	if list == nil {
		return nil, fs.ErrNotExist
	}
	slices.Sort(list)
	return list, nil
}

func (s *Storage) names(ctx context.Context) (all []string, err error) {
	err = s.do(ctx, func(ctx context.Context) (err error) {
		all, err = s.client.redis.HKeys(ctx, s.hash()).Result()
		return err
	})
	return all, err
}

// Stat implements certmagic.Storage.
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	value, stored, err := s.load(ctx, key)
	if err == nil {
		return certmagic.KeyInfo{Key: key, Modified: stored, Size: int64(len(value)), IsTerminal: true}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	all, err := s.names(ctx)
	if err != nil {
		return certmagic.KeyInfo{}, fmt.Errorf("stat %s: %w", key, err)
	}
	if slices.ContainsFunc(all, func(name string) bool { return strings.HasPrefix(name, key+"/") }) {
		return certmagic.KeyInfo{Key: key}, nil
	}
	return certmagic.KeyInfo{}, fs.ErrNotExist
}

// shared reports keys that mean something only while Redis has them: answers to challenges under way, and certmagic's tries whether it can write.
func shared(key string) bool {
	return strings.Contains(key, "challenge_tokens") || strings.HasPrefix(key, "rw_test_")
}

// copyHere keeps what Redis has. Without the copy nothing is lost but what it is for, so it is told and no error.
func (s *Storage) copyHere(ctx context.Context, key string, value []byte) {
	if shared(key) {
		return
	}
	if have, err := s.local.Load(ctx, key); err == nil && slices.Equal(have, value) {
		return
	}
	if err := s.local.Store(ctx, key, value); err != nil {
		s.client.options.Log.Warn("certificate not copied to this machine", zap.String(observe.KeyFilePath, s.local.Filename(key)), observe.Err(err))
	}
}

// loadHere reads the copy.
func (s *Storage) loadHere(ctx context.Context, key string) ([]byte, time.Time, error) {
	if shared(key) {
		return nil, time.Time{}, fs.ErrNotExist
	}
	value, err := s.local.Load(ctx, key)
	if err != nil {
		return nil, time.Time{}, err
	}
	info, err := s.local.Stat(ctx, key)
	return value, info.Modified, err
}

// restoreScript puts files into a folder that has none (ARGV: the folder with its slash, then keys and values), and says whether it did.
const restoreScript = `
for _, key in ipairs(redis.call('HKEYS', KEYS[1])) do
  local rest = string.sub(key, #ARGV[1] + 1)
  if string.sub(key, 1, #ARGV[1]) == ARGV[1] and not string.find(rest, '/', 1, true) then
    return 0
  end
end
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
`

// restore puts the copy of a folder's files back if Redis has none of them, and reports whether it did.
func (s *Storage) restore(ctx context.Context, folder string) (bool, error) {
	list, err := s.local.List(ctx, folder, false)
	if err != nil {
		return false, err
	}
	below := folder + "/"
	if folder == "." {
		below = ""
	}
	args := []any{below}
	for _, key := range list {
		key = path.Clean(key)
		if value, _, err := s.loadHere(ctx, key); err == nil {
			args = append(args, key, s.seal.seal(key, value, time.Now()))
		}
	}
	if len(args) == 1 {
		return false, nil
	}
	restored := false
	err = s.do(ctx, func(ctx context.Context) (err error) {
		restored, err = redis.NewScript(restoreScript).Run(ctx, s.client.redis, []string{s.hash()}, args...).Bool()
		return err
	})
	if restored {
		s.client.options.Log.Info("put back from this machine's copy what redis had nothing of", zap.String("weir.folder", folder))
	}
	return restored, err
}
