package cluster

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var sealedAt = time.Date(2026, 11, 23, 1, 2, 3, 4e6, time.UTC)

// TestSealed: what is sealed is opened under its name and key, with its time; not under another name, not under another purpose, not when a bit is changed.
func TestSealed(t *testing.T) {
	s, other, purpose := newSealer("p", "one"), newSealer("p", "two"), newSealer("q", "one")
	rapid.Check(t, func(t *rapid.T) {
		name, value := rapid.String().Draw(t, "name"), rapid.SliceOf(rapid.Byte()).Draw(t, "value")
		sealed := s.seal(name, value, sealedAt)
		got, at, err := s.open(name, sealed)
		if err != nil || !bytes.Equal(got, value) || !at.Equal(sealedAt) {
			t.Fatalf("%q %v %v", got, at, err)
		}
		if bytes.Equal(s.seal(name, value, sealedAt), sealed) {
			t.Fatal("sealed twice the same")
		}
		if _, _, err := s.open(name+"x", sealed); !errors.Is(err, errSealedBroken) {
			t.Fatalf("under another name: %v", err)
		}
		for _, stranger := range []sealer{other, purpose} {
			if _, _, err := stranger.open(name, sealed); !errors.Is(err, errSealedUnknown) {
				t.Fatalf("under another key: %v", err)
			}
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= byte(1 << rapid.IntRange(0, 7).Draw(t, "bit"))
		if _, _, err := s.open(name, sealed); err == nil {
			t.Fatal("changed, and opened")
		}
	})
}

// TestSecretsFollow: what the secret before has sealed is read, and sealed anew under the one in use.
func TestSecretsFollow(t *testing.T) {
	before, both, after := newSealer("p", "old"), newSealer("p", "new", "old"), newSealer("p", "new")
	if v, _, err := both.open("k", before.seal("k", []byte("v"), sealedAt)); err != nil || string(v) != "v" {
		t.Errorf("%q %v", v, err)
	}
	if v, _, err := after.open("k", both.seal("k", []byte("v"), sealedAt)); err != nil || string(v) != "v" {
		t.Errorf("%q %v", v, err)
	}
}

// FuzzOpen: whatever is in Redis, nothing panics and nothing that was not sealed is opened.
func FuzzOpen(f *testing.F) {
	s := newSealer("p", "one")
	f.Add([]byte(nil))
	f.Add(s.seal("k", []byte("value"), sealedAt))
	f.Add(s.seal("k", nil, sealedAt)[:sealHeader])
	good := s.seal("k", []byte("value"), sealedAt)
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if v, _, err := s.open("k", sealed); err == nil && !bytes.Equal(sealed, good) && len(v) > 5 {
			t.Errorf("opened %x", sealed)
		}
	})
}
