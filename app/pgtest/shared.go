package pgtest

import (
	"context"
	"errors"
	"os"
	"sync"
)

// Test is what testing.TB has of use here.
type Test interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Skip(...any)
	Error(...any)
	Fatal(...any)
}

// Shared is the cluster of a package's tests, started by the first that needs it. The zero value is ready; TestMain closes it.
type Shared struct {
	once    sync.Once
	cluster *Cluster
	err     error
}

// Database is the connection string of an empty database, dropped when the test ends. Where PostgreSQL is not installed the test is skipped, unless skips are forbidden.
func (s *Shared) Database(t Test) string {
	t.Helper()
	s.once.Do(func() { s.cluster, s.err = Start() })
	if errors.Is(s.err, ErrMissing) && os.Getenv("WEIR_TEST_ALL") != "1" {
		t.Skip("skipped: needs PostgreSQL (make deps)")
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	dsn, err := s.cluster.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.cluster.Drop(context.Background(), dsn); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// Close ends the cluster, if one was started.
func (s *Shared) Close() error {
	if s.cluster == nil {
		return nil
	}
	return s.cluster.Close()
}
