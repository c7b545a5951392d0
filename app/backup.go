package app

import (
	"context"

	"github.com/valor-ivx/weir/app/store"
)

// Backup copies the SQLite file that VALOR_DATABASE names, which may be in use, to a file that must not be there yet. It reads no other variable, so that it runs
// where the service's secrets are not.
func Backup(ctx context.Context, getenv func(string) string, to string) error {
	getenv, errs := fromFiles(getenv, "VALOR_DATABASE")
	if len(errs) > 0 {
		return errs[0]
	}
	var c Config
	if err := c.loadDatabase(databaseOf(getenv), "", ""); err != nil {
		return err
	}
	return store.Backup(ctx, storeOptions(c), to)
}
