package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const secretSize = 32 // bytes; what keys the assignment of clients to groups

// openState makes the state folder and returns the secret in it, which is made on the first start and stays: another one would deal every client anew.
func openState(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state_dir: %w", err)
	}
	path := filepath.Join(dir, "secret")
	secret, err := os.ReadFile(path)
	switch {
	case err == nil && len(secret) == secretSize:
		return secret, nil
	case err == nil:
		return nil, fmt.Errorf("read %s: %d bytes, not %d: restore it, or remove it to have a new one made", path, len(secret), secretSize)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read state secret: %w", err)
	}
	secret = make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails (crypto/rand, Go 1.24)
	return secret, writeDurably(path, secret, 0o600)
}
