package edgetls

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// ticketSecret is what the keys of one rotation are derived from.
type ticketSecret struct {
	From   time.Time `json:"from"` // seals from then on, until the next one's
	Secret []byte    `json:"secret"`
}

const secretBytes = 32 // of entropy: as much as the keys that are derived

// readSecrets gives what is stored, oldest first; none when it is not a list of secrets, which costs no more than resumptions.
func readSecrets(stored []byte) []ticketSecret {
	var list []ticketSecret
	if json.Unmarshal(stored, &list) != nil {
		return nil
	}
	list = slices.DeleteFunc(list, func(s ticketSecret) bool { return len(s.Secret) != secretBytes })
	slices.SortStableFunc(list, func(a, b ticketSecret) int { return a.From.Compare(b.From) })
	return list
}

// rotate gives list (oldest first) as it ought to be at now: one secret that seals, the two rotations before it, and the next one, made a whole
// rotation ahead so that every replica has it before the first ticket is sealed with it.
func rotate(list []ticketSecret, now time.Time, every time.Duration) []ticketSecret {
	now = now.UTC().Truncate(time.Second) // as JSON gives it back, so that what is due compares equal to what is stored
	// What begins later than a rotation can be ahead was made under another clock or a longer rotation.
	list = slices.DeleteFunc(slices.Clone(list), func(s ticketSecret) bool { return s.From.After(now.Add(2 * every)) })
	for len(list) > 1 && !list[1].From.After(now.Add(-2*every)) {
		list = list[1:] // sealed its last ticket two rotations ago
	}
	sealing := -1
	for i, s := range list {
		if !s.From.After(now) {
			sealing = i
		}
	}
	// In a process that was down for a rotation, or whose clock has gone back, what seals starts now.
	if sealing < 0 || sealing == len(list)-1 && !list[sealing].From.After(now.Add(-every)) {
		list = slices.Insert(list, sealing+1, newTicketSecret(now))
		sealing++
	}
	if sealing == len(list)-1 {
		list = append(list, newTicketSecret(list[sealing].From.Add(max(every, time.Second))))
	}
	return list
}

func newTicketSecret(from time.Time) ticketSecret {
	s := ticketSecret{From: from, Secret: make([]byte, secretBytes)}
	_, _ = rand.Read(s.Secret) // never fails (crypto/rand, Go 1.24)
	return s
}

// inUse are the secrets of a rotated list in the order of crypto/tls: the one that seals, then all others, the next among them: a replica whose clock
// is ahead seals with it already.
func inUse(list []ticketSecret, now time.Time) [][]byte {
	sealing := 0
	for i, s := range list {
		if !s.From.After(now) {
			sealing = i
		}
	}
	out := [][]byte{list[sealing].Secret}
	for i, s := range list {
		if i != sealing {
			out = append(out, s.Secret)
		}
	}
	return out
}

// FileTickets is a TicketStore of one machine: a file that only this user reads.
type FileTickets struct {
	path string
	mu   sync.Mutex // one comparison and writing at a time within the process
}

// NewFileTickets keeps secrets in the file of that path, whose folder exists.
func NewFileTickets(path string) *FileTickets { return &FileTickets{path: path} }

// Load implements TicketStore.
func (f *FileTickets) Load(context.Context) ([]byte, error) {
	data, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Replace implements TicketStore. Of two processes that replace in the same instant both succeed and the later one is seen by both at its next look,
// which costs resumptions, no handshake.
func (f *FileTickets) Replace(ctx context.Context, old, data []byte) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.Load(ctx)
	if err != nil || !bytes.Equal(stored, old) {
		return false, err
	}
	return true, writeAtomic(f.path, data, 0o600, os.Rename)
}
