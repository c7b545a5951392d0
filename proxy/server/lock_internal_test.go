package server

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestStateLockEndsWithItsOwner: a child that this process is forking at that moment has every file open until it runs its program; it does not keep the folder from the next.
func TestStateLockEndsWithItsOwner(t *testing.T) {
	dir := t.TempDir()
	first, err := openLock(dir)
	if err == nil {
		err = first.take()
	}
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(first.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(child) }()
	first.close()
	second, err := openLock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if err := second.take(); err != nil {
		t.Error(err)
	}
}
