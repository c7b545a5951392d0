package proc_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/valor-ivx/weir/cmd/weirbench/internal/proc"
)

func TestLockIsExclusiveUntilClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := proc.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := proc.Lock(path); !errors.Is(err, proc.ErrLocked) {
		t.Errorf("second lock: %v, %v", second, err)
	}
	first.Close()
	third, err := proc.Lock(path)
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	third.Close()
}
